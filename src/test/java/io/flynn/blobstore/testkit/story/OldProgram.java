package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.Optional;
import java.util.UUID;

/**
 * What the old program does for a request, statement by statement, with the habits that lose data (BLOBSTORE-PROTOCOL, "What goes
 * wrong with it"): an append writes the large object before it touches the row, an overwrite deletes the external object before it
 * commits, and a delete takes the name for a regular expression. The caller begins and ends the transaction.
 */
final class OldProgram {

    /** Where the bucket is in rows. */
    private static final String EXTERNAL = "s3main";

    private final Optional<Bucket> bucket;
    private final boolean isBucketDefault;

    /** @param bucket where new blobs go; empty = into the database */
    OldProgram(Optional<Bucket> bucket) {
        this.bucket = bucket;
        isBucketDefault = bucket.isPresent();
    }

    /** @param isDefault whether new blobs go to the bucket */
    OldProgram(Bucket bucket, boolean isDefault) {
        this.bucket = Optional.of(bucket);
        isBucketDefault = isDefault;
    }

    /** What may happen between two statements. */
    @FunctionalInterface
    interface Pause {
        void pause() throws InterruptedException;
    }

    private record Row(String id, long oid, String externalId, String backend, long size) {

        boolean isInPostgres() {
            return backend.equals("postgres");
        }
    }

    /** The blob's bytes, from where its row says that they are; empty if there is no such name. */
    Optional<byte[]> bytes(Connection connection, String name) throws SQLException, IOException {
        Optional<Row> row = find(connection, name);
        if (row.isEmpty()) {
            return Optional.empty();
        }
        if (!row.get().isInPostgres()) {
            return bucket.orElseThrow().bytes(row.get().externalId());
        }
        try (PreparedStatement get = connection.prepareStatement("SELECT lo_get(?, 0, ?)")) {
            get.setLong(1, row.get().oid());
            get.setInt(2, (int) row.get().size());
            try (ResultSet bytes = get.executeQuery()) {
                bytes.next();
                return Optional.of(bytes.getBytes(1));
            }
        }
    }

    /**
     * Makes a blob that exists longer.
     *
     * @param whole with {@code more} at its end
     * @return whether the blob was moved meanwhile
     */
    boolean append(Connection connection, String name, byte[] whole, byte[] more, Pause between)
            throws SQLException, IOException, InterruptedException {
        Row row = read(connection, name);
        Optional<String> replaced = Optional.empty();
        if (row.isInPostgres()) {
            int size = whole.length - more.length;
            int half = more.length / 2;
            put(connection, row.oid(), size, more, 0, half);
            between.pause();
            put(connection, row.oid(), size + half, more, half, more.length);
            between.pause();
        } else {
            replaced = Optional.of(row.externalId());
            String key = UUID.randomUUID().toString();
            between.pause();
            bucket.orElseThrow().write(key, whole);
            update(connection, "UPDATE files SET external_id = ?::uuid WHERE file_id = ?::uuid", key, row.id());
        }
        boolean isMoved = !read(connection, name).backend().equals(row.backend());
        describe(connection, row.id(), whole);
        if (replaced.isPresent()) {
            bucket.orElseThrow().delete(replaced.get());
        }
        return isMoved;
    }

    /** The first half of an overwrite, if there is anything to overwrite. */
    void deleteOld(Connection connection, String name) throws SQLException, IOException {
        Optional<Row> row = find(connection, name);
        if (row.isPresent()) {
            update(
                    connection,
                    "UPDATE files SET deleted_at = now() WHERE file_id = ?::uuid",
                    row.get().id());
            deleteObject(row.get());
        }
    }

    /** The second half of an overwrite, or an upload of a new name, to where new blobs go. */
    void insert(Connection connection, String name, String type, byte[] bytes) throws SQLException, IOException {
        if (!isBucketDefault) {
            insertAtPostgres(connection, name, type, bytes);
            return;
        }
        String key = UUID.randomUUID().toString();
        String id = insertRow(connection, name, type, EXTERNAL);
        bucket.orElseThrow().write(key, bytes);
        update(connection, "UPDATE files SET external_id = ?::uuid WHERE file_id = ?::uuid", key, id);
        describe(connection, id, bytes);
    }

    static void insertAtPostgres(Connection connection, String name, String type, byte[] bytes) throws SQLException {
        long oid = Database.number(connection, "SELECT lo_create(0)");
        put(connection, oid, 0, bytes, 0, bytes.length);
        String id = insertRow(connection, name, type, "postgres");
        update(connection, "UPDATE files SET file_oid = ?::oid WHERE file_id = ?::uuid", Long.toString(oid), id);
        describe(connection, id, bytes);
    }

    /** Every name that the regular expression matches, and what is below it. */
    void delete(Connection connection, String name) throws SQLException, IOException {
        try (PreparedStatement delete = connection.prepareStatement(
                "UPDATE files SET deleted_at = now() WHERE deleted_at IS NULL AND name ~ ('^' || ? || '(/.*)?$')"
                        + " RETURNING file_id, coalesce(file_oid, 0), external_id, backend, size")) {
            delete.setString(1, name);
            try (ResultSet rows = delete.executeQuery()) {
                while (rows.next()) {
                    deleteObject(row(rows));
                }
            }
        }
    }

    private void deleteObject(Row row) throws IOException {
        if (!row.externalId().isEmpty() && !row.isInPostgres()) {
            bucket.orElseThrow().delete(row.externalId());
        }
    }

    private static String insertRow(Connection connection, String name, String type, String backend)
            throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement(
                "INSERT INTO files (backend, name, type, size) VALUES (?, ?, ?, 0) RETURNING file_id")) {
            insert.setString(1, backend);
            insert.setString(2, name);
            insert.setString(3, type);
            try (ResultSet row = insert.executeQuery()) {
                row.next();
                return row.getString(1);
            }
        }
    }

    /** The last statement of every upload: it takes the row's lock, which nothing before it did. */
    private static void describe(Connection connection, String id, byte[] whole) throws SQLException {
        try (PreparedStatement update = connection.prepareStatement(
                "UPDATE files SET size = ?, sha512 = decode(?, 'hex'), sha512_state = NULL, updated_at = now()"
                        + " WHERE file_id = ?::uuid")) {
            update.setLong(1, whole.length);
            update.setString(2, Fingerprint.of(whole).sha512());
            update.setString(3, id);
            if (update.executeUpdate() != 1) {
                throw new SQLException("the row is gone");
            }
        }
    }

    private static void put(Connection connection, long oid, long offset, byte[] bytes, int from, int to)
            throws SQLException {
        try (PreparedStatement put = connection.prepareStatement("SELECT lo_put(?, ?, ?)")) {
            put.setLong(1, oid);
            put.setLong(2, offset);
            put.setBytes(3, Arrays.copyOfRange(bytes, from, to));
            put.execute();
        }
    }

    private static void update(Connection connection, String sql, String... arguments) throws SQLException {
        try (PreparedStatement update = connection.prepareStatement(sql)) {
            for (int i = 0; i < arguments.length; i++) {
                update.setString(i + 1, arguments[i]);
            }
            update.executeUpdate();
        }
    }

    private static Row read(Connection connection, String name) throws SQLException {
        return find(connection, name).orElseThrow(() -> new SQLException("no row for " + name));
    }

    private static Optional<Row> find(Connection connection, String name) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement(
                "SELECT file_id, coalesce(file_oid, 0), external_id, backend, size FROM files"
                        + " WHERE name = ? AND deleted_at IS NULL")) {
            select.setString(1, name);
            try (ResultSet rows = select.executeQuery()) {
                return rows.next() ? Optional.of(row(rows)) : Optional.empty();
            }
        }
    }

    private static Row row(ResultSet rows) throws SQLException {
        String externalId = rows.getString(3);
        return new Row(
                rows.getString(1),
                rows.getLong(2),
                externalId == null ? "" : externalId,
                rows.getString(4),
                rows.getLong(5));
    }
}
