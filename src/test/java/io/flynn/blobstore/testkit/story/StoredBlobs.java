package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.io.InputStream;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/** The rows, and the bytes that they point to: large objects by the driver's own API, objects by a client of our own. Thread-safe. */
public final class StoredBlobs implements AutoCloseable {

    private static final String POSTGRES = "postgres";

    /** SQLSTATE undefined_object. */
    private static final String NO_SUCH_OBJECT = "42704";

    private static final String LIVE_ROW = """
            SELECT file_id, file_oid, external_id, backend, name, size, sha512 FROM files
            WHERE name = ? AND deleted_at IS NULL
            """;

    private static final String LIVE_ROWS = """
            SELECT file_id, file_oid, external_id, backend, name, size, sha512 FROM files WHERE deleted_at IS NULL
            """;

    private final Database database;
    private final Bucket bucket;

    public StoredBlobs(Database database, Bucket bucket) {
        this.database = database;
        this.bucket = bucket;
    }

    /** A row as it is in the database. */
    public record Row(
            String id,
            @Nullable Long oid,
            @Nullable String externalId,
            String backend,
            String name,
            long size,
            @Nullable String sha512) {

        static Row of(ResultSet row) throws SQLException {
            long oid = row.getLong("file_oid");
            boolean hasOid = !row.wasNull();
            byte @Nullable [] sha512 = row.getBytes("sha512");
            return new Row(
                    row.getString("file_id"),
                    hasOid ? oid : null,
                    row.getString("external_id"),
                    row.getString("backend"),
                    row.getString("name"),
                    row.getLong("size"),
                    sha512 == null ? null : HexFormat.of().formatHex(sha512));
        }

        public boolean isAtPostgres() {
            return backend.equals(POSTGRES);
        }

        public boolean agreesWith(Fingerprint bytes) {
            return size == bytes.size() && (sha512 == null || sha512.equals(bytes.sha512()));
        }
    }

    /**
     * @param bytes what the row points to; empty if it points to nothing
     */
    public record Stored(Row row, Optional<Fingerprint> bytes) {}

    /** The live row of this name and, in the same snapshot, its bytes. */
    public Optional<Stored> read(String name) throws SQLException, IOException {
        try (Connection connection = connect()) {
            return read(connection, name);
        }
    }

    /** For many names one after the other: a connection for each would take longer than reading them. */
    Connection connect() throws SQLException {
        Connection connection = database.connect();
        connection.setAutoCommit(false);
        connection.setReadOnly(true);
        connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        return connection;
    }

    /**
     * @param connection from {@link #connect}; each call has a snapshot of its own
     */
    Optional<Stored> read(Connection connection, String name) throws SQLException, IOException {
        try (PreparedStatement select = connection.prepareStatement(LIVE_ROW)) {
            select.setString(1, name);
            try (ResultSet found = select.executeQuery()) {
                if (!found.next()) {
                    return Optional.empty();
                }
                Row row = Row.of(found);
                return Optional.of(new Stored(row, row.isAtPostgres() ? largeObject(connection, row) : object(row)));
            } finally {
                connection.rollback();
            }
        }
    }

    /** All live rows by name. */
    public Map<String, Row> rows() throws SQLException {
        Map<String, Row> rows = new TreeMap<>();
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement();
                ResultSet found = statement.executeQuery(LIVE_ROWS)) {
            while (found.next()) {
                Row row = Row.of(found);
                rows.put(row.name(), row);
            }
        }
        return rows;
    }

    /** All that the database has, whether a row points to it or not. */
    public long largeObjects() throws SQLException {
        return database.number("SELECT count(*) FROM pg_largeobject_metadata");
    }

    /**
     * How many objects are in the bucket that no row names. Those of deleted blobs stay for a while, since URLs to them are still
     * out, and are named by their rows. The owner's mark is no blob.
     */
    public long strayObjects() throws SQLException {
        Set<String> keys = new HashSet<>(bucket.sizes().keySet());
        keys.remove("blobstore-owner");
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement();
                ResultSet found =
                        statement.executeQuery("SELECT external_id FROM files WHERE external_id IS NOT NULL")) {
            while (found.next()) {
                keys.remove(found.getString(1));
            }
        }
        return keys.size();
    }

    private Optional<Fingerprint> object(Row row) throws IOException {
        return row.externalId() == null ? Optional.empty() : bucket.read(row.externalId());
    }

    private static Optional<Fingerprint> largeObject(Connection connection, Row row) throws SQLException, IOException {
        Long oid = row.oid();
        if (oid == null) {
            return Optional.empty();
        }
        LargeObject object;
        try {
            object = connection.unwrap(PGConnection.class).getLargeObjectAPI().open(oid, LargeObjectManager.READ);
        } catch (SQLException e) {
            if (NO_SUCH_OBJECT.equals(e.getSQLState())) {
                return Optional.empty();
            }
            throw e;
        }
        try (object;
                InputStream bytes = object.getInputStream(1 << 20, Long.MAX_VALUE)) {
            return Optional.of(Fingerprint.of(bytes));
        }
    }

    @Override
    public void close() {
        bucket.close();
    }
}
