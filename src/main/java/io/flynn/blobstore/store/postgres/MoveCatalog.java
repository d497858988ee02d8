package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The rows of {@code files}, as a move reads and changes them. Every change is guarded by all that was read of the row, so it
 * applies to what was seen or not at all; {@code updated_at} is never touched, since it is {@code Last-Modified}.
 *
 * <p>Thread-safe; all methods block and throw {@link io.flynn.blobstore.store.StorageFailure}.
 */
public final class MoveCatalog {

    private static final String COLUMNS =
            "f.file_id, f.file_oid, f.external_id, f.backend, f.type, coalesce(f.size, -1), f.sha512, f.deleted_at IS NOT NULL";

    private static final String COUNT =
            "SELECT count(*), coalesce(sum(size), 0) FROM files WHERE backend = ? AND deleted_at IS NULL";

    private static final String COUNT_UNCLEANED = COUNT + " AND file_oid IS NOT NULL";

    private static final String PAGE = "SELECT " + COLUMNS
            + " FROM files f WHERE f.backend = ? AND f.deleted_at IS NULL AND f.file_id > ? ORDER BY f.file_id LIMIT ?";

    private static final String PAGE_UNCLEANED = "SELECT " + COLUMNS
            + " FROM files f WHERE f.backend = ? AND f.deleted_at IS NULL AND f.file_oid IS NOT NULL AND f.file_id > ?"
            + " ORDER BY f.file_id LIMIT ?";

    private static final String ROW = "SELECT " + COLUMNS + " FROM files f WHERE f.file_id = ?";

    /**
     * Takes the rows FOR UPDATE, passing over those that somebody holds: an old server's overwrite holds its row for a whole
     * upload. In READ COMMITTED the lock brings the newest version, which the guard then judges.
     */
    private static final String FLIP = """
            WITH wanted AS (
                SELECT * FROM unnest(?::uuid[], ?::oid[], ?::bigint[], ?::bytea[], ?::uuid[], ?::bytea[])
                    AS w(id, oid, size, sha512, key, found)
            ), locked AS (
                SELECT f.file_id FROM files f JOIN wanted w ON f.file_id = w.id ORDER BY f.file_id FOR UPDATE OF f SKIP LOCKED
            )
            UPDATE files f SET backend = ?, external_id = w.key, sha512 = w.found
            FROM wanted w JOIN locked l ON l.file_id = w.id
            WHERE f.file_id = w.id AND f.backend = ? AND f.file_oid = w.oid AND f.size = w.size
                AND f.sha512 IS NOT DISTINCT FROM w.sha512 AND f.deleted_at IS NULL
            RETURNING f.file_id""";

    private static final String UNFLIP = """
            UPDATE files SET backend = 'postgres', external_id = NULL
            WHERE file_id IN (SELECT file_id FROM files WHERE file_id = ? FOR UPDATE SKIP LOCKED)
                AND backend = ? AND external_id IS NOT DISTINCT FROM ?::uuid AND file_oid = ? AND size = ?
                AND sha512 IS NOT DISTINCT FROM ? AND deleted_at IS NULL""";

    /** No row while a transaction that is not over has changed it, or is about to. */
    private static final String IF_FREE = "SELECT 1 FROM files WHERE file_id = ? FOR SHARE SKIP LOCKED";

    /** Two rows may share a large object: it goes with the last of them. */
    private static final String CLEAN = """
            WITH wanted AS (
                SELECT * FROM unnest(?::uuid[], ?::oid[], ?::bigint[], ?::bytea[], ?::uuid[])
                    AS w(id, oid, size, sha512, key)
            ), locked AS (
                SELECT f.file_id FROM files f JOIN wanted w ON f.file_id = w.id ORDER BY f.file_id FOR UPDATE OF f SKIP LOCKED
            )
            UPDATE files f SET file_oid = NULL
            FROM wanted w JOIN locked l ON l.file_id = w.id
            WHERE f.file_id = w.id AND f.backend = ? AND f.external_id = w.key AND f.file_oid = w.oid AND f.size = w.size
                AND f.sha512 IS NOT DISTINCT FROM w.sha512 AND f.deleted_at IS NULL
            RETURNING f.file_id, w.oid""";

    private static final String UNLINK = """
            SELECT lo_unlink(w.oid) FROM (SELECT DISTINCT oid FROM unnest(?::oid[]) AS u(oid)) w
            WHERE EXISTS (SELECT FROM pg_largeobject_metadata m WHERE m.oid = w.oid)
                AND NOT EXISTS (SELECT FROM files f WHERE f.file_oid = w.oid)""";

    /** One statement unlinks a whole blob: at 1 MB/s, a disk that hardly works, the largest that moves takes 85 minutes. */
    private static final Duration UNLINK_PATIENCE = Duration.ofHours(2);

    /**
     * Stands for a recorded digest that can't be one, so that the row is named as one whose bytes differ instead of ending the
     * run. No guarded change applies to such a row.
     */
    private static final Sha512 NO_BYTES_HAVE_IT = new Sha512(new byte[Sha512.LENGTH]);

    private static final UUID BEFORE_ALL = new UUID(0, 0);

    private final Database database;

    public MoveCatalog(Database database) {
        this.database = database;
    }

    /** Live rows and their bytes. */
    public record Count(long blobs, long bytes) {}

    /**
     * A proven move of one blob.
     *
     * @param row as it was read
     * @param key where the bytes now lie, too
     * @param digest theirs; recorded in a row that had none
     */
    public record Flip(BlobRow row, ObjectKey key, Sha512 digest) {}

    /** Live rows whose blobs are at {@code backend}: a plain count, not blind to locked rows. */
    public Count count(BackendName backend) {
        return count(COUNT, backend);
    }

    /** Those of them that still have their large object. */
    public Count countUncleaned(BackendName backend) {
        return count(COUNT_UNCLEANED, backend);
    }

    /** Live rows at {@code backend} in the order of their ids, without locks. */
    public List<BlobRow> page(BackendName backend, Optional<UUID> after, int limit) {
        return page(PAGE, backend, after, limit);
    }

    /** As {@link #page}, but only rows that still have their large object. */
    public List<BlobRow> pageUncleaned(BackendName backend, Optional<UUID> after, int limit) {
        return page(PAGE_UNCLEANED, backend, after, limit);
    }

    /** The row as it is now; empty if there is none. */
    public Optional<BlobRow> row(UUID id) {
        return database.with("read row " + id, connection -> {
            try (PreparedStatement statement = connection.prepareStatement(ROW)) {
                statement.setObject(1, id);
                try (ResultSet rows = statement.executeQuery()) {
                    return rows.next() ? Optional.of(row(rows)) : Optional.empty();
                }
            }
        });
    }

    /**
     * Whether a writer holds the row: what it did to the row can't be seen yet, but what it did to the store can (an old
     * server's overwrite deletes the object before it commits).
     */
    public boolean isHeld(UUID id) {
        return database.with("look whether row " + id + " is held", connection -> {
            try (PreparedStatement statement = connection.prepareStatement(IF_FREE)) {
                statement.setObject(1, id);
                try (ResultSet free = statement.executeQuery()) {
                    return !free.next();
                }
            }
        });
    }

    /**
     * Points the rows at the target, all in one transaction, each only if it still is what was read and nobody holds it. The
     * large objects stay.
     *
     * @return the ids of those that were flipped; the others were changed or are busy
     */
    public Set<UUID> flip(List<Flip> flips, BackendName from, BackendName to) {
        return database.inTransaction("flip " + flips.size() + " rows to " + to, connection -> {
            try (PreparedStatement statement = connection.prepareStatement(FLIP)) {
                List<BlobRow> rows = flips.stream().map(Flip::row).toList();
                setRows(statement, connection, rows);
                statement.setArray(
                        5,
                        uuids(
                                connection,
                                flips.stream().map(flip -> flip.key().value()).toArray(UUID[]::new)));
                statement.setArray(
                        6,
                        digests(
                                connection,
                                flips.stream()
                                        .map(flip -> Optional.of(flip.digest()))
                                        .toList()));
                statement.setString(7, to.value());
                statement.setString(8, from.value());
                return ids(statement);
            }
        });
    }

    /** Points a row back at its large object, if it still is what was read and nobody holds it; false if it isn't. */
    public boolean unflip(BlobRow row) {
        return database.with("put row " + row.id() + " back", connection -> {
            try (PreparedStatement statement = connection.prepareStatement(UNFLIP)) {
                statement.setObject(1, row.id());
                statement.setString(2, row.backend().value());
                statement.setString(3, row.externalId().map(ObjectKey::toString).orElse(null));
                statement.setLong(4, row.oid().orElseThrow());
                statement.setLong(5, row.size());
                statement.setBytes(6, row.sha512().map(Sha512::bytes).orElse(null));
                return statement.executeUpdate() == 1;
            }
        });
    }

    /**
     * Forgets the large objects of rows whose bytes were just proven at the target, and unlinks them, all in one transaction;
     * each only if its row still is what was read and nobody holds it.
     *
     * @param rows at most 500: every unlink takes a lock, and the lock table is small
     * @return the ids of those that were cleaned
     */
    public Set<UUID> clean(List<BlobRow> rows, BackendName backend) {
        return database.inTransaction("unlink " + rows.size() + " large objects", UNLINK_PATIENCE, connection -> {
            Set<UUID> cleaned = new HashSet<>();
            List<Long> oids = new ArrayList<>();
            try (PreparedStatement statement = connection.prepareStatement(CLEAN)) {
                setRows(statement, connection, rows);
                statement.setArray(
                        5,
                        uuids(
                                connection,
                                rows.stream()
                                        .map(row ->
                                                row.externalId().orElseThrow().value())
                                        .toArray(UUID[]::new)));
                statement.setString(6, backend.value());
                try (ResultSet result = statement.executeQuery()) {
                    while (result.next()) {
                        cleaned.add(result.getObject(1, UUID.class));
                        oids.add(result.getLong(2));
                    }
                }
            }
            try (PreparedStatement statement = connection.prepareStatement(UNLINK)) {
                statement.setArray(1, connection.createArrayOf("int8", oids.toArray(Long[]::new)));
                statement.executeQuery().close();
            }
            return cleaned;
        });
    }

    private Count count(String query, BackendName backend) {
        return database.with("count rows at " + backend, connection -> {
            try (PreparedStatement statement = connection.prepareStatement(query)) {
                statement.setString(1, backend.value());
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    return new Count(rows.getLong(1), rows.getLong(2));
                }
            }
        });
    }

    private List<BlobRow> page(String query, BackendName backend, Optional<UUID> after, int limit) {
        return database.with("list rows at " + backend, connection -> {
            try (PreparedStatement statement = connection.prepareStatement(query)) {
                statement.setString(1, backend.value());
                statement.setObject(2, after.orElse(BEFORE_ALL));
                statement.setInt(3, limit);
                List<BlobRow> page = new ArrayList<>();
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) {
                        page.add(row(rows));
                    }
                }
                return page;
            }
        });
    }

    /** The first four parameters of every guarded change: id, oid, size and digest as they were read. */
    private static void setRows(PreparedStatement statement, Connection connection, List<BlobRow> rows)
            throws SQLException {
        statement.setArray(1, uuids(connection, rows.stream().map(BlobRow::id).toArray(UUID[]::new)));
        statement.setArray(
                2,
                connection.createArrayOf(
                        "int8",
                        rows.stream().map(row -> row.oid().orElseThrow()).toArray(Long[]::new)));
        statement.setArray(
                3,
                connection.createArrayOf(
                        "int8", rows.stream().map(BlobRow::size).toArray(Long[]::new)));
        statement.setArray(
                4, digests(connection, rows.stream().map(BlobRow::sha512).toList()));
    }

    private static Array uuids(Connection connection, UUID[] ids) throws SQLException {
        return connection.createArrayOf("uuid", ids);
    }

    private static Array digests(Connection connection, List<Optional<Sha512>> digests) throws SQLException {
        byte[] @Nullable [] bytes = new byte[digests.size()][];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = digests.get(i).map(Sha512::bytes).orElse(null);
        }
        return connection.createArrayOf("bytea", bytes);
    }

    private static Set<UUID> ids(PreparedStatement statement) throws SQLException {
        Set<UUID> ids = new HashSet<>();
        try (ResultSet rows = statement.executeQuery()) {
            while (rows.next()) {
                ids.add(rows.getObject(1, UUID.class));
            }
        }
        return ids;
    }

    private static BlobRow row(ResultSet rows) throws SQLException {
        long oid = rows.getLong(2);
        OptionalLong largeObject = rows.wasNull() ? OptionalLong.empty() : OptionalLong.of(oid);
        return new BlobRow(
                rows.getObject(1, UUID.class),
                largeObject,
                Optional.ofNullable(rows.getObject(3, UUID.class)).map(ObjectKey::new),
                new BackendName(rows.getString(4)),
                rows.getString(5),
                rows.getLong(6),
                Optional.ofNullable(rows.getBytes(7)).map(MoveCatalog::digest),
                rows.getBoolean(8));
    }

    static Sha512 digest(byte[] recorded) {
        return recorded.length == Sha512.LENGTH ? new Sha512(recorded) : NO_BYTES_HAVE_IT;
    }
}
