package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.PreparedStatement;
import java.sql.ResultSet;

/** Facts about a whole database that a plan or a probe needs. Reads only; thread-safe; all methods block. */
public final class Inventory {

    private static final String HAS_SCHEMA = """
            SELECT count(*) = 4 FROM pg_attribute WHERE attrelid = to_regclass('files') AND NOT attisdropped
                AND attname IN ('file_oid', 'external_id', 'backend', 'sha512')""";

    private static final String LARGEST =
            "SELECT coalesce(max(f.size), 0) FROM files f WHERE" + InScope.CONDITION + "AND f.deleted_at IS NULL";

    private static final String WITHOUT_DIGEST =
            "SELECT count(*) FROM files f WHERE" + InScope.CONDITION + "AND f.deleted_at IS NULL AND f.sha512 IS NULL";

    /** Unlinking needs the owner's rights; {@code lo_compat_privileges} lifts that. */
    private static final String NOT_OURS = """
            SELECT count(*) FROM files f JOIN pg_largeobject_metadata m ON m.oid = f.file_oid
            WHERE""" + InScope.CONDITION + """
            AND f.deleted_at IS NULL AND NOT pg_has_role(m.lomowner, 'USAGE')
                AND current_setting('lo_compat_privileges') = 'off'""";

    private static final String IDENTITY = """
            SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' || oid
            FROM pg_database WHERE datname = current_database()""";

    private final Database database;

    public Inventory(Database database) {
        this.database = database;
    }

    /** Whether {@code files} is there, in the form that every server since 2016 has made. */
    public boolean hasSchema() {
        return database.with("look at the tables", connection -> {
            try (PreparedStatement statement = connection.prepareStatement(HAS_SCHEMA);
                    ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getBoolean(1);
            }
        });
    }

    /** @throws StorageFailure.Missing if {@link #hasSchema} says no */
    public void requireSchema() {
        if (!hasSchema()) {
            throw new StorageFailure.Missing(
                    Reasons.SCHEMA_UNKNOWN,
                    "the database has no table files as blobstores since 2016 make it; is PGDATABASE right?",
                    null);
        }
    }

    /** Bytes of the largest live blob at {@code backend}, of those in scope. */
    public long largestBlob(BackendName backend, BlobFilter filter) {
        return number(LARGEST, backend, filter);
    }

    /** Live rows at {@code backend} and in scope whose digest was never recorded. */
    public long withoutDigest(BackendName backend, BlobFilter filter) {
        return number(WITHOUT_DIGEST, backend, filter);
    }

    /** Live rows at {@code backend} and in scope whose large objects this role may not unlink. */
    public long notUnlinkable(BackendName backend, BlobFilter filter) {
        return number(NOT_OURS, backend, filter);
    }

    /** Which database this is: a restored copy of a cluster has the same system identifier, another database another oid. */
    public String identity() {
        return database.with("identify the database", connection -> {
            try (PreparedStatement statement = connection.prepareStatement(IDENTITY);
                    ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getString(1);
            }
        });
    }

    private long number(String query, BackendName backend, BlobFilter filter) {
        return database.with("look at the rows at " + backend, connection -> {
            try (PreparedStatement statement = connection.prepareStatement(query)) {
                InScope.bind(statement, 1, backend, filter);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    return rows.getLong(1);
                }
            }
        });
    }
}
