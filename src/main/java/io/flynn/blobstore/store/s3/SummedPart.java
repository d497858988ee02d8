package io.flynn.blobstore.store.s3;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.reactivestreams.Subscriber;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.SdkPublisher;

/**
 * The bytes of a part, or of an object that is no longer than one: summed up as they come, and all in memory before they are sent. So the
 * store can be told the sum before them, and the SDK can send them again. For one thread at a time.
 */
final class SummedPart implements AutoCloseable {

    private final PartMemory memory;
    private final int length;
    private final Runnable freed;
    private final List<ByteBuffer> pieces = new ArrayList<>();
    private final Crc64Nvme crc = new Crc64Nvme();
    private int size;
    private volatile long lastTaken = System.nanoTime();

    /**
     * @param length for which there is room
     * @param freed is run when that isn't needed any more
     */
    SummedPart(PartMemory memory, int length, Runnable freed) {
        this.memory = memory;
        this.length = length;
        this.freed = freed;
    }

    int length() {
        return length;
    }

    boolean isFull() {
        return size == length;
    }

    /** Takes as many bytes as are missing, or fewer if there aren't as many. */
    void add(ByteBuffer bytes) {
        ByteBuffer taken = bytes.slice(bytes.position(), Math.min(bytes.remaining(), length - size));
        bytes.position(bytes.position() + taken.remaining());
        crc.update(taken);
        while (taken.hasRemaining()) {
            int at = size % PartMemory.PIECE_BYTES;
            if (at == 0) {
                pieces.add(memory.piece());
            }
            int count = Math.min(taken.remaining(), PartMemory.PIECE_BYTES - at);
            pieces.getLast().put(at, taken, taken.position(), count);
            taken.position(taken.position() + count);
            size += count;
        }
    }

    /** Of what was added. */
    long crc64Nvme() {
        return crc.value();
    }

    /** For any number of attempts, once it is full. */
    AsyncRequestBody body() {
        return pieces.isEmpty()
                ? AsyncRequestBody.empty()
                : new Body(
                        length,
                        AsyncRequestBody.fromByteBuffersUnsafe(buffers()).map(bytes -> {
                            lastTaken = System.nanoTime();
                            return bytes;
                        }));
    }

    /** When the last bytes of it were taken to be sent, by {@link System#nanoTime}. */
    long lastTaken() {
        return lastTaken;
    }

    private ByteBuffer[] buffers() {
        ByteBuffer[] buffers = new ByteBuffer[pieces.size()];
        for (int i = 0; i < buffers.length; i++) {
            buffers[i] = pieces.get(i).slice(0, Math.min(PartMemory.PIECE_BYTES, length - i * PartMemory.PIECE_BYTES));
        }
        return buffers;
    }

    /**
     * Once it has been sent, or won't be. An attempt that ended may send what it had begun to send a moment longer, and by then other
     * bytes: the store refuses those for their sum.
     */
    @Override
    public void close() {
        pieces.forEach(memory::giveBack);
        pieces.clear();
        freed.run();
    }

    private record Body(long length, SdkPublisher<ByteBuffer> bytes) implements AsyncRequestBody {

        @Override
        public Optional<Long> contentLength() {
            return Optional.of(length);
        }

        @Override
        public void subscribe(Subscriber<? super ByteBuffer> subscriber) {
            bytes.subscribe(subscriber);
        }
    }
}
