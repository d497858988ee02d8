package io.flynn.blobstore.serve;

import static io.flynn.blobstore.serve.RunningServer.text;
import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.Precondition;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.postgres.ServedCatalog;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.TcpLink;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** How the server starts, what it does when something around it fails, and how it stops. */
class BlobServerLifeIT {

    /** More than comes with its row. */
    private static final String LARGE = "hello".repeat(1_000_000);

    private static final int BEGINNING_BYTES = 512 * 1024;

    private static final int BURST = 40;

    private static final String BUCKET = "blobs";

    /** tcpmux: a free port of our own would soon be somebody else's. */
    private static final String NOBODY_LISTENS = "1";

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final Map<String, String> environment = new HashMap<>(database.environment(EmbeddedPg.SUPERUSER));

    @AfterEach
    void drop() {
        database.close();
    }

    @Test
    void putsRequestsOffUntilTheSchemaIsThere() {
        try (RunningServer server = new RunningServer(environment)) {
            assertThat(server.get("/.well-known/ready").statusCode()).isEqualTo(503);
            HttpResponse<byte[]> got = server.get("/a");
            assertThat(got.statusCode()).isEqualTo(503);
            assertThat(got.headers().firstValue("Retry-After")).contains("1");
            assertThat(server.get("/.well-known/status").statusCode()).isEqualTo(200);
        }
        try (RunningServer server = RunningServer.ready(environment)) {
            assertThat(server.get("/.well-known/ready").statusCode()).isEqualTo(200);
            assertThat(server.get("/a").statusCode()).isEqualTo(404);
        }
    }

    @Test
    void databaseThatIsAwayIsUnavailableButNotUnready() {
        environment.put("PGPORT", NOBODY_LISTENS);
        try (RunningServer server = new RunningServer(environment)) {
            server.server().ready();

            assertThat(server.get("/a").statusCode()).isEqualTo(503);
            assertThat(server.put("/a", "x").statusCode()).isEqualTo(503);
            assertThat(server.get("/.well-known/status").statusCode()).isEqualTo(503);
            assertThat(server.get("/.well-known/ready").statusCode()).isEqualTo(200);
        }
    }

    @Test
    void moreRequestsThanConnectionsAreToldToComeAgainAndHealthStillAnswers() throws Exception {
        environment.put("BLOBSTORE_DATABASE_CONNECTIONS", "1");
        try (RunningServer server = RunningServer.ready(environment);
                Socket stalled = new Socket("127.0.0.1", server.port())) {
            beginUpload(stalled, "/stalled", 100_000);
            Awaitility.await().atMost(PATIENCE).until(() -> uploadsAtTheDatabase() == 1);

            HttpResponse<byte[]> got = server.get("/a");

            assertThat(got.statusCode()).isEqualTo(503);
            assertThat(got.headers().firstValue("Retry-After")).contains("1");
            assertThat(text(got)).contains("DatabaseBusy");
            assertThat(server.get("/.well-known/status").statusCode()).isEqualTo(200);
        }
    }

    /** Connections are made one by one, which for all of them takes longer than one is waited for. */
    @Test
    void requestsThatComeAtOnceToAFreshServerAllGetAConnection() throws Exception {
        environment.put("BLOBSTORE_DATABASE_CONNECTIONS", Integer.toString(BURST));
        environment.put("BLOBSTORE_DATABASE_WAIT", "1s");
        try (TcpLink slow = TcpLink.to(database.host(), database.port())) {
            slow.gate(direction -> Pauses.sleep(Duration.ofMillis(5)));
            environment.put("PGPORT", Integer.toString(slow.port()));
            try (RunningServer server = RunningServer.ready(environment);
                    var clients = Executors.newVirtualThreadPerTaskExecutor()) {
                CountDownLatch begun = new CountDownLatch(BURST);
                List<Future<Integer>> statuses = IntStream.range(0, BURST)
                        .mapToObj(i -> clients.submit(() -> {
                            try (SlowPut upload = new SlowPut(server.port(), "/" + i, 1)) {
                                begun.countDown();
                                begun.await();
                                return upload.send("x").status();
                            }
                        }))
                        .toList();

                for (Future<Integer> status : statuses) {
                    assertThat(status.get()).isEqualTo(200);
                }
            }
        }
    }

    @Test
    void startsAndServesFromTheDatabaseWhileTheStoreIsAway() {
        environment.put(
                "BACKEND_S3MAIN",
                "backend=s3 region=eu-central-1 bucket=b access_key_id=AK secret_access_key=SK path_style=true"
                        + " endpoint=http://127.0.0.1:" + NOBODY_LISTENS);
        environment.put("BACKEND_WRONG", "backend=swift");
        environment.put("DEFAULT_BACKEND", "s3main");
        try (RunningServer server = RunningServer.ready(environment)) {
            database.execute("""
                    INSERT INTO files (file_oid, backend, name, type, size) VALUES (lo_from_bytea(0, 'x'), 'postgres', '/a', '', 1)
                    """);

            assertThat(text(server.get("/a"))).isEqualTo("x");
            assertThat(server.get("/.well-known/ready").statusCode()).isEqualTo(200);
            HttpResponse<byte[]> refused = server.put("/a", "new");
            assertThat(refused.statusCode()).isEqualTo(503);
            assertThat(text(refused)).isEqualTo("not now: backend \"s3main\": EndpointUnreachable\n");
            assertThat(text(server.get("/a"))).isEqualTo("x");
            assertThat(server.delete("/a").statusCode()).isEqualTo(200);
        }
    }

    @Test
    void objectWhoseRowCannotBeWrittenIsDiscarded() throws Exception {
        try (LocalS3 store = LocalS3.start()) {
            store.createBucket(BUCKET);
            environment.putAll(store.environment(S3MAIN, BUCKET));
            environment.put("DEFAULT_BACKEND", "s3main");
            try (RunningServer server = RunningServer.ready(environment)) {
                database.execute("ALTER TABLE files ADD CHECK (name <> '/forbidden' OR deleted_at IS NOT NULL)");

                assertThat(server.put("/forbidden", "x").statusCode()).isEqualTo(500);

                assertThat(store.count(LocalS3.Operation.PUT)).isOne();
                assertThat(database.count("SELECT count(*) FROM files")).isZero();
                assertThat(store.sizes(BUCKET)).isEmpty();
            }
        }
    }

    @Test
    void uploadThatLeavesSomethingInTheStoreKeepsTheRowThatSaysWhere() {
        try (LocalS3 store = LocalS3.start()) {
            store.createBucket(BUCKET);
            environment.putAll(store.environment(S3MAIN, BUCKET));
            environment.put("DEFAULT_BACKEND", "s3main");
            try (RunningServer server = RunningServer.ready(environment)) {
                store.deny(LocalS3.Operation.UPLOAD_PART, LocalS3.Operation.ABORT_MULTIPART);

                assertThat(server.put("/a", new byte[9_000_000]).statusCode()).isEqualTo(503);

                assertThat(store.unfinishedUploads(BUCKET)).hasSize(1);
                assertThat(database.texts(
                                "SELECT external_id::text FROM files WHERE size IS NULL AND deleted_at IS NOT NULL"))
                        .isEqualTo(store.unfinishedUploads(BUCKET));
            }
        }
    }

    @Test
    void wrongSecretKeyIsAFailureThatTellsNoSecret() {
        try (LocalS3 store = LocalS3.start()) {
            store.createBucket(BUCKET);
            environment.putAll(store.environment(S3MAIN, BUCKET));
            environment.put("BACKEND_S3MAIN_SECRET_ACCESS_KEY", "canary-secret");
            environment.put("DEFAULT_BACKEND", "s3main");
            try (RunningServer server = RunningServer.ready(environment)) {
                HttpResponse<byte[]> refused = server.put("/a", "x");

                assertThat(refused.statusCode()).isEqualTo(503);
                assertThat(refused.headers().firstValue("Retry-After")).contains("30");
                assertThat(text(refused)).isEqualTo("failed: backend \"s3main\": CredentialsRefused\n");
            }
        }
    }

    @Test
    void rowThatAnotherHoldsIsWaitedFor() throws Exception {
        try (RunningServer server = RunningServer.ready(environment);
                Connection other = database.connect();
                Statement statement = other.createStatement()) {
            server.put("/a", "old");
            other.setAutoCommit(false);
            statement.execute("SELECT FROM files WHERE name = '/a' FOR UPDATE");

            CompletableFuture<Integer> put =
                    CompletableFuture.supplyAsync(() -> server.put("/a", "new").statusCode());
            Awaitility.await().atMost(PATIENCE).until(() -> waitingForLocks() == 1);
            assertThat(text(server.get("/a"))).isEqualTo("old");
            other.commit();

            assertThat(put.get()).isEqualTo(200);
            assertThat(text(server.get("/a"))).isEqualTo("new");
        }
    }

    @Test
    void readerKeepsItsBytesWhenTheyAreMovedAndUnlinkedMeanwhile() throws Exception {
        try (RunningServer server = RunningServer.ready(environment);
                Database pool = new Database(PgSettings.decode(environment), "test", 1, PATIENCE)) {
            server.put("/a", LARGE);
            ByteArrayOutputStream read = new ByteArrayOutputStream();

            new ServedCatalog(pool).read(new BlobName("/a"), (version, bytes) -> {
                database.execute("SELECT lo_unlink(file_oid) FROM files");
                database.execute(
                        "UPDATE files SET backend = 's3main', external_id = uuid_generate_v4(), file_oid = NULL");
                database.execute("VACUUM pg_largeobject");
                bytes.copyTo(read, 0, version.size());
            });

            assertThat(read.toString(StandardCharsets.UTF_8)).isEqualTo(LARGE);
        }
    }

    @Test
    void getWhoseConnectionBreaksBeforeTheFirstByteIsNotFailed() throws Exception {
        try (RunningServer server = RunningServer.ready(environment);
                Database pool = new Database(PgSettings.decode(environment), "test", 2, PATIENCE)) {
            server.put("/a", LARGE);
            ByteArrayOutputStream read = new ByteArrayOutputStream();
            AtomicInteger turns = new AtomicInteger();

            new ServedCatalog(pool).read(new BlobName("/a"), (version, bytes) -> {
                if (turns.incrementAndGet() == 1) {
                    breakConnections();
                }
                bytes.copyTo(read, 0, version.size());
            });

            assertThat(read.toString(StandardCharsets.UTF_8)).isEqualTo(LARGE);
            assertThat(turns).hasValue(2);
        }
    }

    @Test
    void readThatBreaksAfterItsFirstByteIsNotRepeated() throws Exception {
        try (RunningServer server = RunningServer.ready(environment);
                Database pool = new Database(PgSettings.decode(environment), "test", 2, PATIENCE)) {
            server.put("/a", LARGE);
            ByteArrayOutputStream read = new ByteArrayOutputStream() {
                @Override
                public void write(byte[] bytes, int from, int length) {
                    super.write(bytes, from, length);
                    breakConnections();
                }
            };

            assertThatThrownBy(() -> new ServedCatalog(pool)
                            .read(new BlobName("/a"), (version, bytes) -> bytes.copyTo(read, 0, version.size())))
                    .isInstanceOf(StorageFailure.Unreachable.class);
            assertThat(LARGE).startsWith(read.toString(StandardCharsets.UTF_8));
        }
    }

    @Test
    void deleteWhoseConnectionBreaksIsMadeOnAnother() throws Exception {
        try (RunningServer server = RunningServer.ready(environment);
                Database pool = new Database(PgSettings.decode(environment), "test", 2, PATIENCE);
                Connection other = database.connect()) {
            server.put("/a", LARGE);
            other.setAutoCommit(false);
            try (Statement statement = other.createStatement()) {
                statement.execute("SELECT 1 FROM files WHERE name = '/a' FOR UPDATE");
            }

            CompletableFuture<Void> deleted = CompletableFuture.runAsync(
                    () -> new ServedCatalog(pool).delete(new BlobName("/a"), Precondition.NONE));
            Awaitility.await().until(() -> waitsForALock() == 1);
            breakConnections();
            Awaitility.await().until(() -> waitsForALock() == 1);
            other.rollback();

            assertThat(deleted).succeedsWithin(PATIENCE);
            assertThat(database.count("SELECT count(*) FROM files WHERE deleted_at IS NULL"))
                    .isZero();
        }
    }

    private long waitsForALock() {
        return database.count("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test'"
                + " AND wait_event_type = 'Lock'");
    }

    private void breakConnections() {
        database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test'");
    }

    @Test
    void refusalReachesAClientThatSendsItsBodyAllTheSame() throws Exception {
        byte[] body = new byte[500_000];
        try (RunningServer server = RunningServer.ready(environment)) {
            for (int turn = 0; turn < 20; turn++) {
                try (Socket socket = new Socket("127.0.0.1", server.port())) {
                    socket.setSoTimeout((int) PATIENCE.toMillis());
                    OutputStream out = socket.getOutputStream();
                    out.write(
                            ("PUT /none HTTP/1.1\r\nHost: x\r\nBlobstore-Offset: 7\r\nConnection: close\r\nContent-Length: "
                                            + body.length + "\r\n\r\n")
                                    .getBytes(StandardCharsets.US_ASCII));
                    out.flush();
                    Awaitility.await()
                            .atMost(PATIENCE)
                            .until(() -> socket.getInputStream().available() > 0);
                    out.write(body);

                    assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII))
                            .startsWith("HTTP/1.1 404 ");
                }
            }
        }
    }

    @Test
    void blobThatEndsTooEarlyBreaksTheConnectionOff() throws IOException {
        try (RunningServer server = RunningServer.ready(environment)) {
            server.put("/a", new byte[600_000]);
            database.execute("SELECT lo_truncate64(lo_open(file_oid, x'60000'::int), 300000) FROM files");

            byte[] answer = raw(server, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");

            assertThat(new String(answer, StandardCharsets.ISO_8859_1))
                    .startsWith("HTTP/1.1 200 ")
                    .contains("Content-Length: 600000");
            assertThat(answer.length).isLessThan(600_000);
        }
    }

    @Test
    void drainLetsRunningRequestsFinishAndTakesNoNewConnections() throws Exception {
        environment.put("BLOBSTORE_DRAIN_DELAY", "300ms");
        RunningServer server = RunningServer.ready(environment);
        int port = server.port();
        try (Socket slow = new Socket("127.0.0.1", port)) {
            beginUpload(slow, "/slow", 8);
            Awaitility.await().atMost(PATIENCE).until(() -> uploadsAtTheDatabase() == 1);
            CompletableFuture<Integer> brokenOff = CompletableFuture.supplyAsync(() -> drain(server));

            Awaitility.await()
                    .atMost(PATIENCE)
                    .until(() -> server.get("/.well-known/ready").statusCode() == 503);
            HttpResponse<byte[]> meanwhile = server.get("/a");
            assertThat(meanwhile.statusCode()).isEqualTo(404);
            assertThat(meanwhile.headers().firstValue("Connection")).contains("close");
            Awaitility.await().atMost(PATIENCE).until(() -> !isListening(port));
            slow.getOutputStream().write("finished".getBytes(StandardCharsets.US_ASCII));
            slow.setSoTimeout((int) PATIENCE.toMillis());

            assertThat(new String(slow.getInputStream().readAllBytes(), StandardCharsets.US_ASCII))
                    .startsWith("HTTP/1.1 200 ");
            assertThat(brokenOff.get()).isZero();
        }
        server.close();
        assertThat(database.texts("SELECT name FROM files")).containsExactly("/slow");
    }

    @Test
    void drainDoesNotWaitForEver() throws Exception {
        environment.put("BLOBSTORE_DRAIN_GRACE", "100ms");
        try (RunningServer server = RunningServer.ready(environment);
                Socket stalled = new Socket("127.0.0.1", server.port())) {
            beginUpload(stalled, "/stalled", 100_000);
            Awaitility.await().atMost(PATIENCE).until(() -> uploadsAtTheDatabase() == 1);

            assertThat(server.server().drain()).isOne();
            Awaitility.await().atMost(PATIENCE).until(() -> uploadsAtTheDatabase() == 0);
        }
        assertThat(database.count("SELECT count(*) FROM pg_largeobject_metadata"))
                .isZero();
    }

    private static int drain(RunningServer server) {
        try {
            return server.server().drain();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Sends so much that it is under way at the database, too; {@code left} bytes are still to come. */
    private static void beginUpload(Socket socket, String name, int left) throws IOException {
        OutputStream out = socket.getOutputStream();
        out.write("PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
                .formatted(name, BEGINNING_BYTES + left)
                .getBytes(StandardCharsets.US_ASCII));
        out.write(new byte[BEGINNING_BYTES]);
        out.flush();
    }

    private long uploadsAtTheDatabase() {
        return database.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                + " AND state LIKE 'idle in transaction%'");
    }

    private long waitingForLocks() {
        return database.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                + " AND wait_event_type = 'Lock'");
    }

    private static byte[] raw(RunningServer server, String request) throws IOException {
        try (Socket socket = new Socket("127.0.0.1", server.port())) {
            socket.setSoTimeout((int) PATIENCE.toMillis());
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            return socket.getInputStream().readAllBytes();
        }
    }

    private static boolean isListening(int port) {
        try (Socket socket = new Socket("127.0.0.1", port)) {
            return socket.isConnected();
        } catch (IOException e) {
            return false;
        }
    }
}
