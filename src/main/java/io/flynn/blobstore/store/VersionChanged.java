package io.flynn.blobstore.store;

import io.flynn.blobstore.blob.BlobVersion;
import java.util.Optional;

/** A version that was read to be changed is not the live one any more, or not as it was; nothing was changed. */
public final class VersionChanged extends RuntimeException {

    private static final long serialVersionUID = 1L;

    public VersionChanged() {
        super("the blob was changed meanwhile", null, false, false);
    }

    /** Holds as long as {@code version} is live and as it was read. */
    public static Precondition none(BlobVersion version) {
        return live -> {
            if (!live.equals(Optional.of(version))) {
                throw new VersionChanged();
            }
        };
    }
}
