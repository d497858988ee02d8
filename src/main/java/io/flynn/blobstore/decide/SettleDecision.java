package io.flynn.blobstore.decide;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import java.util.Optional;

/**
 * What to do with a moved row whose object, or large object, is not what the row says: the side that matches the row holds
 * what was last acknowledged.
 */
public enum SettleDecision {
    /** The object is the blob. A large object beside it is old, or the same; clean may unlink it. */
    KEEP,
    /** Only the large object is the blob: point the row back at it, and copy it again. */
    PUT_BACK,
    /** Neither is, or which one is can't be told: a person must look. Nothing is changed. */
    QUARANTINE;

    /**
     * @param row as last read
     * @param largeObject what its large object holds; empty if it has none, or it is not there, or {@link #isProvenBy} tells
     *     that it need not be read
     * @param object what lies under its key at the target; empty if nothing does
     */
    public static SettleDecision decide(BlobRow row, Optional<BlobContent> largeObject, Optional<BlobContent> object) {
        boolean isLargeObjectRight = largeObject.filter(row::isDescribedBy).isPresent();
        if (object.filter(row::isDescribedBy).isEmpty()) {
            return isLargeObjectRight ? PUT_BACK : QUARANTINE;
        }
        // Without a recorded digest both can have the right size and only one be the blob.
        return isProvenBy(row, object) || !isLargeObjectRight || largeObject.equals(object) ? KEEP : QUARANTINE;
    }

    /** Whether the object alone shows that it is the blob: only a recorded digest can tell. */
    public static boolean isProvenBy(BlobRow row, Optional<BlobContent> object) {
        return row.sha512().isPresent() && object.filter(row::isDescribedBy).isPresent();
    }
}
