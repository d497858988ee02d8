package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.blob.BlobVersion;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.NameRefused;
import io.flynn.blobstore.store.StorageFailure;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.OffsetDateTime;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.UUID;

/**
 * The rows of {@code files} as the HTTP blobstore reads and changes them, and the large objects that they name. Names are only
 * ever compared whole or by {@code starts_with}: nothing in them is a pattern.
 *
 * <p>The bytes that a row names are never written to. A version's bytes go first to a large object, or an object in an external
 * backend, that nobody else can know; then one short transaction soft-deletes the old version and inserts the new one. So the
 * lock on the old row, for which moves, deletes and other uploads wait, is held for milliseconds and not for an upload, and
 * what breaks off leaves no trace.
 *
 * <p>Thread-safe; all methods block and throw {@link StorageFailure} when the database fails.
 */
public final class ServedCatalog {

    /** A soft delete unlinks, every unlink takes a lock until the commit, and the lock table is small. */
    private static final int DELETES_PER_TRANSACTION = 500;

    /** Each turn is lost only to another upload of the same name that was committed meanwhile. */
    private static final int TURNS_MAX = 50;

    private static final int LIST_FETCH_ROWS = 1_000;

    /** An old server's overwrite holds its row for a whole upload: not worth a connection to wait longer for. */
    private static final String WAIT_FOR_LOCKS = "SET LOCAL lock_timeout = '20s'";

    private static final String ONE_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

    private static final String FIND = """
            SELECT backend, file_oid, external_id, type, coalesce(size, -1), sha512, updated_at
            FROM files WHERE name = ? AND deleted_at IS NULL""";

    /** A large object that is missing is forgotten first, since the trigger would fail to unlink it. */
    private static final String SOFT_DELETE = """
            UPDATE files f SET deleted_at = clock_timestamp(),
                file_oid = (SELECT m.oid FROM pg_largeobject_metadata m WHERE m.oid = f.file_oid)
            """;

    private static final String RETIRE = SOFT_DELETE + "WHERE f.name = ? AND f.deleted_at IS NULL";

    /** Not now(): a version whose upload took long would seem older than the one that it replaces. */
    private static final String INSERT = """
            INSERT INTO files (file_oid, external_id, backend, name, type, size, sha512, created_at, updated_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, clock_timestamp(), clock_timestamp())
            ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING""";

    private static final String DELETE_SOME = """
            WITH doomed AS (
                SELECT file_id FROM files
                WHERE deleted_at IS NULL AND (name = ? OR starts_with(name, ?))
                ORDER BY file_id LIMIT ? FOR UPDATE)
            """ + SOFT_DELETE + "FROM doomed d WHERE f.file_id = d.file_id";

    private static final String IS_LEFT =
            "SELECT EXISTS (SELECT FROM files WHERE deleted_at IS NULL AND (name = ? OR starts_with(name, ?)))";

    /** In the order of the names' bytes, which collation C gives. */
    private static final String CHILDREN = """
            SELECT DISTINCT (prefix || CASE WHEN strpos(rest, '/') > 0 THEN left(rest, strpos(rest, '/')) ELSE rest END)
                COLLATE "C" AS child
            FROM (
                SELECT p.prefix, substr(f.name, length(p.prefix) + 1) AS rest
                FROM files f, (SELECT ?::text AS prefix) p
                WHERE f.deleted_at IS NULL AND starts_with(f.name, p.prefix)) names
            WHERE rest <> '' AND NOT starts_with(rest, '/')
            ORDER BY child""";

    /** 54000: too long for an index; 22021 and 22P05: characters that the database's encoding lacks. */
    private static final Set<String> NAME_REFUSED = Set.of("54000", "22021", "22P05");

    private final Database database;

    public ServedCatalog(Database database) {
        this.database = database;
    }

    /**
     * What to do with a blob while its bytes can be read: both come from one snapshot, whatever happens to them meanwhile. Done
     * a second time, with another snapshot, if the connection breaks before the first byte.
     */
    @FunctionalInterface
    public interface Reading {
        void of(BlobVersion version, LargeObjectDownload bytes) throws IOException;
    }

    /** Takes one child after the other. */
    @FunctionalInterface
    public interface Children {
        void take(String child) throws IOException;
    }

    /** Asks the database for a sign of life. */
    public void ping() {
        database.with("ask the database for a sign of life", connection -> {
            try (Statement statement = connection.createStatement()) {
                return statement.execute("SELECT 1");
            }
        });
    }

    public Optional<BlobVersion> find(BlobName name) {
        return database.read("look up a name", (connection, handingOn) -> find(connection, name));
    }

    /**
     * Holds one connection and one snapshot while {@code reading} runs: a large object that is unlinked meanwhile can still be
     * read to its end.
     *
     * @return false if there is no such name
     * @throws IOException if {@code reading} does
     */
    public boolean read(BlobName name, Reading reading) throws IOException {
        return unwrapping(() -> database.read("read a blob", (connection, handingOn) -> {
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.execute(ONE_SNAPSHOT);
            }
            Optional<BlobVersion> version = find(connection, name);
            if (version.isPresent()) {
                wrapping(
                        () -> reading.of(version.get(), new LargeObjectDownload(connection, version.get(), handingOn)));
            }
            connection.rollback();
            return version.isPresent();
        }));
    }

    /**
     * Stores {@code body} as a large object and makes it the name's version.
     *
     * @throws IOException if {@code body} can't be read to its end; nothing has changed then
     * @throws NameRefused if the database can't hold the name
     */
    public BlobContent put(BlobName name, String type, InputStream body) throws IOException {
        return unwrapping(() -> database.inTransaction("store a blob", connection -> {
            LargeObjectUpload upload = LargeObjectUpload.of(connection, body);
            publish(
                    connection,
                    name,
                    type,
                    BackendName.POSTGRES,
                    OptionalLong.of(upload.oid()),
                    Optional.empty(),
                    upload.content());
            return upload.content();
        }));
    }

    /**
     * Makes an object that lies in an external backend the name's version.
     *
     * @throws StorageFailure.OutcomeUnknown if the answer to the commit was lost: a row may name the object
     * @throws NameRefused if the database can't hold the name
     */
    public void put(BlobName name, String type, BackendName backend, ObjectKey key, BlobContent content) {
        database.inTransaction("record a blob", connection -> {
            publish(connection, name, type, backend, OptionalLong.empty(), Optional.of(key), content);
            return content;
        });
    }

    /** Soft-deletes the name and every name below it, in as many transactions as it takes. Idempotent. */
    public void delete(BlobName name) {
        boolean isLeft = true;
        while (isLeft) {
            isLeft = database.inTransaction("delete a name", connection -> {
                waitForLocksOnly(connection);
                return deleteSome(connection, name) == DELETES_PER_TRANSACTION || isLeft(connection, name);
            });
        }
    }

    /**
     * Hands on the direct children of {@code directory} in the order of their bytes, directories with a slash at the end, each
     * once, without ever holding all of them.
     *
     * @throws IOException if {@code children} does
     */
    public void list(BlobName directory, Children children) throws IOException {
        unwrapping(() -> database.read("list names", (connection, handingOn) -> {
            // The driver fetches in portions only inside a transaction.
            connection.setAutoCommit(false);
            try (PreparedStatement statement = connection.prepareStatement(CHILDREN)) {
                statement.setFetchSize(LIST_FETCH_ROWS);
                statement.setString(1, directory.prefix());
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) {
                        String child = rows.getString(1);
                        handingOn.run();
                        wrapping(() -> children.take(child));
                    }
                }
            }
            connection.rollback();
            return directory;
        }));
    }

    private static Optional<BlobVersion> find(Connection connection, BlobName name) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(FIND)) {
            statement.setString(1, name.value());
            try (ResultSet rows = statement.executeQuery()) {
                return rows.next() ? Optional.of(version(rows)) : Optional.empty();
            }
        } catch (SQLException e) {
            throw refusedOr(name, e);
        }
    }

    private static BlobVersion version(ResultSet rows) throws SQLException {
        long size = rows.getLong(5);
        if (size < 0) {
            throw new StorageFailure.Corrupt(Reasons.SIZE_DIFFERS, "the blob's row has no size", null);
        }
        long oid = rows.getLong(2);
        OptionalLong largeObject = rows.wasNull() ? OptionalLong.empty() : OptionalLong.of(oid);
        return new BlobVersion(
                rows.getString(1),
                largeObject,
                Optional.ofNullable(rows.getObject(3, UUID.class)).map(ObjectKey::new),
                rows.getString(4),
                size,
                Optional.ofNullable(rows.getBytes(6)).map(Sha512::new),
                rows.getObject(7, OffsetDateTime.class).toInstant());
    }

    private static void publish(
            Connection connection,
            BlobName name,
            String type,
            BackendName backend,
            OptionalLong oid,
            Optional<ObjectKey> key,
            BlobContent content)
            throws SQLException {
        waitForLocksOnly(connection);
        try (PreparedStatement retire = connection.prepareStatement(RETIRE);
                PreparedStatement insert = connection.prepareStatement(INSERT)) {
            retire.setString(1, name.value());
            insert.setObject(1, oid.isPresent() ? oid.getAsLong() : null, Types.BIGINT);
            insert.setObject(2, key.map(ObjectKey::value).orElse(null), Types.OTHER);
            insert.setString(3, backend.value());
            insert.setString(4, name.value());
            insert.setString(5, type);
            insert.setLong(6, content.size());
            insert.setBytes(7, content.sha512().bytes());
            // An upload that commits between the two statements makes a live row that the first one can't have seen.
            for (int turn = 0; turn < TURNS_MAX; turn++) {
                retire.executeUpdate();
                if (insert.executeUpdate() == 1) {
                    return;
                }
            }
        } catch (SQLException e) {
            throw refusedOr(name, e);
        }
        throw new StorageFailure.Busy(
                Reasons.DATABASE_BUSY, "could not store a blob: others upload the same name without pause", null);
    }

    private static int deleteSome(Connection connection, BlobName name) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(DELETE_SOME)) {
            statement.setString(1, name.value());
            statement.setString(2, name.prefix());
            statement.setInt(3, DELETES_PER_TRANSACTION);
            return statement.executeUpdate();
        } catch (SQLException e) {
            throw refusedOr(name, e);
        }
    }

    /** Of a full batch, those that another delete held are deleted by it and not counted here: few deleted is not all done. */
    private static boolean isLeft(Connection connection, BlobName name) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(IS_LEFT)) {
            statement.setString(1, name.value());
            statement.setString(2, name.prefix());
            try (ResultSet isLeft = statement.executeQuery()) {
                isLeft.next();
                return isLeft.getBoolean(1);
            }
        }
    }

    private static void waitForLocksOnly(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(WAIT_FOR_LOCKS);
        }
    }

    /** Returned for throwing: an exception that means the name is told as such. */
    private static SQLException refusedOr(BlobName name, SQLException e) {
        if (NAME_REFUSED.contains(e.getSQLState())) {
            throw new NameRefused(name, e);
        }
        return e;
    }

    @FunctionalInterface
    private interface Exchange {
        void run() throws IOException, SQLException;
    }

    @FunctionalInterface
    private interface Result<T> {
        T get();
    }

    private static void wrapping(Exchange exchange) throws SQLException {
        try {
            exchange.run();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static <T> T unwrapping(Result<T> result) throws IOException {
        try {
            return result.get();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }
}
