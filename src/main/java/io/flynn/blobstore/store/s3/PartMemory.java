package io.flynn.blobstore.store.s3;

import java.nio.ByteBuffer;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;

/**
 * Where uploads gather what is sent of them next: together no more than a bound. Room for a part is reserved before the part is begun,
 * so whoever has begun one can end it, send it, and give the room back: nobody waits for one who waits. It lies outside of the heap,
 * where it needn't be copied once more to be sent. Thread-safe.
 */
final class PartMemory {

    /** What is taken of it at once. */
    static final int PIECE_BYTES = 256 * 1024;

    /** Four parts, or some dozen blobs that are not much larger than those that are read whole. */
    private static final int ALL_BYTES = 32 * 1024 * 1024;

    static final PartMemory OF_THIS_PROCESS = new PartMemory(ALL_BYTES);

    private final Semaphore free;
    private final Queue<ByteBuffer> unused = new ConcurrentLinkedQueue<>();

    /** @param bytes there are, at most; whoever reserves more than that at once waits for ever */
    PartMemory(long bytes) {
        free = new Semaphore(pieces(bytes), true);
    }

    /** Waits for its turn: each that has room is sending, or reading, which both ends in bounded time once bytes stop to flow. */
    void reserve(long bytes) {
        free.acquireUninterruptibly(pieces(bytes));
    }

    /** False as well if others wait. */
    boolean reserveIfFree(long bytes) {
        return !free.hasQueuedThreads() && free.tryAcquire(pieces(bytes));
    }

    void free(long bytes) {
        free.release(pieces(bytes));
    }

    private static int pieces(long bytes) {
        return Math.toIntExact(Math.ceilDiv(bytes, PIECE_BYTES));
    }

    /** Of what was reserved; holds what somebody left there. */
    ByteBuffer piece() {
        ByteBuffer piece = unused.poll();
        return piece != null ? piece : ByteBuffer.allocateDirect(PIECE_BYTES);
    }

    /** Before its room is free. */
    void giveBack(ByteBuffer piece) {
        unused.add(piece.clear());
    }
}
