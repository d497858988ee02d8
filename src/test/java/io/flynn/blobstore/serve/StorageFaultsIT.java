package io.flynn.blobstore.serve;

import static io.flynn.blobstore.serve.RunningServer.text;
import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.TcpLink;
import java.net.URI;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A database without room, or that only reads, and a store that stands still. */
class StorageFaultsIT {

    private static final String BUCKET = "blobs";

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final LocalS3 store = LocalS3.start();
    private final TcpLink link = TcpLink.to("127.0.0.1", store.endpoint().getPort());
    private final Map<String, String> environment = new HashMap<>(database.environment(EmbeddedPg.SUPERUSER));

    @BeforeEach
    void makeBucket() {
        store.createBucket(BUCKET);
        environment.putAll(store.environment(S3MAIN, BUCKET, URI.create("http://127.0.0.1:" + link.port())));
    }

    @AfterEach
    void stop() {
        link.close();
        store.close();
        database.close();
    }

    /** Where the row is to become the name's: all bytes are stored by then. */
    @ParameterizedTest
    @ValueSource(strings = {"postgres", "s3main"})
    void diskThatIsFullAtTheEndOfAChangeLeavesTheOldBytesAndNothingElse(String backend) {
        environment.put("DEFAULT_BACKEND", backend);
        try (RunningServer server = RunningServer.ready(environment)) {
            server.put("/a", "old");
            database.execute("""
                    CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
                    END $$
                    """);
            database.execute("CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON files FOR EACH ROW"
                    + " WHEN (NEW.deleted_at IS NULL) EXECUTE FUNCTION no_room()");

            for (HttpResponse<byte[]> refused : List.of(
                    server.put("/a", new byte[300_000]),
                    server.put("/a", new byte[300_000], "Blobstore-Offset", "3"),
                    server.put("/b", "", "Blobstore-Copy-From", "/a"))) {
                assertThat(refused.statusCode()).isEqualTo(507);
                assertThat(text(refused)).contains("the database").contains("DatabaseFull");
            }
            database.execute("DROP FUNCTION no_room CASCADE");

            assertIsAlone(server, "old");
        }
    }

    /** As a standby is after it has taken over from nobody. */
    @ParameterizedTest
    @ValueSource(strings = {"postgres", "s3main"})
    void databaseThatOnlyReadsIsReadAndChangesAreToldToComeAgain(String backend) {
        environment.put("DEFAULT_BACKEND", backend);
        try (RunningServer server = RunningServer.ready(environment)) {
            server.put("/a", "old");
            readOnly("on", server);

            for (HttpResponse<byte[]> refused : List.of(
                    server.put("/a", "new"),
                    server.put("/a", "!", "Blobstore-Offset", "3"),
                    server.put("/b", "", "Blobstore-Copy-From", "/a"),
                    server.delete("/a"))) {
                assertThat(refused.statusCode()).isEqualTo(503);
                assertThat(refused.headers().firstValue("Retry-After")).isPresent();
                assertThat(text(refused)).contains("the database").contains("DatabaseReadOnly");
            }
            assertIsAlone(server, "old");

            readOnly("off", server);
            assertThat(server.put("/a", "new").statusCode()).isEqualTo(200);
            assertThat(text(server.follow("/a"))).isEqualTo("new");
        }
    }

    @Test
    void changeThatPostgresqlEndsForADeadlockIsMadeAgain() {
        try (RunningServer server = RunningServer.ready(environment)) {
            server.put("/a", "old");
            deadlock("<= 2");
            assertThat(server.put("/b", "", "Blobstore-Copy-From", "/a").statusCode())
                    .isEqualTo(200);
            assertThat(text(server.get("/b"))).isEqualTo("old");
            database.execute("ALTER SEQUENCE tries RESTART");
            assertThat(server.delete("/b").statusCode()).isEqualTo(200);

            assertThat(database.count("SELECT last_value FROM tries")).isEqualTo(3);
            assertIsAlone(server, "old");
        }
    }

    /** Its bytes are in memory, or in the bucket. With a condition it takes more than one statement. */
    @ParameterizedTest
    @ValueSource(strings = {"postgres", "s3main"})
    void smallUploadThatPostgresqlEndsForADeadlockIsMadeAgain(String backend) {
        environment.put("DEFAULT_BACKEND", backend);
        try (RunningServer server = RunningServer.ready(environment)) {
            server.put("/a", "old");
            deadlock("IN (5, 6)");
            for (String[] condition : List.of(new String[0], new String[] {"If-Match", "*"})) {
                database.execute("ALTER SEQUENCE tries RESTART " + (backend.equals("postgres") ? 5 : 4));
                assertThat(server.put("/a", "new", condition).statusCode()).isEqualTo(200);
                assertThat(database.count("SELECT last_value FROM tries")).isEqualTo(8);
            }

            assertIsAlone(server, "new");
        }
    }

    @Test
    void deadlocksWithoutEndAreToldToComeAgain() {
        try (RunningServer server = RunningServer.ready(environment)) {
            server.put("/a", "old");
            deadlock("> 0");

            HttpResponse<byte[]> refused = server.put("/b", "", "Blobstore-Copy-From", "/a");

            assertThat(refused.statusCode()).isEqualTo(503);
            assertThat(refused.headers().firstValue("Retry-After")).isPresent();
            assertThat(text(refused)).contains("the database").contains("DatabaseBusy");
            assertThat(database.count("SELECT last_value FROM tries")).isEqualTo(5);
            assertIsAlone(server, "old");
        }
    }

    /** Changes of rows end as the victims of deadlocks do, where the number of the try is this. */
    private void deadlock(String tries) {
        database.execute("CREATE SEQUENCE tries");
        database.execute("""
                CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF nextval('tries') %s THEN
                        RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01';
                    END IF;
                    RETURN NEW;
                END $$""".formatted(tries));
        database.execute("CREATE TRIGGER deadlock BEFORE INSERT OR UPDATE ON files FOR EACH ROW"
                + " EXECUTE FUNCTION deadlock()");
    }

    /** For longer than the SDK waits for a byte. */
    @Tag("long")
    @Test
    void storeThatStandsStillForHalfAMinuteFailsNoUpload() throws Exception {
        environment.put("DEFAULT_BACKEND", "s3main");
        try (RunningServer server = RunningServer.ready(environment)) {
            server.put("/a", "old");
            CountDownLatch movesOn = new CountDownLatch(1);
            link.gate(direction -> movesOn.await());

            try (SlowPut upload = new SlowPut(server.port(), "/a", 3, Duration.ofMinutes(3))) {
                upload.send("new");
                // That is what stands still.
                Thread.sleep(Duration.ofSeconds(35));
                link.open();
                movesOn.countDown();
                assertThat(upload.status()).isEqualTo(200);
            }

            assertIsAlone(server, "new");
        }
    }

    @Tag("long")
    @Test
    void moreDownloadsThanConnectionsToTheStoreAreToldToComeAgain() throws Exception {
        environment.put("DEFAULT_BACKEND", "s3main");
        environment.put("BLOBSTORE_REDIRECT", "false");
        environment.put("BLOBSTORE_STORE_CONNECTIONS", "1");
        try (RunningServer server = RunningServer.ready(environment);
                var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            server.put("/a", "old");
            CountDownLatch isHeld = new CountDownLatch(1);
            CountDownLatch movesOn = new CountDownLatch(1);
            link.gate(direction -> {
                isHeld.countDown();
                movesOn.await();
            });
            Future<HttpResponse<byte[]>> first = threads.submit(() -> server.get("/a"));
            assertThat(isHeld.await(20, TimeUnit.SECONDS)).isTrue();

            HttpResponse<byte[]> refused = server.get("/a");

            link.open();
            movesOn.countDown();
            assertThat(refused.statusCode()).isEqualTo(503);
            assertThat(refused.headers().firstValue("Retry-After")).isPresent();
            assertThat(text(refused)).contains("\"s3main\"");
            assertThat(text(first.get())).isEqualTo("old");
        }
    }

    private void readOnly(String value, RunningServer server) {
        database.execute("BEGIN READ WRITE; ALTER DATABASE %s SET default_transaction_read_only = %s; COMMIT"
                .formatted(database.name(), value));
        database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                + " WHERE datname = current_database() AND pid <> pg_backend_pid()");
        // Reads are repeated, and leave no broken connection behind.
        assertThat(text(server.follow("/a"))).isEqualTo("old");
    }

    private void assertIsAlone(RunningServer server, String content) {
        assertThat(text(server.follow("/a"))).isEqualTo(content);
        assertThat(server.head("/b").statusCode()).isEqualTo(404);
        assertThat(database.count("SELECT count(*) FROM pg_largeobject_metadata"))
                .isEqualTo(database.count("SELECT count(file_oid) FROM files"));
        assertThat(store.sizes(BUCKET).keySet())
                .hasSameElementsAs(database.texts("SELECT external_id::text FROM files WHERE external_id IS NOT NULL"));
        assertThat(store.unfinishedUploads(BUCKET)).isEmpty();
    }
}
