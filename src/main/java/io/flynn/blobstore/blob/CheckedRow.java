package io.flynn.blobstore.blob;

import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;

/**
 * One row of {@code files} as a check sees it: whatever it says, sense or not.
 *
 * @param id {@code file_id}
 * @param name as clients called it
 * @param backend where the row says that the bytes are; perhaps no backend's name at all
 * @param oid the large object that it names
 * @param key the object that it names
 * @param size bytes, as recorded; empty if it never was, or can't be one
 * @param sha512 as recorded; empty if it never was
 * @param isLive whether anybody can read it
 * @param largeObjectSize bytes of the large object, as it was in the same snapshot; empty if it isn't there, or if the row isn't
 *     live or its bytes are elsewhere
 */
public record CheckedRow(
        UUID id,
        String name,
        String backend,
        OptionalLong oid,
        Optional<ObjectKey> key,
        OptionalLong size,
        Optional<Sha512> sha512,
        boolean isLive,
        OptionalLong largeObjectSize) {

    public boolean isInPostgres() {
        return backend.equals(BackendName.POSTGRES.value());
    }

    /** Whether it says which bytes are the blob, and how many. */
    public boolean isWhole() {
        return size.isPresent() && (isInPostgres() ? oid.isPresent() : key.isPresent());
    }
}
