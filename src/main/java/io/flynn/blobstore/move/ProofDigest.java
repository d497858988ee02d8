package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.Sha512;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * One SHA-512 over all blobs that a verification proved, in the order of their rows' ids, although many are proven at once: of each
 * the id (16 bytes), the size (8 bytes, the most significant first) and its SHA-512 (64 bytes; zeros if the row has none). Anybody
 * can compute the same from the rows. Thread-safe; memory is bounded.
 */
final class ProofDigest {

    /** How far proofs may run ahead of the slowest one: a few megabytes. */
    private static final int AHEAD_MAX = 16_384;

    private static final int ENTRY_BYTES = 16 + 8 + Sha512.LENGTH;

    private final Digest digest = new Digest();
    private final Map<Long, Optional<ByteBuffer>> ended = new HashMap<>();
    private long places;
    private long digested;

    /**
     * The place of the next row. Waits while the slowest proof is too far behind.
     *
     * @param isOver whether nobody will end what is behind
     */
    synchronized long place(BooleanSupplier isOver) {
        while (places - digested >= AHEAD_MAX && !isOver.getAsBoolean()) {
            try {
                wait(100);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException("nobody interrupts this thread", e);
            }
        }
        return places++;
    }

    /** @param proven the row at this place; empty if it wasn't proven */
    synchronized void ended(long place, Optional<BlobRow> proven) {
        ended.put(place, proven.map(ProofDigest::entry));
        for (Optional<ByteBuffer> next = ended.remove(digested); next != null; next = ended.remove(digested)) {
            next.ifPresent(digest::update);
            digested++;
        }
        notifyAll();
    }

    /** Once all places have ended; may be called once. */
    synchronized Sha512 finish() {
        if (digested != places) {
            throw new IllegalStateException("%d of %d proofs have not ended".formatted(places - digested, places));
        }
        return digest.finish().sha512();
    }

    /** What the digest is over, of one row. */
    static ByteBuffer entry(BlobRow row) {
        return ByteBuffer.allocate(ENTRY_BYTES)
                .putLong(row.id().getMostSignificantBits())
                .putLong(row.id().getLeastSignificantBits())
                .putLong(row.size())
                .put(row.sha512().map(Sha512::bytes).orElseGet(() -> new byte[Sha512.LENGTH]))
                .flip();
    }
}
