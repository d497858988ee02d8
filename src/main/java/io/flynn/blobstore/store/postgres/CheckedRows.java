package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.CheckedRow;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Queue;
import java.util.Set;
import java.util.UUID;
import java.util.function.Consumer;

/**
 * The rows of {@code files} and the large objects, as a check reads them: without locks, and without a transaction that stays
 * open, which would hold vacuum back. Thread-safe; all methods block and throw {@link
 * io.flynn.blobstore.store.StorageFailure}.
 */
public final class CheckedRows {

    private static final int FETCH_ROWS = 5_000;

    /** Sorting a hundred million rows by a key that has no index. */
    private static final Duration SORT_PATIENCE = Duration.ofMinutes(30);

    private static final String COUNT = """
            SELECT backend, count(*) FILTER (WHERE deleted_at IS NULL),
                count(*) FILTER (WHERE deleted_at IS NOT NULL AND external_id IS NOT NULL)
            FROM files GROUP BY backend ORDER BY backend""";

    /** 262144 is INV_READ, 2 is SEEK_END (libpq-fs.h): the length by the index alone, and what it is read as, holes and all. */
    private static final String ROW = """
            SELECT f.file_id, f.name, f.backend, f.file_oid, f.external_id, coalesce(f.size, -1), f.sha512,
                f.deleted_at IS NULL, CASE WHEN m.oid IS NOT NULL THEN lo_lseek64(lo_open(m.oid, 262144), 0, 2) END
            FROM""";

    private static final String ITS_LARGE_OBJECT = """
            f LEFT JOIN LATERAL (SELECT l.oid FROM pg_largeobject_metadata l
                WHERE l.oid = f.file_oid AND f.backend = 'postgres' AND f.deleted_at IS NULL OFFSET 0) m ON true
            """;

    private static final String PAGE =
            ROW + " (SELECT * FROM files WHERE backend = ? AND deleted_at IS NULL AND file_id > ?"
                    + " ORDER BY file_id LIMIT ?) " + ITS_LARGE_OBJECT + "ORDER BY f.file_id";

    private static final String BY_ID = ROW + " files " + ITS_LARGE_OBJECT + "WHERE f.file_id = ANY (?)";

    /**
     * All that names an object, or should. Held beyond its transaction, so the snapshot is over once the rows are sorted. Bytes
     * of a UUID and of its lower-case text have the same order.
     */
    private static final String OPEN_BY_KEY = """
            DECLARE checked_rows NO SCROLL CURSOR WITH HOLD FOR
            SELECT external_id, file_id, coalesce(size, -1), deleted_at IS NULL FROM files
            WHERE backend = ? AND (external_id IS NOT NULL OR deleted_at IS NULL) ORDER BY external_id NULLS FIRST""";

    private static final String FETCH_BY_KEY = "FETCH FORWARD " + FETCH_ROWS + " FROM checked_rows";

    private static final String CLOSE_BY_KEY = "CLOSE checked_rows";

    /** Whatever its backend: two may be configured for one bucket. A join is hashed, which a long array isn't always. */
    private static final String NAMED =
            "SELECT DISTINCT f.external_id FROM files f JOIN unnest(?::uuid[]) AS k(key) ON f.external_id = k.key";

    private static final String OPEN_DIGESTS = """
            DECLARE checked_digests NO SCROLL CURSOR WITH HOLD FOR
            SELECT file_id, sha512 FROM files WHERE deleted_at IS NULL AND backend <> ? AND octet_length(sha512) = 64""";

    private static final String FETCH_DIGESTS = "FETCH FORWARD " + FETCH_ROWS + " FROM checked_digests";

    private static final String CLOSE_DIGESTS = "CLOSE checked_digests";

    private static final String OPEN_ALL_DIGESTS = """
            DECLARE checked_digests NO SCROLL CURSOR WITH HOLD FOR
            SELECT file_id, sha512, deleted_at IS NULL AND backend <> ? FROM files WHERE octet_length(sha512) = 64""";

    private static final String WITHOUT_DIGEST = """
            SELECT EXISTS (SELECT FROM files WHERE deleted_at IS NULL AND backend <> ?
                AND octet_length(sha512) IS DISTINCT FROM 64)""";

    private static final String COUNT_LARGE_OBJECTS = "SELECT count(*) FROM pg_largeobject_metadata";

    private static final String ORPHANS = """
            SELECT o.oid, CASE WHEN pg_has_role(o.lomowner, 'USAGE') THEN lo_lseek64(lo_open(o.oid, 262144), 0, 2) END
            FROM (
                SELECT m.oid, m.lomowner FROM pg_largeobject_metadata m
                WHERE m.oid > CAST(? AS oid) AND NOT EXISTS (SELECT FROM files f WHERE f.file_oid = m.oid)
                ORDER BY m.oid LIMIT ?) o
            ORDER BY o.oid""";

    private static final UUID BEFORE_ALL = new UUID(0, 0);

    private final Database database;

    public CheckedRows(Database database) {
        this.database = database;
    }

    /**
     * Rows that say that they are in one backend.
     *
     * @param live anybody can read them
     * @param retired deleted ones that still name an object
     */
    public record Count(String backend, long live, long retired) {}

    /**
     * What a row says about an object.
     *
     * @param key empty if it doesn't say which; only of live rows
     */
    public record KeyedRow(Optional<ObjectKey> key, UUID id, OptionalLong size, boolean isLive) {}

    /** @param size bytes; empty if this role may not look */
    public record LargeObject(long oid, OptionalLong size) {}

    /** Takes the key that a row's blob gets when it is moved. */
    @FunctionalInterface
    public interface RowKeys {
        void of(UUID key, boolean isLiveElsewhere);
    }

    /** What to do with rows while they can be fetched. */
    @FunctionalInterface
    public interface Reading {
        void of(Iterator<KeyedRow> rows);
    }

    /** By backend, in the order of their names. */
    public List<Count> counts() {
        return database.with("count rows", connection -> {
            List<Count> counts = new ArrayList<>();
            try (PreparedStatement statement = connection.prepareStatement(COUNT);
                    ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    counts.add(new Count(rows.getString(1), rows.getLong(2), rows.getLong(3)));
                }
            }
            return counts;
        });
    }

    /** Live rows at {@code backend} in the order of their ids. */
    public List<CheckedRow> page(String backend, Optional<UUID> after, int limit) {
        return database.inTransaction("list rows at " + backend, connection -> {
            InScope.walk(connection);
            try (PreparedStatement statement = connection.prepareStatement(PAGE)) {
                statement.setString(1, backend);
                statement.setObject(2, after.orElse(BEFORE_ALL));
                statement.setInt(3, limit);
                return checkedRows(statement);
            }
        });
    }

    /** The rows as they are now, those that are left; in any order. */
    public List<CheckedRow> rows(Collection<UUID> ids) {
        return database.with("look at rows again", connection -> {
            try (PreparedStatement statement = connection.prepareStatement(BY_ID)) {
                statement.setArray(1, uuids(connection, ids));
                return checkedRows(statement);
            }
        });
    }

    /**
     * Hands {@code reading} all rows at {@code backend} that name an object, or should, as they were when it was called: those
     * without a key, then the others in the order of their keys' bytes. Takes a connection, but holds no snapshot meanwhile.
     */
    public void byKey(String backend, Reading reading) {
        database.with("list rows at " + backend + " by key", connection -> {
            try (Cursor cursor = new Cursor(connection, OPEN_BY_KEY, FETCH_BY_KEY, CLOSE_BY_KEY, backend)) {
                reading.of(new KeyedRows(cursor));
            }
            return backend;
        });
    }

    /** Those of {@code keys} that any row names, live or deleted, in whatever backend. */
    public Set<UUID> named(Collection<UUID> keys) {
        return database.with("look for rows by key", connection -> {
            Set<UUID> named = new HashSet<>();
            try (PreparedStatement statement = connection.prepareStatement(NAMED)) {
                statement.setArray(1, uuids(connection, keys));
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) {
                        named.add(rows.getObject(1, UUID.class));
                    }
                }
            }
            return named;
        });
    }

    /** Hands over the keys that live rows elsewhere than at {@code backend} get when they are moved, as far as they have a digest. */
    public void keysOfMoves(String backend, Consumer<UUID> keys) {
        keys("list rows that may be moved to " + backend, OPEN_DIGESTS, backend, rows -> keys.accept(key(rows)));
    }

    /** Hands over the keys that rows get, or got, when they are moved, deleted ones too, as far as they have a digest. */
    public void keysOfRows(String backend, RowKeys keys) {
        keys("list the keys of rows", OPEN_ALL_DIGESTS, backend, rows -> keys.of(key(rows), rows.getBoolean(3)));
    }

    /** Whether there are live rows elsewhere than at {@code backend} without a digest: nobody knows which keys they will get. */
    public boolean isAnyWithoutDigestElsewhere(String backend) {
        return database.with("look for rows without a digest", connection -> {
            try (PreparedStatement statement = connection.prepareStatement(WITHOUT_DIGEST)) {
                statement.setString(1, backend);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    return rows.getBoolean(1);
                }
            }
        });
    }

    @FunctionalInterface
    private interface EachRow {
        void of(ResultSet row) throws SQLException;
    }

    private void keys(String tried, String open, String backend, EachRow each) {
        database.with(tried, connection -> {
            try (Cursor cursor = new Cursor(connection, open, FETCH_DIGESTS, CLOSE_DIGESTS, backend)) {
                boolean isMore = true;
                while (isMore) {
                    isMore = false;
                    try (ResultSet rows = cursor.fetch()) {
                        while (rows.next()) {
                            isMore = true;
                            each.of(rows);
                        }
                    }
                }
            }
            return backend;
        });
    }

    private static UUID key(ResultSet idAndDigest) throws SQLException {
        return ObjectKey.of(idAndDigest.getObject(1, UUID.class), new Sha512(idAndDigest.getBytes(2)))
                .value();
    }

    public long countLargeObjects() {
        return database.with("count large objects", connection -> {
            try (PreparedStatement statement = connection.prepareStatement(COUNT_LARGE_OBJECTS);
                    ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getLong(1);
            }
        });
    }

    /** Large objects that no row names, in the order of their oids. Such a one and its row come and go in one transaction. */
    public List<LargeObject> orphans(long after, int limit) {
        return database.with("list large objects that no row names", connection -> {
            List<LargeObject> orphans = new ArrayList<>();
            try (PreparedStatement statement = connection.prepareStatement(ORPHANS)) {
                statement.setLong(1, after);
                statement.setInt(2, limit);
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) {
                        orphans.add(new LargeObject(rows.getLong(1), number(rows, 2)));
                    }
                }
            }
            return orphans;
        });
    }

    private static Array uuids(Connection connection, Collection<UUID> ids) throws SQLException {
        return connection.createArrayOf("uuid", ids.toArray(UUID[]::new));
    }

    private static List<CheckedRow> checkedRows(PreparedStatement statement) throws SQLException {
        List<CheckedRow> checked = new ArrayList<>();
        try (ResultSet rows = statement.executeQuery()) {
            while (rows.next()) {
                checked.add(new CheckedRow(
                        rows.getObject(1, UUID.class),
                        rows.getString(2),
                        rows.getString(3),
                        number(rows, 4),
                        key(rows, 5),
                        size(rows, 6),
                        Optional.ofNullable(rows.getBytes(7)).map(MoveCatalog::digest),
                        rows.getBoolean(8),
                        number(rows, 9)));
            }
        }
        return checked;
    }

    private static Optional<ObjectKey> key(ResultSet rows, int column) throws SQLException {
        return Optional.ofNullable(rows.getObject(column, UUID.class)).map(ObjectKey::new);
    }

    private static OptionalLong size(ResultSet rows, int column) throws SQLException {
        long size = rows.getLong(column);
        return size < 0 ? OptionalLong.empty() : OptionalLong.of(size);
    }

    private static OptionalLong number(ResultSet rows, int column) throws SQLException {
        long number = rows.getLong(column);
        return rows.wasNull() ? OptionalLong.empty() : OptionalLong.of(number);
    }

    /** A cursor that outlives its transaction, and so has to be closed before its connection goes back. */
    private static final class Cursor implements AutoCloseable {

        private final Statement statement;
        private final String fetch;
        private final String close;

        Cursor(Connection connection, String open, String fetch, String close, String backend) throws SQLException {
            this.fetch = fetch;
            this.close = close;
            // The pool sets it back.
            connection.setNetworkTimeout(Runnable::run, Math.toIntExact(SORT_PATIENCE.toMillis()));
            try (PreparedStatement opening = connection.prepareStatement(open)) {
                opening.setString(1, backend);
                opening.execute();
            }
            statement = connection.createStatement();
        }

        ResultSet fetch() throws SQLException {
            return statement.executeQuery(fetch);
        }

        @Override
        public void close() throws SQLException {
            try (statement) {
                statement.execute(close);
            }
        }
    }

    private static final class KeyedRows implements Iterator<KeyedRow> {

        private final Cursor cursor;
        private final Queue<KeyedRow> fetched = new ArrayDeque<>();
        private boolean isOver;

        KeyedRows(Cursor cursor) {
            this.cursor = cursor;
        }

        @Override
        public boolean hasNext() {
            if (fetched.isEmpty() && !isOver) {
                fetch();
                isOver = fetched.isEmpty();
            }
            return !fetched.isEmpty();
        }

        private void fetch() {
            try (ResultSet rows = cursor.fetch()) {
                while (rows.next()) {
                    fetched.add(new KeyedRow(
                            key(rows, 1), rows.getObject(2, UUID.class), size(rows, 3), rows.getBoolean(4)));
                }
            } catch (SQLException e) {
                throw PgFailures.translate("fetch rows by key", e);
            }
        }

        @Override
        public KeyedRow next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            return fetched.remove();
        }
    }
}
