package io.flynn.blobstore.store;

import io.flynn.blobstore.blob.BlobVersion;
import java.util.Optional;
import java.util.OptionalLong;

/** A version that was read to be changed is not the live one any more, or not as it was; nothing was changed. */
public final class VersionChanged extends RuntimeException {

    private static final long serialVersionUID = 1L;

    public VersionChanged() {
        super("the blob was changed meanwhile", null, false, false);
    }

    /** Holds as long as {@code version} is live and as it was read. */
    public static Precondition none(BlobVersion version) {
        return live -> {
            if (!live.map(VersionChanged::served).equals(Optional.of(served(version)))) {
                throw new VersionChanged();
            }
        };
    }

    /** Without the large object that a moved version may have until it is cleaned: that changes nothing of it. */
    private static BlobVersion served(BlobVersion version) {
        return version.isInPostgres()
                ? version
                : new BlobVersion(
                        version.id(),
                        version.backend(),
                        OptionalLong.empty(),
                        version.externalId(),
                        version.type(),
                        version.size(),
                        version.sha512(),
                        version.updatedAt());
    }
}
