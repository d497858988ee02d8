package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The rows of {@code files}, as a move reads and changes them. Every change is guarded by all that was read of the row, so it
 * applies to what was seen or not at all; {@code updated_at} is never touched, since it is {@code Last-Modified}. What was seen may
 * have gone and come back, and what was proven then be gone: so every change also ends unless the fence was held all along.
 *
 * <p>Thread-safe; all methods block and throw {@link io.flynn.blobstore.store.StorageFailure}.
 */
public final class MoveCatalog {

    static final String COLUMNS =
            "f.file_id, f.file_oid, f.external_id, f.backend, f.type, coalesce(f.size, -1), f.sha512, f.deleted_at IS NOT NULL";

    private static final String LIVE = " FROM files f WHERE" + InScope.CONDITION + "AND f.deleted_at IS NULL";

    private static final String COUNT = "SELECT count(*), coalesce(sum(f.size), 0)" + LIVE;

    private static final String COUNT_UNCLEANED = COUNT + " AND f.file_oid IS NOT NULL";

    private static final String NEXT = " AND f.file_id > ? ORDER BY f.file_id LIMIT ?";

    private static final String PAGE = "SELECT " + COLUMNS + LIVE + NEXT;

    private static final String SHARD = "get_byte(uuid_send(f.file_id), 0)";

    private static final String COUNT_BY_SHARD =
            "SELECT " + SHARD + ", count(*), coalesce(sum(f.size), 0)" + LIVE + " GROUP BY 1";

    private static final String PAGE_OF_SHARDS = "SELECT " + COLUMNS + LIVE + " AND " + SHARD + " = ANY (?)" + NEXT;

    private static final String PAGE_UNCLEANED = "SELECT " + COLUMNS + LIVE + " AND f.file_oid IS NOT NULL" + NEXT;

    private static final String ROW = "SELECT " + COLUMNS + " FROM files f WHERE f.file_id = ?";

    /**
     * Takes the rows FOR UPDATE, passing over those that somebody holds: an old server's overwrite holds its row for a whole
     * upload. In READ COMMITTED the lock brings the newest version, which the guard then judges.
     */
    private static final String FLIP = """
            WITH wanted AS (
                SELECT * FROM unnest(?::uuid[], ?::oid[], ?::bigint[], ?::bytea[], ?::uuid[], ?::oid[], ?::uuid[], ?::bytea[])
                    AS w(id, oid, size, sha512, key, new_oid, new_key, found)
            ), locked AS (
                SELECT w.* FROM files f JOIN wanted w ON f.file_id = w.id ORDER BY f.file_id FOR UPDATE OF f SKIP LOCKED
            )
            UPDATE files f SET backend = ?, file_oid = w.new_oid, external_id = w.new_key, sha512 = w.found FROM locked w
            WHERE f.file_id = w.id AND f.backend = ? AND f.file_oid IS NOT DISTINCT FROM w.oid
                AND f.external_id IS NOT DISTINCT FROM w.key AND f.size = w.size
                AND f.sha512 IS NOT DISTINCT FROM w.sha512 AND num_nulls(f.deleted_at) = 1
            RETURNING f.file_id""";

    /**
     * The planner would rather read a table of up to some 100,000 rows, or its index of live names, than look 500 rows up: once for
     * every batch. It doesn't see that num_nulls(deleted_at) = 1 are the rows of that index.
     */
    private static final String LOOK_UP =
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

    private static final String PUT_BACK = """
            UPDATE files SET backend = ?, external_id = ?
            WHERE file_id IN (SELECT file_id FROM files WHERE file_id = ? FOR UPDATE SKIP LOCKED)
                AND backend = ? AND external_id IS NOT DISTINCT FROM ?::uuid AND file_oid IS NOT DISTINCT FROM ?::oid
                AND size = ? AND sha512 IS NOT DISTINCT FROM ? AND deleted_at IS NULL""";

    /** No row while a transaction that is not over has changed it, or is about to. */
    private static final String IF_FREE = "SELECT 1 FROM files WHERE file_id = ? FOR SHARE SKIP LOCKED";

    /** Two rows may share a large object: it goes with the last of them. */
    private static final String CLEAN = """
            WITH wanted AS (
                SELECT * FROM unnest(?::uuid[], ?::oid[], ?::bigint[], ?::bytea[], ?::uuid[])
                    AS w(id, oid, size, sha512, key)
            ), locked AS (
                SELECT w.* FROM files f JOIN wanted w ON f.file_id = w.id ORDER BY f.file_id FOR UPDATE OF f SKIP LOCKED
            )
            UPDATE files f SET file_oid = NULL FROM locked w
            WHERE f.file_id = w.id AND f.backend = ? AND f.external_id = w.key AND f.file_oid = w.oid AND f.size = w.size
                AND f.sha512 IS NOT DISTINCT FROM w.sha512 AND num_nulls(f.deleted_at) = 1
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
     * @param oid the row's large object from then on
     * @param key the row's object from then on
     * @param digest of the bytes there; recorded in a row that had none
     */
    public record Flip(BlobRow row, OptionalLong oid, Optional<ObjectKey> key, Sha512 digest) {

        /** The large object, if there is one, stays until it is cleaned. */
        public static Flip toObject(BlobRow row, ObjectKey key, Sha512 digest) {
            return new Flip(row, row.oid(), Optional.of(key), digest);
        }

        public static Flip toLargeObject(BlobRow row, long oid, Sha512 digest) {
            return new Flip(row, OptionalLong.of(oid), Optional.empty(), digest);
        }

        /** Whether {@code present} is the row as this flip leaves it. */
        public boolean isDoneIn(BlobRow present, BackendName to) {
            return present.backend().equals(to)
                    && present.oid().equals(oid)
                    && present.externalId().equals(key);
        }
    }

    /** Live rows whose blobs are at {@code backend} and in scope: a plain count, not blind to locked rows. */
    public Count count(BackendName backend, BlobFilter filter) {
        return count(COUNT, backend, filter);
    }

    /** Those of them that still have their large object. */
    public Count countUncleaned(BackendName backend, BlobFilter filter) {
        return count(COUNT_UNCLEANED, backend, filter);
    }

    /** Live rows in scope in the order of their ids, without locks. */
    public List<BlobRow> page(BackendName backend, BlobFilter filter, Optional<UUID> after, int limit) {
        return page(PAGE, backend, filter, after, limit);
    }

    /** As {@link #count}, by {@link Shards shard}; those without a row are left out. */
    public Map<Integer, Count> countByShard(BackendName backend, BlobFilter filter) {
        return database.with("count rows at " + backend, connection -> {
            try (PreparedStatement statement = connection.prepareStatement(COUNT_BY_SHARD)) {
                InScope.bind(statement, 1, backend, filter);
                Map<Integer, Count> counts = new TreeMap<>();
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) {
                        counts.put(rows.getInt(1), new Count(rows.getLong(2), rows.getLong(3)));
                    }
                }
                return counts;
            }
        });
    }

    /** As {@link #page}, but only rows of these {@link Shards shards}. */
    public List<BlobRow> page(
            BackendName backend, BlobFilter filter, Set<Integer> shards, Optional<UUID> after, int limit) {
        return database.inTransaction("list rows at " + backend, connection -> {
            InScope.walk(connection);
            try (PreparedStatement statement = connection.prepareStatement(PAGE_OF_SHARDS)) {
                int next = InScope.bind(statement, 1, backend, filter);
                statement.setArray(next, connection.createArrayOf("int4", shards.toArray()));
                return page(statement, next + 1, after, limit);
            }
        });
    }

    /** As {@link #page}, but only rows that still have their large object. */
    public List<BlobRow> pageUncleaned(BackendName backend, BlobFilter filter, Optional<UUID> after, int limit) {
        return page(PAGE_UNCLEANED, backend, filter, after, limit);
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
     * Points the rows at the target, all in one transaction, each only if it still is what was read and nobody holds it. What
     * they leave stays: large objects with their rows, objects as {@link RetainedObjects}.
     *
     * @param fence inside which they were read and proven
     * @return the ids of those that were flipped; the others were changed or are busy
     */
    public Set<UUID> flip(MigrationFence fence, List<Flip> flips, BackendName from, BackendName to) {
        return database.inTransaction("flip " + flips.size() + " rows to " + to, connection -> {
            if (from.isExternal() && to.isExternal()) {
                MoveGuard.limitFlip(connection);
            }
            return flip(connection, fence, flips, from, to);
        });
    }

    /** The same as part of a transaction, which holds the rows from then on: best its last statement. */
    static Set<UUID> flip(
            Connection connection, MigrationFence fence, List<Flip> flips, BackendName from, BackendName to)
            throws SQLException {
        lookUp(connection);
        Set<UUID> flipped = update(connection, flips, from, to);
        fence.requireHeld(connection);
        List<Flip> done =
                flips.stream().filter(flip -> flipped.contains(flip.row().id())).toList();
        if (from.isExternal()) {
            RetainedObjects.retain(connection, done, from);
        }
        if (to.isExternal()) {
            Map<UUID, ObjectKey> keys = new HashMap<>();
            done.forEach(flip -> keys.put(flip.row().id(), flip.key().orElseThrow()));
            RetainedObjects.arrived(connection, keys, to);
        }
        unlinkReplaced(connection, done);
        return flipped;
    }

    /** Has rows looked up by indexes until the transaction ends. */
    static void lookUp(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(LOOK_UP);
        }
    }

    private static Set<UUID> update(Connection connection, List<Flip> flips, BackendName from, BackendName to)
            throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(FLIP)) {
            List<BlobRow> rows = flips.stream().map(Flip::row).toList();
            setRows(statement, connection, rows);
            statement.setArray(5, keys(connection, rows.stream().map(BlobRow::externalId)));
            statement.setArray(6, oids(connection, flips.stream().map(Flip::oid)));
            statement.setArray(7, keys(connection, flips.stream().map(Flip::key)));
            statement.setArray(
                    8,
                    digests(
                            connection,
                            flips.stream()
                                    .map(flip -> Optional.of(flip.digest()))
                                    .toList()));
            statement.setString(9, to.value());
            statement.setString(10, from.value());
            return ids(statement);
        }
    }

    /** A large object that a row had before its blob came back to another one is nobody's any more. */
    private static void unlinkReplaced(Connection connection, List<Flip> done) throws SQLException {
        List<Long> replaced = done.stream()
                .filter(flip ->
                        flip.row().oid().isPresent() && !flip.row().oid().equals(flip.oid()))
                .map(flip -> flip.row().oid().getAsLong())
                .toList();
        if (!replaced.isEmpty()) {
            unlink(connection, replaced);
        }
    }

    /** Points a row back at its large object, if it still is what was read and nobody holds it; false if it isn't. */
    public boolean putBackOnLargeObject(MigrationFence fence, BlobRow row) {
        return database.inTransaction(
                "put row " + row.id() + " back",
                connection -> putBack(connection, fence, row, BackendName.POSTGRES, Optional.empty()));
    }

    /**
     * Points a row at the object that it names, but in the backend that it came from: a writer that read the row before its
     * flip put the object there, and its name here.
     */
    public boolean putBackWithItsKey(MigrationFence fence, BlobRow row, BackendName from) {
        ObjectKey key = row.externalId().orElseThrow();
        return database.inTransaction("put row " + row.id() + " back", connection -> {
            if (!putBack(connection, fence, row, from, Optional.of(key))) {
                return false;
            }
            RetainedObjects.arrived(connection, Map.of(row.id(), key), from);
            return true;
        });
    }

    /** Points a row back at the object that its flip left behind; false if that is no longer held, or as above. */
    public boolean putBackOnRetained(MigrationFence fence, BlobRow row, BackendName from, ObjectKey key) {
        return database.inTransaction("put row " + row.id() + " back", connection -> {
            Savepoint before = connection.setSavepoint();
            boolean isBack = RetainedObjects.take(connection, row.id(), from, key)
                    && putBack(connection, fence, row, from, Optional.of(key));
            if (!isBack) {
                connection.rollback(before);
            }
            return isBack;
        });
    }

    private static boolean putBack(
            Connection connection, MigrationFence fence, BlobRow row, BackendName backend, Optional<ObjectKey> key)
            throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(PUT_BACK)) {
            statement.setString(1, backend.value());
            statement.setObject(2, key.map(ObjectKey::value).orElse(null), Types.OTHER);
            statement.setObject(3, row.id());
            statement.setString(4, row.backend().value());
            statement.setString(5, row.externalId().map(ObjectKey::toString).orElse(null));
            if (row.oid().isPresent()) {
                statement.setLong(6, row.oid().getAsLong());
            } else {
                statement.setNull(6, Types.BIGINT);
            }
            statement.setLong(7, row.size());
            statement.setBytes(8, row.sha512().map(Sha512::bytes).orElse(null));
            boolean isBack = statement.executeUpdate() == 1;
            fence.requireHeld(connection);
            return isBack;
        }
    }

    /**
     * Forgets the large objects of rows whose bytes were just proven at the target, and unlinks them, all in one transaction;
     * each only if its row still is what was read and nobody holds it.
     *
     * @param fence inside which they were read and proven
     * @param rows at most 500: every unlink takes a lock, and the lock table is small
     * @return the ids of those that were cleaned
     */
    public Set<UUID> clean(MigrationFence fence, List<BlobRow> rows, BackendName backend) {
        return database.inTransaction("unlink " + rows.size() + " large objects", UNLINK_PATIENCE, connection -> {
            Set<UUID> cleaned = new HashSet<>();
            List<Long> oids = new ArrayList<>();
            lookUp(connection);
            try (PreparedStatement statement = connection.prepareStatement(CLEAN)) {
                setRows(statement, connection, rows);
                statement.setArray(5, keys(connection, rows.stream().map(BlobRow::externalId)));
                statement.setString(6, backend.value());
                try (ResultSet result = statement.executeQuery()) {
                    while (result.next()) {
                        cleaned.add(result.getObject(1, UUID.class));
                        oids.add(result.getLong(2));
                    }
                }
            }
            fence.requireHeld(connection);
            unlink(connection, oids);
            return cleaned;
        });
    }

    /** Those that no row names. */
    private static void unlink(Connection connection, List<Long> oids) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(UNLINK)) {
            statement.setArray(1, connection.createArrayOf("int8", oids.toArray(Long[]::new)));
            statement.executeQuery().close();
        }
    }

    private Count count(String query, BackendName backend, BlobFilter filter) {
        return database.with("count rows at " + backend, connection -> {
            try (PreparedStatement statement = connection.prepareStatement(query)) {
                InScope.bind(statement, 1, backend, filter);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    return new Count(rows.getLong(1), rows.getLong(2));
                }
            }
        });
    }

    private List<BlobRow> page(String query, BackendName backend, BlobFilter filter, Optional<UUID> after, int limit) {
        return database.inTransaction("list rows at " + backend, connection -> {
            InScope.walk(connection);
            try (PreparedStatement statement = connection.prepareStatement(query)) {
                return page(statement, InScope.bind(statement, 1, backend, filter), after, limit);
            }
        });
    }

    private static List<BlobRow> page(PreparedStatement statement, int next, Optional<UUID> after, int limit)
            throws SQLException {
        statement.setObject(next, after.orElse(BEFORE_ALL));
        statement.setInt(next + 1, limit);
        List<BlobRow> page = new ArrayList<>();
        try (ResultSet rows = statement.executeQuery()) {
            while (rows.next()) {
                page.add(row(rows));
            }
        }
        return page;
    }

    /** The first four parameters of every guarded change: id, oid, size and digest as they were read. */
    private static void setRows(PreparedStatement statement, Connection connection, List<BlobRow> rows)
            throws SQLException {
        statement.setArray(1, uuids(connection, rows.stream().map(BlobRow::id).toArray(UUID[]::new)));
        statement.setArray(2, oids(connection, rows.stream().map(BlobRow::oid)));
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

    private static Array keys(Connection connection, Stream<Optional<ObjectKey>> keys) throws SQLException {
        @Nullable
        UUID[] values = keys.map(key -> key.map(ObjectKey::value).orElse(null)).toArray(UUID[]::new);
        return connection.createArrayOf("uuid", values);
    }

    private static Array oids(Connection connection, Stream<OptionalLong> oids) throws SQLException {
        @Nullable
        Long[] values =
                oids.map(oid -> oid.isPresent() ? (Long) oid.getAsLong() : null).toArray(Long[]::new);
        return connection.createArrayOf("int8", values);
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
        return row(rows, 0);
    }

    /** @param before how many columns come before the row's */
    static BlobRow row(ResultSet rows, int before) throws SQLException {
        long oid = rows.getLong(before + 2);
        OptionalLong largeObject = rows.wasNull() ? OptionalLong.empty() : OptionalLong.of(oid);
        return new BlobRow(
                rows.getObject(before + 1, UUID.class),
                largeObject,
                Optional.ofNullable(rows.getObject(before + 3, UUID.class)).map(ObjectKey::new),
                new BackendName(rows.getString(before + 4)),
                rows.getString(before + 5),
                rows.getLong(before + 6),
                Optional.ofNullable(rows.getBytes(before + 7)).map(MoveCatalog::digest),
                rows.getBoolean(before + 8));
    }

    static Sha512 digest(byte[] recorded) {
        return recorded.length == Sha512.LENGTH ? new Sha512(recorded) : NO_BYTES_HAVE_IT;
    }
}
