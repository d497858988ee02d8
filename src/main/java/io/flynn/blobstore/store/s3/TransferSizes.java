package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.store.BlobStore;

/**
 * How large what goes to and from a store at once is, in bytes.
 *
 * @param wholeMax a longer object is stored by parts
 * @param partMin no part but the last is shorter, whatever else
 * @param gathered the parts that are in memory, whole, before they are sent; 0 = there are none
 * @param rangedMin what is at least so long is read by ranges, where there is room for several at once
 * @param range the length of a range
 */
public record TransferSizes(long wholeMax, long partMin, int gathered, long rangedMin, int range) {

    /** The most parts of an object (Amazon S3 User Guide, "Amazon S3 multipart upload limits"). */
    static final int PARTS_MAX = 10_000;

    /** The least that S3 takes as a part but the last (same place). */
    static final int PART_BYTES_MIN = 5 * 1024 * 1024;

    private static final long MIB = 1024 * 1024;

    /**
     * One PUT carries at most 5 GiB (same place). Parts of 64 MiB are worth their round trip, and little is lost with one; of those that
     * are gathered four fit in what there is for them. Ranges of 4 MiB take a connection to S3 about as long as it takes S3 to begin with
     * one; over a short way one stream was measured faster, so only what would keep a run waiting at its end comes by ranges.
     */
    public static final TransferSizes S3 =
            new TransferSizes(5L * 1024 * MIB, 64 * MIB, (int) (8 * MIB), 1024 * MIB, (int) (4 * MIB));

    /** @throws IllegalArgumentException if no store takes such parts */
    public TransferSizes {
        if (wholeMax < 0
                || partMin < PART_BYTES_MIN
                || (gathered != 0 && gathered < PART_BYTES_MIN)
                || range < 1
                || rangedMin < range) {
            throw new IllegalArgumentException("parts of %d bytes, gathered of %d, ranges of %d of %d"
                    .formatted(partMin, gathered, range, rangedMin));
        }
    }

    /** The longest object that parts make that are gathered. */
    long gatheredMax() {
        return (long) PARTS_MAX * gathered;
    }

    /** How long the parts of such an object are, but for the last: 10,000 of them are enough for all that there can be. */
    long part(long objectBytes) {
        if (objectBytes > BlobStore.BYTES_MAX) {
            throw new IllegalArgumentException("no object is as long as " + objectBytes + " bytes");
        }
        return Math.max(partMin, Math.ceilDiv(Math.ceilDiv(objectBytes, PARTS_MAX), MIB) * MIB);
    }
}
