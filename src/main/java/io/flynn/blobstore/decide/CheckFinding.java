package io.flynn.blobstore.decide;

import io.flynn.blobstore.blob.CheckedRow;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;

/**
 * One thing that a check found.
 *
 * @param kind what
 * @param backend where
 * @param row the row's {@code file_id}, if it is about one
 * @param name what clients call the blob; user data
 * @param key the object's or the upload's key
 * @param oid the large object
 * @param recordedSize bytes by the row
 * @param foundSize bytes that are there
 * @param rows how many it is about, if it is about many
 * @param message one line for people; may be empty
 */
public record CheckFinding(
        Kind kind,
        String backend,
        Optional<UUID> row,
        Optional<String> name,
        Optional<String> key,
        OptionalLong oid,
        OptionalLong recordedSize,
        OptionalLong foundSize,
        OptionalLong rows,
        String message) {

    /** How bad it is. */
    public enum Weight {
        /** Takes up space, harms nobody. */
        LEFTOVER,
        /** Could not be looked at, or not to the end: a later check may. */
        UNKNOWN,
        /** A blob that can't be read as it was stored. */
        WRONG
    }

    /** All that a check can find. */
    public enum Kind {
        /** A live row doesn't say where its bytes are, or how many. */
        ROW_INCOMPLETE(Weight.WRONG),
        /** The large object that a live row names isn't there. */
        LARGE_OBJECT_MISSING(Weight.WRONG),
        /** The large object is longer or shorter than its row says. */
        LARGE_OBJECT_SIZE_DIFFERS(Weight.WRONG),
        /** The large object holds other bytes than its row says. */
        LARGE_OBJECT_BYTES_DIFFER(Weight.WRONG),
        /** The object that a live row names isn't there. */
        OBJECT_MISSING(Weight.WRONG),
        /** The object is longer or shorter than its row says. */
        OBJECT_SIZE_DIFFERS(Weight.WRONG),
        /** The object holds other bytes than its row says. */
        OBJECT_BYTES_DIFFER(Weight.WRONG),
        /** Live rows are in a backend that the environment lacks, or has wrongly: a server with it can't serve them. */
        BACKEND_UNKNOWN(Weight.WRONG),
        /** Deleted rows are in such a backend: their objects stay. */
        RETIRED_BACKEND_UNKNOWN(Weight.LEFTOVER),
        /** No row names the object. */
        OBJECT_ORPHANED(Weight.LEFTOVER),
        /** A live row elsewhere would name the object once it is moved: a migration is under way, or broke off. */
        OBJECT_NOT_FLIPPED(Weight.LEFTOVER),
        /** No row names the unfinished multipart upload. */
        UPLOAD_ORPHANED(Weight.LEFTOVER),
        /** No row names the large object. */
        LARGE_OBJECT_ORPHANED(Weight.LEFTOVER),
        /** Whenever it was looked at again, it had changed, or somebody was changing it. */
        UNDECIDED(Weight.UNKNOWN),
        /** The database or the store can't be looked at. */
        NOT_CHECKED(Weight.UNKNOWN);

        private final Weight weight;

        Kind(Weight weight) {
            this.weight = weight;
        }

        public Weight weight() {
            return weight;
        }
    }

    /** About a live row. */
    public static CheckFinding ofRow(Kind kind, CheckedRow row, OptionalLong foundSize, String message) {
        return new CheckFinding(
                kind,
                row.backend(),
                Optional.of(row.id()),
                Optional.of(row.name()),
                row.isInPostgres() ? Optional.empty() : row.key().map(Object::toString),
                row.isInPostgres() ? row.oid() : OptionalLong.empty(),
                row.size(),
                foundSize,
                OptionalLong.empty(),
                message);
    }

    /** About an object, or an upload that isn't finished. */
    public static CheckFinding ofKey(Kind kind, String backend, String key, OptionalLong size, String message) {
        return new CheckFinding(
                kind,
                backend,
                Optional.empty(),
                Optional.empty(),
                Optional.of(key),
                OptionalLong.empty(),
                OptionalLong.empty(),
                size,
                OptionalLong.empty(),
                message);
    }

    /** About a large object that no row names. */
    public static CheckFinding ofLargeObject(Kind kind, String backend, long oid, OptionalLong size) {
        return new CheckFinding(
                kind,
                backend,
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                OptionalLong.of(oid),
                OptionalLong.empty(),
                size,
                OptionalLong.empty(),
                "");
    }

    /** About a backend as a whole. */
    public static CheckFinding ofBackend(Kind kind, String backend, OptionalLong rows, String message) {
        return new CheckFinding(
                kind,
                backend,
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                OptionalLong.empty(),
                OptionalLong.empty(),
                OptionalLong.empty(),
                rows,
                message);
    }
}
