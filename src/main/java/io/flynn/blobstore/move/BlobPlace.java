package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.ObjectKey;

/** Where a row says that its bytes are, for people. */
final class BlobPlace {

    private BlobPlace() {}

    static String of(BlobRow row) {
        return row.backend().isExternal()
                ? "object %s at %s"
                        .formatted(row.externalId().map(ObjectKey::toString).orElse("(none)"), row.backend())
                : "large object " + row.oid().orElse(0);
    }
}
