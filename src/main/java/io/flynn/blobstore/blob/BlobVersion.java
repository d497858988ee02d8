package io.flynn.blobstore.blob;

import java.time.Instant;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;

/**
 * The live version of one name, as it is served. Two that are equal are the same version, unchanged.
 *
 * @param id of its row
 * @param backend where the bytes are, as the row says it: perhaps a backend that this process doesn't know
 * @param oid the large object; may still be there after the bytes were moved, and is then not to be read
 * @param externalId the object's key in the external backend
 * @param type the content type as uploaded, may be empty
 * @param sha512 as recorded with the upload; rows of the first schema may lack it, and what is no digest counts as none
 * @param updatedAt {@code Last-Modified}
 */
public record BlobVersion(
        UUID id,
        String backend,
        OptionalLong oid,
        Optional<ObjectKey> externalId,
        String type,
        long size,
        Optional<Sha512> sha512,
        Instant updatedAt) {

    /** @throws IllegalArgumentException if {@code size} is negative */
    public BlobVersion {
        if (size < 0) {
            throw new IllegalArgumentException("size is negative: " + size);
        }
    }

    /** Whether {@code other} is this version after its bytes, and nothing else of it, were moved out of the database. */
    public boolean isMovedTo(BlobVersion other) {
        return isInPostgres()
                && !other.isInPostgres()
                && other.id().equals(id)
                && other.size() == size
                && other.updatedAt().equals(updatedAt);
    }

    public boolean isInPostgres() {
        return backend.equals(BackendName.POSTGRES.value());
    }
}
