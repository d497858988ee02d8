package io.flynn.blobstore.testkit.story;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A double of the old program's server as a second writer on the same database and bucket, with the two habits that lose data
 * (BLOBSTORE-PROTOCOL, "What goes wrong with it"): an append writes the large object before it touches the row, and an overwrite
 * deletes the external object before it commits. Its blobs are its own, since nobody else can know what they are meanwhile;
 * like every pod's, its default is the bucket once the migration runs.
 */
public final class OldServer implements AutoCloseable {

    private static final int BLOBS = 24;
    private static final int BYTES_MAX = 60_000;

    /** How long an upload takes: long enough for a flip, or several, to happen in the middle of it. */
    private static final int UPLOAD_MILLIS_MAX = 250;

    private static final int WRITERS = 6;

    private final Database database;
    private final Bucket bucket;
    private final Ledger ledger;
    private final Map<String, byte[]> contents = new HashMap<>();
    private final CountDownLatch stop = new CountDownLatch(1);
    private final List<Thread> writers = new ArrayList<>();
    private final Queue<String> failures = new ConcurrentLinkedQueue<>();
    private final AtomicLong appendsAcrossAMove = new AtomicLong();
    private volatile boolean overwrites;
    private volatile boolean breaksUploads = true;

    private OldServer(Database database, Bucket bucket, Ledger ledger) {
        this.database = database;
        this.bucket = bucket;
        this.ledger = ledger;
    }

    /** Has uploaded its blobs to PostgreSQL when this returns, and goes on writing. */
    public static OldServer start(Database database, Bucket.Location bucket, Ledger ledger, long seed)
            throws SQLException {
        OldServer server = new OldServer(database, new Bucket(bucket), ledger);
        SplittableRandom random = new SplittableRandom(seed);
        List<List<String>> names = new ArrayList<>();
        for (int writer = 0; writer < WRITERS; writer++) {
            names.add(new ArrayList<>());
        }
        for (int i = 0; i < BLOBS; i++) {
            String name = "/old server/blob %d".formatted(i);
            byte[] bytes = random(random);
            server.upload(name, bytes);
            server.contents.put(name, bytes);
            names.get(i % WRITERS).add(name);
        }
        for (List<String> own : names) {
            Writer writer = server.new Writer(own, random.split());
            server.writers.add(Thread.ofVirtual().name("old-server").start(writer::run));
        }
        return server;
    }

    /** Until now it only appends: what it overwrites goes to the bucket, and would be no more to be moved. */
    public void overwriteToo() {
        overwrites = true;
    }

    /** From now on no upload breaks in the middle: once the large objects are cleaned, nobody can hold what that loses. */
    public void breakNoMoreUploads() {
        breaksUploads = false;
    }

    /** Ends what is under way. */
    public void stop() throws InterruptedException {
        stop.countDown();
        for (Thread writer : writers) {
            writer.join();
        }
    }

    /** What it couldn't do although nobody broke it. */
    public List<String> failures() {
        return List.copyOf(failures);
    }

    /** How often a blob was moved between the first and the last statement of an append. */
    public long appendsAcrossAMove() {
        return appendsAcrossAMove.get();
    }

    @Override
    public void close() {
        stop.countDown();
        bucket.close();
    }

    private record Row(String id, long oid, String externalId, String backend) {}

    /** One of its connections: changes its own names, one after the other. */
    private final class Writer {
        private final List<String> names;
        private final SplittableRandom random;

        Writer(List<String> names, SplittableRandom random) {
            this.names = names;
            this.random = random;
        }

        void run() {
            try {
                while (!stop.await(20, TimeUnit.MILLISECONDS)) {
                    String name = names.get(random.nextInt(names.size()));
                    int luck = random.nextInt(100);
                    if (luck < 70 || !overwrites) {
                        append(name, random(random));
                    } else if (luck < 85 || !breaksUploads) {
                        overwrite(name, random(random));
                    } else {
                        overwriteAndBreak(name);
                    }
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        private void append(String name, byte[] more) throws InterruptedException {
            byte[] whole = concatenated(content(name), more);
            Ledger.Change change =
                    ledger.begin(name, Optional.of(Fingerprint.of(whole))).orElseThrow();
            try (Connection connection = database.connect()) {
                connection.setAutoCommit(false);
                Row row = read(connection, name);
                Optional<String> replaced = Optional.empty();
                if (row.backend().equals("postgres")) {
                    appendToLargeObject(connection, row, whole.length - more.length, more);
                } else {
                    replaced = Optional.of(row.externalId());
                    String key = UUID.randomUUID().toString();
                    pause();
                    bucket.write(key, whole);
                    update(connection, "UPDATE files SET external_id = ?::uuid WHERE file_id = ?::uuid", key, row.id());
                }
                if (!read(connection, name).backend().equals(row.backend())) {
                    appendsAcrossAMove.incrementAndGet();
                }
                describe(connection, row.id(), whole);
                if (replaced.isPresent()) {
                    bucket.delete(replaced.get());
                }
                connection.commit();
                keep(name, whole);
                change.acknowledged();
            } catch (SQLException | IOException e) {
                change.unknown();
                failures.add("append to %s: %s".formatted(name, e));
            }
        }

        private void appendToLargeObject(Connection connection, Row row, long size, byte[] more)
                throws SQLException, InterruptedException {
            int half = more.length / 2;
            put(connection, row.oid(), size, more, 0, half);
            pause();
            put(connection, row.oid(), size + half, more, half, more.length);
            pause();
        }

        private void overwrite(String name, byte[] bytes) throws InterruptedException {
            Ledger.Change change =
                    ledger.begin(name, Optional.of(Fingerprint.of(bytes))).orElseThrow();
            try (Connection connection = database.connect()) {
                connection.setAutoCommit(false);
                deleteOld(connection, name);
                pause();
                insertAtBucket(connection, name, bytes);
                connection.commit();
                keep(name, bytes);
                change.acknowledged();
            } catch (SQLException | IOException e) {
                change.unknown();
                failures.add("overwrite of %s: %s".formatted(name, e));
            }
        }

        /**
         * The client goes away in the middle: the row comes back, the object doesn't. Nothing was acknowledged, and as long as
         * the large object is there, nothing is lost.
         */
        private void overwriteAndBreak(String name) throws InterruptedException {
            try (Connection connection = database.connect()) {
                connection.setAutoCommit(false);
                if (hasLargeObject(connection, name)) {
                    deleteOld(connection, name);
                    pause();
                }
                connection.rollback();
            } catch (SQLException | IOException e) {
                failures.add("broken overwrite of %s: %s".formatted(name, e));
            }
        }

        private void pause() throws InterruptedException {
            TimeUnit.MILLISECONDS.sleep(random.nextInt(UPLOAD_MILLIS_MAX));
        }
    }

    private synchronized byte[] content(String name) {
        return contents.get(name);
    }

    private synchronized void keep(String name, byte[] bytes) {
        contents.put(name, bytes);
    }

    private void upload(String name, byte[] bytes) throws SQLException {
        Ledger.Change change =
                ledger.begin(name, Optional.of(Fingerprint.of(bytes))).orElseThrow();
        try (Connection connection = database.connect()) {
            connection.setAutoCommit(false);
            insertAtPostgres(connection, name, bytes);
            connection.commit();
            change.acknowledged();
        }
    }

    private void deleteOld(Connection connection, String name) throws SQLException, IOException {
        Row row = read(connection, name);
        update(connection, "UPDATE files SET deleted_at = now() WHERE file_id = ?::uuid", row.id());
        if (!row.externalId().isEmpty() && !row.backend().equals("postgres")) {
            bucket.delete(row.externalId());
        }
    }

    private static void insertAtPostgres(Connection connection, String name, byte[] bytes) throws SQLException {
        long oid = Database.number(connection, "SELECT lo_create(0)");
        put(connection, oid, 0, bytes, 0, bytes.length);
        String id = insert(connection, name, "postgres");
        update(connection, "UPDATE files SET file_oid = ?::oid WHERE file_id = ?::uuid", Long.toString(oid), id);
        describe(connection, id, bytes);
    }

    private void insertAtBucket(Connection connection, String name, byte[] bytes) throws SQLException, IOException {
        String key = UUID.randomUUID().toString();
        String id = insert(connection, name, "s3main");
        bucket.write(key, bytes);
        update(connection, "UPDATE files SET external_id = ?::uuid WHERE file_id = ?::uuid", key, id);
        describe(connection, id, bytes);
    }

    private static String insert(Connection connection, String name, String backend) throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement(
                "INSERT INTO files (backend, name, type, size) VALUES (?, ?, '', 0) RETURNING file_id")) {
            insert.setString(1, backend);
            insert.setString(2, name);
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
        try (PreparedStatement select = connection.prepareStatement(
                "SELECT file_id, file_oid, external_id, backend FROM files WHERE name = ? AND deleted_at IS NULL")) {
            select.setString(1, name);
            try (ResultSet row = select.executeQuery()) {
                if (!row.next()) {
                    throw new SQLException("no row for " + name);
                }
                String externalId = row.getString(3);
                return new Row(
                        row.getString(1), row.getLong(2), externalId == null ? "" : externalId, row.getString(4));
            }
        }
    }

    /** True until the transaction ends. */
    private static boolean hasLargeObject(Connection connection, String name) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement(
                "SELECT FROM files WHERE name = ? AND deleted_at IS NULL AND file_oid IS NOT NULL FOR UPDATE")) {
            select.setString(1, name);
            try (ResultSet row = select.executeQuery()) {
                return row.next();
            }
        }
    }

    private static byte[] random(SplittableRandom random) {
        byte[] bytes = new byte[random.nextInt(1, BYTES_MAX)];
        random.nextBytes(bytes);
        return bytes;
    }

    private static byte[] concatenated(byte[] first, byte[] second) {
        ByteArrayOutputStream whole = new ByteArrayOutputStream();
        whole.writeBytes(first);
        whole.writeBytes(second);
        return whole.toByteArray();
    }
}
