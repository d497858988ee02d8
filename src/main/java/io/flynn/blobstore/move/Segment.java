package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.ObjectKey;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The rows in scope whose ids begin with the same twelve bits: what a verification remembers as proven, or not. With a million rows
 * there are some 250 in each, so a row that changed costs that many to be read again. Thread-safe.
 */
final class Segment {

    /** The number of them, and so the length of what is remembered. */
    static final int COUNT = 1 << 12;

    private static final int SHIFT = Long.SIZE - 12;

    /** The first bytes of a SHA-512: enough to tell rows apart that nobody forges. */
    private static final int DIGEST_BYTES = 16;

    private final List<BlobRow> rows;
    private final String digest;
    private final AtomicInteger left;
    private volatile boolean isLacking;

    /** @param rows all of one segment, at least one, in the order of their ids */
    Segment(List<BlobRow> rows) {
        this.rows = List.copyOf(rows);
        digest = digest(rows);
        left = new AtomicInteger(rows.size());
    }

    static int indexOf(UUID id) {
        return (int) (id.getMostSignificantBits() >>> SHIFT);
    }

    int index() {
        return indexOf(rows.getFirst().id());
    }

    List<BlobRow> rows() {
        return rows;
    }

    /** Over all that a proof depends on: another row, or a row that changed, has another. */
    String digest() {
        return digest;
    }

    /** One of the rows has been looked at: whether it was the last of them, and all are proven. */
    boolean isProvenWith(boolean isProven) {
        isLacking |= !isProven;
        return left.decrementAndGet() == 0 && !isLacking;
    }

    private static String digest(List<BlobRow> rows) {
        Digest digest = new Digest();
        for (BlobRow row : rows) {
            digest.update(ProofDigest.entry(row));
            digest.update(ByteBuffer.wrap("%s %s %s;"
                    .formatted(
                            row.backend(),
                            row.externalId().map(ObjectKey::toString).orElse(""),
                            row.oid().isPresent() ? Long.toString(row.oid().getAsLong()) : "")
                    .getBytes(StandardCharsets.US_ASCII)));
        }
        return HexFormat.of().formatHex(Arrays.copyOf(digest.finish().sha512().bytes(), DIGEST_BYTES));
    }
}
