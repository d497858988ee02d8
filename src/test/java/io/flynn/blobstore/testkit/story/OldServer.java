package io.flynn.blobstore.testkit.story;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A double of the old program's server as a second writer on the same database and bucket, with the habits of
 * {@link OldProgram} that lose data. Its blobs are its own, since nobody else can know what they are meanwhile;
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
    private final OldProgram program;
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
        program = new OldProgram(Optional.of(bucket));
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
                if (program.append(connection, name, whole, more, this::pause)) {
                    appendsAcrossAMove.incrementAndGet();
                }
                connection.commit();
                keep(name, whole);
                change.acknowledged();
            } catch (SQLException | IOException e) {
                change.unknown();
                failures.add("append to %s: %s".formatted(name, e));
            }
        }

        private void overwrite(String name, byte[] bytes) throws InterruptedException {
            Ledger.Change change =
                    ledger.begin(name, Optional.of(Fingerprint.of(bytes))).orElseThrow();
            try (Connection connection = database.connect()) {
                connection.setAutoCommit(false);
                program.deleteOld(connection, name);
                pause();
                program.insert(connection, name, "", bytes);
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
                    program.deleteOld(connection, name);
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
            OldProgram.insertAtPostgres(connection, name, "", bytes);
            connection.commit();
            change.acknowledged();
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
