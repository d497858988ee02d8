package io.flynn.blobstore.blob;

import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;

/**
 * One row of {@code files}, as far as a move needs it: one version of one name.
 *
 * @param id {@code file_id}, the identity of this version
 * @param oid the large object; set while the bytes are in PostgreSQL, and after a move until the source is cleaned
 * @param externalId the object's key in the external backend
 * @param backend where the row says that the bytes are
 * @param type the content type as uploaded, may be empty
 * @param size bytes, as recorded with the upload; negative sizes don't exist
 * @param sha512 as recorded with the upload; rows of the first schema may lack it
 * @param isDeleted softly deleted: nobody can read it any more
 */
public record BlobRow(
        UUID id,
        OptionalLong oid,
        Optional<ObjectKey> externalId,
        BackendName backend,
        String type,
        long size,
        Optional<Sha512> sha512,
        boolean isDeleted) {

    /** Whether these bytes may be the blob: surely, if the row has a digest; one that never had can only be compared by size. */
    public boolean isDescribedBy(BlobContent content) {
        return size == content.size()
                && sha512.filter(recorded -> !recorded.equals(content.sha512())).isEmpty();
    }
}
