package io.flynn.blobstore.decide;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import java.util.Optional;

/**
 * What to do with a moved row whose bytes at the target, or at the place that it came from, are not what the row says: the side
 * that matches the row holds what was last acknowledged.
 */
public enum SettleDecision {
    /** The target has the blob. What is left where it came from is old, or the same. */
    KEEP,
    /** Only the place that it came from has it: point the row back there, and copy it again. */
    PUT_BACK,
    /** Neither has, or which one has can't be told: a person must look. Nothing is changed. */
    QUARANTINE;

    /**
     * @param row as last read
     * @param origin what lies where it came from; empty if nothing does, or {@link #isProvenBy} tells that it need not be read
     * @param target what lies at the target under the row's own name for it; empty if nothing does
     */
    public static SettleDecision decide(BlobRow row, Optional<BlobContent> origin, Optional<BlobContent> target) {
        boolean isOriginRight = origin.filter(row::isDescribedBy).isPresent();
        if (target.filter(row::isDescribedBy).isEmpty()) {
            return isOriginRight ? PUT_BACK : QUARANTINE;
        }
        // Without a recorded digest both can have the right size and only one be the blob.
        return isProvenBy(row, target) || !isOriginRight || origin.equals(target) ? KEEP : QUARANTINE;
    }

    /** Whether the target alone shows that it has the blob: only a recorded digest can tell. */
    public static boolean isProvenBy(BlobRow row, Optional<BlobContent> target) {
        return row.sha512().isPresent() && target.filter(row::isDescribedBy).isPresent();
    }
}
