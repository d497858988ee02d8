package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.blob.BlobVersion;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.NameRefused;
import io.flynn.blobstore.store.Precondition;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.OffsetDateTime;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.UUID;

/** Finds, locks and replaces a name's live row, inside a transaction of the caller's. */
final class LiveRows {

    /** Each turn is lost only to another change of the same name that was committed meanwhile. */
    static final int TURNS_MAX = 50;

    /** An old server's overwrite holds its row for a whole upload: not worth a connection to wait longer for. */
    static final String LOCK_TIMEOUT = "20s";

    private static final String WAIT_FOR_LOCKS = "SET LOCAL lock_timeout = '" + LOCK_TIMEOUT + "'";

    private static final String FIND = """
            SELECT file_id, backend, file_oid, external_id, type, coalesce(size, -1), sha512, updated_at
            FROM files WHERE name = ? AND deleted_at IS NULL
            """;

    /**
     * What is small comes with its row: one statement, one snapshot, one round trip. Larger ones would fill the memory of as many
     * requests.
     */
    static final int SMALL_BYTES = 64 * 1024;

    private static final String FIND_WITH_BYTES = """
            SELECT file_id, backend, file_oid, external_id, type, coalesce(size, -1), sha512, updated_at,
                CASE WHEN backend = 'postgres' AND size BETWEEN 0 AND %d
                    AND EXISTS (SELECT FROM pg_largeobject_metadata m WHERE m.oid = f.file_oid)
                THEN lo_get(file_oid, 0, size::int) END
            FROM files f WHERE name = ? AND deleted_at IS NULL
            """.formatted(SMALL_BYTES);

    /** What is only replaced need not have a size. */
    private static final String LOOK = """
            SELECT file_id, backend, file_oid, external_id, type, coalesce(size, 0), sha512, updated_at
            FROM files WHERE name = ? AND deleted_at IS NULL
            """;

    private static final String LOCK = LOOK + "FOR UPDATE";

    private static final String SHARE = FIND + "FOR SHARE";

    /** A large object that is missing is forgotten first, since the trigger would fail to unlink it. */
    static final String SOFT_DELETE = """
            UPDATE files f SET deleted_at = clock_timestamp(),
                file_oid = (SELECT m.oid FROM pg_largeobject_metadata m WHERE m.oid = f.file_oid)
            """;

    private static final String RETIRE = SOFT_DELETE + "WHERE f.file_id = ?";

    /** 54000: too long for an index; 22021 and 22P05: characters that the database's encoding lacks. */
    private static final Set<String> NAME_REFUSED = Set.of("54000", "22021", "22P05");

    private LiveRows() {}

    /** Makes a row the name's live one. */
    @FunctionalInterface
    interface Activation {
        /** @return false, with nothing done, if the name has a live row all the same */
        boolean on(Connection connection) throws SQLException;
    }

    static Optional<BlobVersion> find(Connection connection, BlobName name) throws SQLException {
        return one(connection, FIND, name);
    }

    /**
     * @param bytes what the large object holds of the version's bytes, if they are few; empty = to be read by themselves, if they
     *     are in the database at all
     */
    record Found(BlobVersion version, Optional<byte[]> bytes) {

        boolean isWithoutItsBytes() {
            return version.isInPostgres() && bytes.isEmpty();
        }
    }

    /** The same with its bytes, if they are few. */
    static Optional<Found> findWithBytes(Connection connection, BlobName name) throws SQLException {
        return one(
                connection,
                FIND_WITH_BYTES,
                name,
                rows -> new Found(version(rows), Optional.ofNullable(rows.getBytes(9))));
    }

    /** The same for whom the size doesn't matter: a row without one is found, too. */
    static Optional<BlobVersion> look(Connection connection, BlobName name) throws SQLException {
        return one(connection, LOOK, name);
    }

    /** The row as it stays until the transaction ends: nobody moves, deletes or replaces it, and others may share it. */
    static Optional<BlobVersion> share(Connection connection, BlobName name) throws SQLException {
        waitForLocksOnly(connection);
        return one(connection, SHARE, name);
    }

    /**
     * The row, for nobody else until the transaction ends; empty only if there was none at one instant after the call.
     *
     * @throws StorageFailure.Busy if the name is replaced without pause
     */
    static Optional<BlobVersion> lock(Connection connection, BlobName name) throws SQLException {
        waitForLocksOnly(connection);
        for (int turn = 0; turn < TURNS_MAX; turn++) {
            Optional<BlobVersion> locked = one(connection, LOCK, name);
            // A row that was waited for and is gone then leaves nothing, whatever took its place.
            if (locked.isPresent() || look(connection, name).isEmpty()) {
                return locked;
            }
        }
        throw contended();
    }

    /**
     * Soft-deletes the name's live row and activates another, if {@code precondition} holds of the former.
     *
     * @throws NameRefused if the database can't hold the name
     */
    static void publish(Connection connection, BlobName name, Precondition precondition, Activation activation)
            throws SQLException {
        try {
            // A change that commits between the two statements makes a live row that the first one can't have seen.
            for (int turn = 0; turn < TURNS_MAX; turn++) {
                Optional<BlobVersion> live = lock(connection, name);
                precondition.check(live);
                if (live.isPresent()) {
                    retire(connection, live.get());
                }
                if (activation.on(connection)) {
                    return;
                }
            }
        } catch (SQLException e) {
            throw refusedOr(name, e);
        }
        throw contended();
    }

    static void waitForLocksOnly(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(WAIT_FOR_LOCKS);
        }
    }

    /** Returned for throwing: an exception that means the name is told as such. */
    static SQLException refusedOr(BlobName name, SQLException e) {
        if (NAME_REFUSED.contains(e.getSQLState())) {
            throw new NameRefused(name, e);
        }
        return e;
    }

    static StorageFailure.Busy contended() {
        return new StorageFailure.Busy(
                Reasons.DATABASE_BUSY, "could not change a name: others change it without pause", null);
    }

    private static void retire(Connection connection, BlobVersion version) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(RETIRE)) {
            statement.setObject(1, version.id());
            statement.executeUpdate();
        }
    }

    @FunctionalInterface
    private interface Row<T> {
        T of(ResultSet rows) throws SQLException;
    }

    private static Optional<BlobVersion> one(Connection connection, String query, BlobName name) throws SQLException {
        return one(connection, query, name, LiveRows::version);
    }

    private static <T> Optional<T> one(Connection connection, String query, BlobName name, Row<T> row)
            throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(query)) {
            statement.setString(1, name.value());
            try (ResultSet rows = statement.executeQuery()) {
                return rows.next() ? Optional.of(row.of(rows)) : Optional.empty();
            }
        } catch (SQLException e) {
            throw refusedOr(name, e);
        }
    }

    private static BlobVersion version(ResultSet rows) throws SQLException {
        long size = rows.getLong(6);
        if (size < 0) {
            throw new StorageFailure.Corrupt(Reasons.SIZE_DIFFERS, "the blob's row has no size", null);
        }
        long oid = rows.getLong(3);
        OptionalLong largeObject = rows.wasNull() ? OptionalLong.empty() : OptionalLong.of(oid);
        return new BlobVersion(
                rows.getObject(1, UUID.class),
                rows.getString(2),
                largeObject,
                Optional.ofNullable(rows.getObject(4, UUID.class)).map(ObjectKey::new),
                rows.getString(5),
                size,
                Optional.ofNullable(rows.getBytes(7))
                        .filter(digest -> digest.length == Sha512.LENGTH)
                        .map(Sha512::new),
                rows.getObject(8, OffsetDateTime.class).toInstant());
    }
}
