package io.flynn.blobstore.store;

import io.flynn.blobstore.blob.BlobName;

/** The database can't hold this name: it is too long for its index, or has characters that its encoding lacks. */
public final class NameRefused extends RuntimeException {

    private static final long serialVersionUID = 1L;

    public NameRefused(BlobName name, Throwable cause) {
        super(
                "the database can't hold this name of %d characters"
                        .formatted(name.value().length()),
                cause);
    }
}
