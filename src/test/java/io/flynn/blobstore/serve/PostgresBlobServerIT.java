package io.flynn.blobstore.serve;

import static io.flynn.blobstore.serve.RunningServer.text;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.Statement;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PostgresBlobServerIT extends BlobServerContract {

    @Override
    Map<String, String> backend() {
        return Map.of();
    }

    @Override
    long objects() {
        return 0;
    }

    @Override
    String backendName() {
        return "postgres";
    }

    @Test
    void getTellsWhatHeadTells() {
        blobs().put("/a", "hello", "Content-Type", "text/html; charset=UTF-8");

        HttpResponse<byte[]> got = blobs().get("/a");
        HttpResponse<byte[]> head = blobs().head("/a");

        for (String header : List.of("Content-Length", "Content-Type", "Etag", "Last-Modified", "Accept-Ranges")) {
            assertThat(got.headers().firstValue(header))
                    .isPresent()
                    .isEqualTo(head.headers().firstValue(header));
        }
        assertThat(got.headers().firstValue("Content-Type")).contains("text/html; charset=UTF-8");
    }

    @Test
    void blobWithoutTypeOrDigestHasNoHeaderForThem() {
        database().execute("""
                INSERT INTO files (file_oid, backend, name, type, size) VALUES (lo_from_bytea(0, 'old'), 'postgres', '/old', '', 3)
                """);

        HttpResponse<byte[]> got = blobs().get("/old");

        assertThat(text(got)).isEqualTo("old");
        assertThat(got.headers().firstValue("Content-Type")).isEmpty();
        assertThat(got.headers().firstValue("Etag")).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(nullValues = "-", textBlock = """
            bytes=0-0,     206, h,     bytes 0-0/5
            bytes=1-3,     206, ell,   bytes 1-3/5
            bytes=2-,      206, llo,   bytes 2-4/5
            bytes=-2,      206, lo,    bytes 3-4/5
            bytes=-9,      206, hello, bytes 0-4/5
            bytes=3-99,    206, lo,    bytes 3-4/5
            bytes=5-,      416, -,     bytes */5
            bytes=3-2,     416, -,     bytes */5
            bytes=-0,      416, -,     bytes */5
            bytes=a-b,     416, -,     bytes */5
            lines=1-2,     200, hello, -
            """)
    void ranges(String range, int status, String body, String contentRange) {
        blobs().put("/a", "hello");

        HttpResponse<byte[]> got = blobs().get("/a", "Range", range);

        assertThat(got.statusCode()).isEqualTo(status);
        assertThat(got.headers().firstValue("Content-Range").orElse(null)).isEqualTo(contentRange);
        if (body != null) {
            assertThat(text(got)).isEqualTo(body);
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            bytes=0-1,3-4      | 0-1 3-4
            bytes=3-4, 0-0     | 3-4 0-0
            bytes=,0-1,,3-4,   | 0-1 3-4
            bytes=-1,0-0,2-2   | 4-4 0-0 2-2
            bytes=0-0,1-1,99-  | 0-0 1-1
            """)
    void severalRangesAreOneBodyOfParts(String range, String parts) {
        blobs().put("/a", "hello", "Content-Type", "text/css");

        MultipartBody.of(blobs().get("/a", "Range", range))
                .assertIs("hello".getBytes(StandardCharsets.UTF_8), "text/css", parts);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', nullValues = "-", textBlock = """
            bytes=0-1,1-3                                 | 200 | hello
            bytes=0-,-1                                   | 200 | hello
            bytes=0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0 | 200 | hello
            bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15,16-16 | 200 | hello
            bytes=1-2,99-                                 | 206 | el
            bytes=7-,9-                                   | 416 | -
            bytes=,                                       | 416 | -
            bytes=0-1,x                                   | 416 | -
            """)
    void severalRangesThatAreNotWorthPartsAreNoParts(String range, int status, String body) {
        blobs().put("/a", "hello", "Content-Type", "text/css");

        HttpResponse<byte[]> got = blobs().get("/a", "Range", range);

        assertThat(got.statusCode()).isEqualTo(status);
        if (body != null) {
            assertThat(text(got)).isEqualTo(body);
            assertThat(got.headers().firstValue("Content-Type")).contains("text/css");
        }
    }

    @Test
    void digestThatIsNoneIsNoReasonNotToServe() {
        database().execute("""
                INSERT INTO files (file_oid, backend, name, type, size, sha512)
                VALUES (lo_from_bytea(0, 'old'), 'postgres', '/old', '', 3, '\\x00ff')
                """);

        HttpResponse<byte[]> got = blobs().get("/old");

        assertThat(text(got)).isEqualTo("old");
        assertThat(got.headers().firstValue("Etag")).isEmpty();
        assertThat(blobs().head("/old").statusCode()).isEqualTo(200);
        assertThat(append("/old", 3, new byte[0]).statusCode()).isEqualTo(200);
        assertIs("/old", "old".getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void readerGoesOnReadingWhatTheBlobWasWhileItIsAppendedTo() throws IOException {
        byte[] bytes = random(30_000_000);
        blobs().put("/a", bytes);

        try (Socket socket = new Socket("127.0.0.1", blobs().port())) {
            socket.getOutputStream()
                    .write("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                            .getBytes(StandardCharsets.US_ASCII));
            byte[] first = socket.getInputStream().readNBytes(100_000);
            assertThat(append("/a", bytes.length, random(100_000)).statusCode()).isEqualTo(200);
            byte[] rest = socket.getInputStream().readAllBytes();

            byte[] tail = Arrays.copyOfRange(rest, rest.length - 1_000_000, rest.length);
            assertThat(tail).isEqualTo(Arrays.copyOfRange(bytes, bytes.length - 1_000_000, bytes.length));
            assertThat(first.length + rest.length).isBetween(bytes.length, bytes.length + 1_000);
        }
    }

    /** To a backend that this server doesn't know; to one that it knows, see {@code S3BlobServerIT}. */
    @Test
    void appendToABlobThatIsMovedMeanwhileOutOfReachLeavesTheOldBytes() throws IOException {
        blobs().put("/a", "hello");

        try (SlowPut append = slowPut("/a", 6, "Blobstore-Offset: 5")) {
            append.send(" wo");
            database().execute("UPDATE files SET backend = 's3main', external_id = uuid_generate_v4()");
            assertThat(append.send("rld").status()).isEqualTo(503);
        }

        assertThat(database().texts("SELECT convert_from(lo_get(file_oid), 'UTF8') FROM files"))
                .containsExactly("hello");
        assertThat(largeObjects()).isOne();
    }

    @Test
    void nothingIsLockedWhileAClientSendsWhatItAppends() throws IOException {
        blobs().put("/a", "hello");

        try (SlowPut append = slowPut("/a", 6, "Blobstore-Offset: 5")) {
            append.send(" wo");
            database().execute("SET lock_timeout = '1s'; SELECT FROM files FOR UPDATE NOWAIT");
            assertThat(append.send("rld").status()).isEqualTo(200);
        }

        assertThat(text(blobs().get("/a"))).isEqualTo("hello world");
    }

    /** Each has its source, and waits for the other's. */
    @Test
    void copiesInOppositeDirectionsAtOnceAreBothMade() throws Exception {
        blobs().put("/a", "one");
        blobs().put("/b", "other");

        try (var threads = Executors.newVirtualThreadPerTaskExecutor();
                Connection gate = database().connect();
                Statement statement = gate.createStatement()) {
            gate.setAutoCommit(false);
            // New large objects wait.
            statement.execute("LOCK TABLE pg_largeobject_metadata IN SHARE MODE");
            Future<HttpResponse<byte[]>> there = threads.submit(() -> copy("/a", "/b"));
            Future<HttpResponse<byte[]>> back = threads.submit(() -> copy("/b", "/a"));
            Awaitility.await().atMost(PATIENCE).until(() -> waiting() == 2);
            gate.commit();

            assertThat(there.get().statusCode()).isEqualTo(200);
            assertThat(back.get().statusCode()).isEqualTo(200);
        }

        assertThat(text(blobs().get("/a"))).isEqualTo(text(blobs().get("/b"))).isIn("one", "other");
        assertThat(largeObjects()).isEqualTo(2);
    }

    private long waiting() {
        return database()
                .count("SELECT count(*) FROM pg_stat_activity"
                        + " WHERE datname = current_database() AND wait_event_type = 'Lock'");
    }

    @Test
    void copyOfALargeObjectThatIsTooShortIsAFailure() {
        blobs().put("/a", "hello");
        database().execute("UPDATE files SET size = 300000");
        Leftovers before = leftovers();

        assertThat(copy("/a", "/b").statusCode()).isEqualTo(500);

        assertThat(leftovers()).isEqualTo(before);
    }

    @Test
    void rowWithoutASizeCanBeReplaced() {
        database().execute("""
                INSERT INTO files (file_oid, backend, name, type) VALUES (lo_from_bytea(0, 'old'), 'postgres', '/a', '')
                """);

        assertThat(blobs().put("/a", "new").statusCode()).isEqualTo(200);
        assertThat(text(blobs().get("/a"))).isEqualTo("new");
    }

    @Test
    void rangeAcrossChunks() {
        byte[] bytes = new byte[1_000_000];
        new Random(7).nextBytes(bytes);
        blobs().put("/a", bytes);

        assertThat(blobs().get("/a", "Range", "bytes=262143-786433").body())
                .isEqualTo(Arrays.copyOfRange(bytes, 262_143, 786_434));
    }

    @Test
    void conditions() {
        blobs().put("/a", "hello");
        HttpResponse<byte[]> got = blobs().get("/a");
        String etag = got.headers().firstValue("Etag").orElseThrow();
        String date = got.headers().firstValue("Last-Modified").orElseThrow();
        String earlier = "Wed, 03 Jun 2015 12:00:00 GMT";

        assertThat(status("If-None-Match", etag)).isEqualTo(304);
        assertThat(status("If-None-Match", "\"other\", W/" + etag)).isEqualTo(304);
        assertThat(status("If-None-Match", "*")).isEqualTo(304);
        assertThat(status("If-None-Match", "\"other\"")).isEqualTo(200);
        assertThat(status("If-None-Match", "\"other\"", "If-Modified-Since", date))
                .isEqualTo(200);
        assertThat(status("If-Modified-Since", date)).isEqualTo(304);
        assertThat(status("If-Modified-Since", earlier)).isEqualTo(200);
        assertThat(status("If-Modified-Since", "yesterday")).isEqualTo(200);
        assertThat(status("If-Match", etag)).isEqualTo(200);
        assertThat(status("If-Match", "\"other\"")).isEqualTo(412);
        assertThat(status("If-Match", "W/" + etag)).isEqualTo(412);
        assertThat(status("If-Unmodified-Since", earlier)).isEqualTo(412);
        assertThat(status("If-Unmodified-Since", date)).isEqualTo(200);
        assertThat(status("Range", "bytes=0-1", "If-Range", etag)).isEqualTo(206);
        assertThat(status("Range", "bytes=0-1", "If-Range", "\"other\"")).isEqualTo(200);
        assertThat(status("Range", "bytes=0-1", "If-Range", date))
                .as("two versions may have one date")
                .isEqualTo(200);
        assertThat(status("Range", "bytes=0-1", "If-Range", earlier)).isEqualTo(200);
        assertThat(blobs().get("/a", "If-None-Match", etag).headers().firstValue("Etag"))
                .contains(etag);
    }

    @Test
    void lastModifiedIsWhenTheUploadEnded() {
        blobs().put("/a", "hello");

        assertThat(database()
                        .count("SELECT count(*) FROM files WHERE updated_at <= clock_timestamp()"
                                + " AND updated_at > clock_timestamp() - interval '1 minute'"))
                .isOne();
    }

    @Test
    void largeObjectThatIsGoneIsAFailureNotAnEmptyBlob() {
        blobs().put("/a", "hello");
        database().execute("SELECT lo_unlink(file_oid) FROM files");

        HttpResponse<byte[]> got = blobs().get("/a");

        assertThat(got.statusCode()).isEqualTo(500);
        assertThat(text(got)).contains("SourceMissing");
        assertThat(blobs().put("/a", "again").statusCode())
                .as("can be replaced")
                .isEqualTo(200);
        assertThat(text(blobs().get("/a"))).isEqualTo("again");
    }

    @Test
    void deletesMoreLargeObjectsThanOneTransactionCanUnlink() {
        database().execute("""
                INSERT INTO files (file_oid, backend, name, type, size)
                SELECT lo_from_bytea(0, 'x'), 'postgres', '/many/' || i, '', 1 FROM generate_series(1, 1200) i
                """);

        assertThat(blobs().delete("/many").statusCode()).isEqualTo(200);

        assertThat(names()).isEmpty();
        assertThat(largeObjects()).isZero();
    }

    /** As if clients put a blob for each that goes. */
    @Test
    void deleteEndsAlthoughMoreAndMoreNamesAreMadeBelow() {
        database().execute("""
                CREATE FUNCTION one_more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    INSERT INTO files (file_oid, backend, name, type, size)
                        VALUES (lo_from_bytea(0, 'x'), 'postgres', '/many/' || uuid_generate_v4(), '', 1);
                    RETURN NULL;
                END $$
                """);
        database().execute("""
                INSERT INTO files (file_oid, backend, name, type, size)
                SELECT lo_from_bytea(0, 'x'), 'postgres', '/many/' || i, '', 1 FROM generate_series(1, 1200) i
                """);
        database()
                .execute("CREATE TRIGGER one_more AFTER UPDATE OF deleted_at ON files FOR EACH ROW"
                        + " WHEN (NEW.name ~ '^/many/[0-9]+$') EXECUTE FUNCTION one_more()");
        try {
            assertThat(blobs().delete("/many").statusCode()).isEqualTo(200);
        } finally {
            database().execute("DROP FUNCTION one_more CASCADE");
        }

        assertThat(names()).hasSize(1200).noneMatch(name -> name.matches("/many/[0-9]+"));
    }

    @Test
    void downloadThatBreaksOffGivesItsConnectionBack() throws IOException {
        blobs().put("/a", new byte[50_000_000]);

        try (Socket socket = new Socket("127.0.0.1", blobs().port())) {
            socket.getOutputStream().write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            socket.getInputStream().readNBytes(100_000);
        }

        Awaitility.await()
                .atMost(PATIENCE)
                .until(() -> database()
                                .count(
                                        "SELECT count(*) FROM pg_stat_activity"
                                                + " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'")
                        == 0);
        assertThat(blobs().get("/a", "Range", "bytes=0-0").statusCode()).isEqualTo(206);
    }

    private int status(String... headers) {
        return blobs().get("/a", headers).statusCode();
    }
}
