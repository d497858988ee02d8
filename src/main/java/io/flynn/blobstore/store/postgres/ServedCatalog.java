package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.blob.BlobVersion;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.store.NameRefused;
import io.flynn.blobstore.store.Precondition;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.VersionChanged;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.LongAdder;

/**
 * The rows of {@code files} as the HTTP blobstore reads and changes them, and the large objects that they name. Names are only
 * ever compared whole or by {@code starts_with}: nothing in them is a pattern.
 *
 * <p>What a client sends goes first to a large object, or an object in an external backend, that no live row names; then one
 * short transaction soft-deletes the old version and makes the new one live, or adds the new bytes to the old. So the lock on
 * the old row, for which moves, deletes and other uploads wait, is held for the work of the server and not for that of a
 * client, and what breaks off leaves no trace.
 *
 * <p>Thread-safe; all methods block and throw {@link StorageFailure} when the database fails.
 */
public final class ServedCatalog {

    /** For an answer that an index finds: most clients wait no longer than a minute, and one that is lost is asked for again. */
    private static final Duration ANSWER = Duration.ofSeconds(30);

    private static final Duration SIGN_OF_LIFE = Duration.ofSeconds(5);

    /** For one that has to be sorted first. */
    private static final Duration LISTING = Duration.ofMinutes(2);

    /** What a disk that is busy with other things unlinks in a second. */
    private static final long UNLINKED_BYTES_PER_SECOND = 10_000_000;

    private static final int LIST_FETCH_ROWS = 1_000;

    private static final Memory ENOUGH = new Memory(Memory.CHUNK_BYTES_MAX, 1_000);

    private static final String ONE_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

    /** Not now(): a version whose upload took long would seem older than the one that it replaces. */
    private static final String INSERT = """
            INSERT INTO files (file_oid, backend, name, type, size, sha512, created_at, updated_at)
            VALUES (?, ?, ?, ?, ?, ?, clock_timestamp(), clock_timestamp())
            ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING""";

    private static final String LENGTHEN = """
            UPDATE files SET size = ?, sha512 = ?, sha512_state = NULL, updated_at = clock_timestamp()
            WHERE file_id = ?""";

    private static final String CREATE_LARGE_OBJECT = "SELECT lo_create(0)";

    private static final String UNLINK = "SELECT lo_unlink(?::oid)";

    /** All in one order, so that two deletes never wait for each other. */
    private static final String DELETE_NAMES =
            """
            WITH doomed AS (
                SELECT file_id FROM files WHERE deleted_at IS NULL AND name = ANY (?) ORDER BY file_id FOR UPDATE)
            """ + LiveRows.SOFT_DELETE + "FROM doomed d WHERE f.file_id = d.file_id RETURNING f.name";

    private static final String BYTES_OF_NAMES = """
            SELECT coalesce(sum(size), 0)::bigint FROM files
            WHERE deleted_at IS NULL AND name = ANY (?) AND file_oid IS NOT NULL""";

    private static final String LIVE_NAMES = "SELECT name FROM files WHERE deleted_at IS NULL AND name = ANY (?)";

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

    /**
     * What writing to a large object ends with that another transaction wrote to: "tuple concurrently updated" and a duplicate
     * page. Ours lock the row first; an old server's append doesn't.
     */
    private static final Set<String> WRITTEN_SINCE = Set.of("XX000", "23505");

    private final Database database;
    private final int chunkBytes;
    private final Semaphore smallReads;
    private final Duration signOfLife;
    private final LongAdder missedSigns = new LongAdder();

    /**
     * What bytes on their way between clients and the database may take of the heap.
     *
     * @param chunkBytes what goes to or comes from the database at once; a transfer has two of them in memory
     * @param smallReads how many small blobs are held for clients at once
     */
    public record Memory(int chunkBytes, int smallReads) {

        /** Larger ones cost the database page faults, smaller ones messages (measured). */
        static final int CHUNK_BYTES_MAX = 256 * 1024;

        private static final int CHUNK_BYTES_MIN = 16 * 1024;

        /**
         * @param bytesMax for all of it
         * @param transfers that run at once
         */
        public static Memory of(long bytesMax, int transfers) {
            long chunk = Math.clamp(bytesMax / 2 / (2L * transfers), CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
            long small = Math.clamp(bytesMax / 2 / LiveRows.SMALL_BYTES, 1, Integer.MAX_VALUE);
            return new Memory(Math.toIntExact(chunk), Math.toIntExact(small));
        }
    }

    public ServedCatalog(Database database, Memory memory) {
        this(database, memory, UploadIntent.SIGN_OF_LIFE);
    }

    /** With as much memory as it likes. */
    public ServedCatalog(Database database) {
        this(database, ENOUGH);
    }

    /** @param signOfLife how often uploads to external backends show that they are under way */
    ServedCatalog(Database database, Memory memory, Duration signOfLife) {
        this.database = database;
        chunkBytes = memory.chunkBytes();
        smallReads = new Semaphore(memory.smallReads());
        this.signOfLife = signOfLife;
    }

    /** Tells {@code registry} from now on how uploads to external backends fare. Once only. */
    public void observe(MeterRegistry registry) {
        FunctionCounter.builder("blobstore.uploads.signs.missed", missedSigns, LongAdder::sum)
                .description("Times at which an upload to a backend could not tell the database that it goes on;"
                        + " after four minutes without, it fails")
                .register(registry);
    }

    /**
     * What to do with a blob while its bytes can be read: both come from one snapshot, whatever happens to them meanwhile. Done
     * a second time, with another snapshot, if the connection breaks before the first byte.
     */
    @FunctionalInterface
    public interface Reading {
        void of(BlobVersion version, Bytes bytes) throws IOException;
    }

    /** The bytes of one version. */
    @FunctionalInterface
    public interface Bytes {
        /**
         * Writes {@code length} bytes from {@code first} on, as fast as {@code target} takes them and with few of them in memory.
         *
         * @throws StorageFailure.Missing if there is no large object; nothing was written then
         * @throws StorageFailure.Corrupt if it ends too early; everything before that was written
         * @throws IOException if {@code target} does
         */
        void copyTo(OutputStream target, long first, long length) throws IOException;
    }

    /** Takes one child after the other. */
    @FunctionalInterface
    public interface Children {
        void take(String child) throws IOException;
    }

    /** Asks the database for a sign of life. */
    public void ping() {
        database.repeatable("ask the database for a sign of life", SIGN_OF_LIFE, (connection, handingOn) -> {
            try (Statement statement = connection.createStatement()) {
                return statement.execute("SELECT 1");
            }
        });
    }

    public Optional<BlobVersion> find(BlobName name) {
        return database.repeatable(
                "look up a name", ANSWER, (connection, handingOn) -> LiveRows.find(connection, name));
    }

    /** Checks {@code precondition} now; it is what it is checked for that decides, later. */
    public void require(BlobName name, Precondition precondition) {
        precondition.check(database.repeatable(
                "look up a name", ANSWER, (connection, handingOn) -> LiveRows.look(connection, name)));
    }

    /**
     * A small blob is held in memory for {@code reading}, if there is room. Any other is read from one snapshot, and through one
     * connection, that last while {@code reading} runs: a large object that is unlinked meanwhile can still be read to its end.
     *
     * @return the version, on which {@code reading} was run if its bytes are in the database; empty if there is no such name
     * @throws IOException if {@code reading} does
     */
    public Optional<BlobVersion> read(BlobName name, Reading reading) throws IOException {
        if (smallReads.tryAcquire()) {
            try {
                Optional<LiveRows.Found> found = database.repeatable(
                        "read a blob", ANSWER, (connection, handingOn) -> LiveRows.findWithBytes(connection, name));
                if (found.filter(LiveRows.Found::isWithoutItsBytes).isEmpty()) {
                    if (found.isPresent()) {
                        readFromMemory(found.get(), reading);
                    }
                    return found.map(LiveRows.Found::version);
                }
            } finally {
                smallReads.release();
            }
        }
        return readInOneSnapshot(name, reading);
    }

    private static void readFromMemory(LiveRows.Found found, Reading reading) throws IOException {
        BlobVersion version = found.version();
        if (found.bytes().isPresent()) {
            byte[] bytes = found.bytes().get();
            reading.of(version, (target, first, length) -> copy(version, bytes, target, first, length));
        }
    }

    private static void copy(BlobVersion version, byte[] bytes, OutputStream target, long first, long length)
            throws IOException {
        if (first + length > bytes.length) {
            throw LargeObjectDownload.tooShort(largeObject(version), first + length - bytes.length);
        }
        target.write(bytes, Math.toIntExact(first), Math.toIntExact(length));
    }

    private Optional<BlobVersion> readInOneSnapshot(BlobName name, Reading reading) throws IOException {
        return unwrapping(() -> inOneSnapshot("read a blob", (connection, handingOn) -> {
            Optional<BlobVersion> version = LiveRows.find(connection, name);
            if (version.filter(BlobVersion::isInPostgres).isPresent()) {
                wrapping(() -> reading.of(
                        version.get(), new LargeObjectDownload(connection, version.get(), chunkBytes, handingOn)));
            }
            return version;
        }));
    }

    private <T> T inOneSnapshot(String tried, Database.RepeatableWork<T> work) {
        return database.repeatable(tried, ANSWER, (connection, handingOn) -> {
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.execute(ONE_SNAPSHOT);
            }
            T result = work.on(connection, handingOn);
            connection.rollback();
            return result;
        });
    }

    /**
     * Stores {@code body} as a large object and makes it the name's version.
     *
     * @throws IOException if {@code body} can't be read to its end; nothing has changed then
     * @throws NameRefused if the database can't hold the name
     */
    public BlobContent put(BlobName name, String type, Precondition precondition, InputStream body) throws IOException {
        String tried = "store a blob";
        return unwrapping(() -> database.with(tried, connection -> {
            // Not before there is a connection: there are fewer of those than of clients.
            byte[] start = LargeObjectUpload.start(body, chunkBytes);
            boolean isWhole = LargeObjectUpload.isWhole(start, chunkBytes);
            if (isWhole && Precondition.NONE.equals(precondition)) {
                BlobContent content = contentOf(start);
                if (Database.repeatable(
                        connection,
                        tried,
                        publishing -> SmallUpload.isPublished(publishing, tried, name, type, start, content))) {
                    return content;
                }
            }
            Database.Work<BlobContent> transaction = borrowed -> Database.inTransaction(borrowed, tried, publishing -> {
                LargeObjectUpload upload = LargeObjectUpload.of(publishing, start, body, new Digest(), chunkBytes);
                publish(publishing, name, type, precondition, upload.oid(), upload.content());
                return upload.content();
            });
            // What came in pieces is gone.
            return isWhole ? Database.repeatable(connection, tried, transaction) : transaction.on(connection);
        }));
    }

    /**
     * Records that an object is about to be stored as {@code name} in an external backend, under a key that nobody else uses.
     *
     * @throws NameRefused if the database can't hold the name
     */
    public UploadIntent intend(BlobName name, String type, BackendName backend) {
        return UploadIntent.record(
                database, name, type, backend, new ObjectKey(UUID.randomUUID()), signOfLife, missedSigns);
    }

    /**
     * Makes a copy of {@code source}'s bytes, made inside the database, the version of {@code target}. The source's row is
     * shared meanwhile: nobody moves, changes or deletes it.
     *
     * @return false if there is no such source in the database; nothing has changed then
     * @throws NameRefused if the database can't hold the target's name
     */
    public boolean copy(BlobName source, BlobName target, Precondition precondition) {
        return database.repeatableInTransaction("copy a blob", connection -> {
            Optional<BlobVersion> shared = LiveRows.share(connection, source).filter(BlobVersion::isInPostgres);
            if (shared.isPresent()) {
                BlobVersion version = shared.get();
                long copy = createLargeObject(connection);
                LargeObjectCopy.copy(connection, largeObject(version), version.size(), copy, 0);
                BlobContent content = version.sha512()
                        .map(recorded -> new BlobContent(version.size(), recorded))
                        .orElseGet(
                                () -> digest(connection, version, new Digest()).finish());
                publish(connection, target, version.type(), precondition, copy, content);
            }
            return shared.isPresent();
        });
    }

    /** Adds bytes to a version that isn't in the database any more. */
    @FunctionalInterface
    public interface Elsewhere {
        void append(BlobVersion moved, InputStream more) throws IOException;
    }

    /**
     * Adds {@code more} to the bytes of {@code version}, which is in the database. While they come they go to a large object of
     * their own and nothing is locked; then the row is locked, and they are added inside the database. Who reads the blob
     * meanwhile goes on reading what it was.
     *
     * @param elsewhere does it if the blob was moved meanwhile
     * @throws VersionChanged if it is not the name's version any more, or not as it was read; nothing has changed then
     * @throws IOException if {@code more} can't be read to its end; nothing has changed then
     */
    public void append(
            BlobName name, BlobVersion version, Precondition precondition, InputStream more, Elsewhere elsewhere)
            throws IOException {
        Digest digest = new Digest();
        Optional<BlobVersion> movedBefore = digestUnlessMoved(name, version, digest);
        if (movedBefore.isPresent()) {
            elsewhere.append(movedBefore.get(), more);
            return;
        }
        unwrapping(() -> database.inTransaction("append to a blob", connection -> {
            LargeObjectUpload upload = LargeObjectUpload.of(connection, more, digest, chunkBytes);
            Savepoint unlocked = connection.setSavepoint();
            Optional<BlobVersion> live = LiveRows.lock(connection, name);
            Optional<BlobVersion> moved = live.filter(version::isMovedTo);
            if (moved.isPresent()) {
                // Frees the row, for whoever appends elsewhere.
                connection.rollback(unlocked);
                wrapping(() -> elsewhere.append(moved.get(), upload.read(connection)));
            } else {
                VersionChanged.none(version).and(precondition).check(live);
                addTo(connection, version, upload);
                lengthen(connection, version, upload.content());
            }
            unlink(connection, upload.oid());
            return upload.content();
        }));
    }

    /**
     * Digests the version's bytes, in one snapshot with a look at its row.
     *
     * @return the version if it was moved; nothing is digested then
     */
    private Optional<BlobVersion> digestUnlessMoved(BlobName name, BlobVersion version, Digest digest) {
        return inOneSnapshot("read a blob", (connection, handingOn) -> {
            Optional<BlobVersion> live = LiveRows.find(connection, name);
            Optional<BlobVersion> moved = live.filter(version::isMovedTo);
            if (moved.isEmpty()) {
                VersionChanged.none(version).check(live);
                handingOn.run();
                digest(connection, version, digest);
            }
            return moved;
        });
    }

    /**
     * Soft-deletes the name and every name that is below it when this begins, in as many transactions as it takes. Idempotent.
     *
     * @param precondition asked of the name itself, before anything is deleted
     * @throws StorageFailure.Busy if one of the names is replaced without pause
     */
    public void delete(BlobName name, Precondition precondition) {
        database.repeatable("delete a name", ANSWER, (connection, handingOn) -> {
            connection.setAutoCommit(false);
            if (!Precondition.NONE.equals(precondition)) {
                // What it has deleted would not meet it the second time.
                handingOn.run();
                precondition.check(LiveRows.lock(connection, name));
            }
            try (NamesBelow below = new NamesBelow(connection, name)) {
                List<String> names = new ArrayList<>(below.next());
                names.add(name.value());
                while (!names.isEmpty()) {
                    deleteAll(connection, names);
                    names = below.next();
                }
            } catch (SQLException e) {
                throw LiveRows.refusedOr(name, e);
            }
            return name;
        });
    }

    /**
     * Hands on the direct children of {@code directory} in the order of their bytes, directories with a slash at the end, each
     * once, without ever holding all of them.
     *
     * @throws IOException if {@code children} does
     */
    public void list(BlobName directory, Children children) throws IOException {
        unwrapping(() -> database.repeatable("list names", LISTING, (connection, handingOn) -> {
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

    private static void publish(
            Connection connection, BlobName name, String type, Precondition precondition, long oid, BlobContent content)
            throws SQLException {
        LiveRows.publish(connection, name, precondition, publishing -> {
            try (PreparedStatement insert = publishing.prepareStatement(INSERT)) {
                insert.setLong(1, oid);
                insert.setString(2, BackendName.POSTGRES.value());
                insert.setString(3, name.value());
                insert.setString(4, type);
                insert.setLong(5, content.size());
                insert.setBytes(6, content.sha512().bytes());
                return insert.executeUpdate() == 1;
            }
        });
    }

    private static BlobContent contentOf(byte[] bytes) {
        Digest digest = new Digest();
        digest.update(ByteBuffer.wrap(bytes));
        return digest.finish();
    }

    private Digest digest(Connection connection, BlobVersion version, Digest digest) {
        new LargeObjectDownload(connection, version, chunkBytes, () -> {}).digest(digest);
        return digest;
    }

    private static long largeObject(BlobVersion version) {
        return version.oid().orElseThrow(LargeObjectDownload::missing);
    }

    private static long createLargeObject(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet oid = statement.executeQuery(CREATE_LARGE_OBJECT)) {
            oid.next();
            return oid.getLong(1);
        }
    }

    private static void unlink(Connection connection, long oid) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(UNLINK)) {
            statement.setLong(1, oid);
            statement.execute();
        }
    }

    private static void addTo(Connection connection, BlobVersion version, LargeObjectUpload upload)
            throws SQLException {
        try {
            long length = upload.content().size() - version.size();
            LargeObjectCopy.copy(connection, upload.oid(), length, largeObject(version), version.size());
        } catch (SQLException e) {
            if (WRITTEN_SINCE.contains(e.getSQLState())) {
                throw new VersionChanged();
            }
            throw e;
        }
    }

    private static void lengthen(Connection connection, BlobVersion version, BlobContent content) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(LENGTHEN)) {
            statement.setLong(1, content.size());
            statement.setBytes(2, content.sha512().bytes());
            statement.setObject(3, version.id());
            statement.executeUpdate();
        }
    }

    /** A name that is replaced while its row is waited for has another one afterwards: that is deleted in the next turn. */
    private static void deleteAll(Connection connection, Collection<String> names) throws SQLException {
        Set<String> left = new HashSet<>(names);
        for (int turn = 0; turn < LiveRows.TURNS_MAX; turn++) {
            LiveRows.waitForLocksOnly(connection);
            Database.waitFor(connection, ANSWER.plus(unlinking(connection, left)));
            left.removeAll(names(connection, DELETE_NAMES, left));
            connection.commit();
            if (!left.isEmpty()) {
                left.retainAll(names(connection, LIVE_NAMES, left));
            }
            if (left.isEmpty()) {
                return;
            }
        }
        throw LiveRows.contended();
    }

    /** How long the large objects of these names may take to go. */
    private static Duration unlinking(Connection connection, Collection<String> names) throws SQLException {
        try (PreparedStatement prepared = connection.prepareStatement(BYTES_OF_NAMES)) {
            prepared.setArray(1, connection.createArrayOf("text", names.toArray()));
            try (ResultSet rows = prepared.executeQuery()) {
                rows.next();
                return Duration.ofSeconds(rows.getLong(1) / UNLINKED_BYTES_PER_SECOND);
            }
        }
    }

    private static Set<String> names(Connection connection, String statement, Collection<String> those)
            throws SQLException {
        try (PreparedStatement prepared = connection.prepareStatement(statement)) {
            prepared.setArray(1, connection.createArrayOf("text", those.toArray()));
            try (ResultSet rows = prepared.executeQuery()) {
                Set<String> names = new HashSet<>();
                while (rows.next()) {
                    names.add(rows.getString(1));
                }
                return names;
            }
        }
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
