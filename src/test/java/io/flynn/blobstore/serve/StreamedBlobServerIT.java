package io.flynn.blobstore.serve;

import static io.flynn.blobstore.serve.RunningServer.text;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.testkit.LocalS3.Operation;
import io.flynn.blobstore.testkit.StoreFault;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Blobs in an external backend, for clients that can't reach it. */
class StreamedBlobServerIT extends S3ServerContract {

    @Override
    Map<String, String> backend() {
        Map<String, String> environment = super.backend();
        environment.put("BLOBSTORE_REDIRECT", "false");
        return environment;
    }

    @Test
    void getTellsWhatHeadTells() {
        blobs().put("/a", "hello", "Content-Type", "text/html; charset=UTF-8");

        HttpResponse<byte[]> got = blobs().get("/a");
        HttpResponse<byte[]> head = blobs().head("/a");

        assertThat(got.statusCode()).isEqualTo(200);
        assertThat(text(got)).isEqualTo("hello");
        for (String header : List.of("Content-Length", "Content-Type", "Etag", "Last-Modified", "Accept-Ranges")) {
            assertThat(got.headers().firstValue(header))
                    .isPresent()
                    .isEqualTo(head.headers().firstValue(header));
        }
    }

    @ParameterizedTest
    @CsvSource(nullValues = "-", textBlock = """
            bytes=0-0,     206, h,     bytes 0-0/5
            bytes=-2,      206, lo,    bytes 3-4/5
            bytes=3-99,    206, lo,    bytes 3-4/5
            bytes=5-,      416, -,     bytes */5
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

    @Test
    void severalRangesOfALargeObject() {
        byte[] bytes = random(3_000_000);
        blobs().put("/a", bytes, "Content-Type", "text/css");

        MultipartBody.of(blobs().get("/a", "Range", "bytes=2000000-2999999,0-999999"))
                .assertIs(bytes, "text/css", "2000000-2999999 0-999999");
    }

    @Test
    void conditionsAreLookedAtWithoutAskingTheStore() {
        blobs().put("/a", "hello");
        String etag = blobs().head("/a").headers().firstValue("Etag").orElseThrow();
        long read = store.count(Operation.GET);

        assertThat(blobs().get("/a", "If-None-Match", etag).statusCode()).isEqualTo(304);
        assertThat(blobs().get("/a", "If-Match", "\"other\"").statusCode()).isEqualTo(412);
        assertThat(blobs().get("/a", "Range", "bytes=0-1", "If-Range", "\"other\"")
                        .statusCode())
                .isEqualTo(200);
        assertThat(store.count(Operation.GET)).isEqualTo(read + 1);
    }

    @Test
    void storeThatRefusesIsNamed() {
        blobs().put("/a", "hello");
        store.deny(Operation.GET);
        List<HttpResponse<byte[]>> refused = List.of(
                blobs().get("/a"),
                blobs().get("/a", "Range", "bytes=1-2"),
                blobs().get("/a", "Range", "bytes=0-0,2-2"));
        store.deny();

        for (HttpResponse<byte[]> answer : refused) {
            assertThat(answer.statusCode()).isEqualTo(503);
            assertThat(answer.headers().firstValue("Retry-After")).isPresent();
            assertThat(answer.headers().firstValue("Etag")).isEmpty();
            assertThat(text(answer)).contains("\"s3main\"");
        }
        assertThat(blobs().get("/a").statusCode()).isEqualTo(200);
    }

    @Test
    void objectThatIsNotAsLongAsItsRowSaysIsNotServed() {
        blobs().put("/a", "hello");
        store.overwrite(BUCKET, key(), "hell".getBytes(StandardCharsets.UTF_8));

        assertThat(blobs().get("/a").statusCode()).isEqualTo(500);
        assertThat(blobs().get("/a", "Range", "bytes=3-4").statusCode()).isEqualTo(500);
        assertThat(blobs().get("/a", "Range", "bytes=0-1,3-4").statusCode()).isEqualTo(500);

        store.overwrite(BUCKET, key(), "hello!".getBytes(StandardCharsets.UTF_8));
        assertThat(blobs().get("/a").statusCode()).isEqualTo(500);
    }

    @Test
    void laterRangeThatCantBeReadBreaksTheAnswerOff() {
        blobs().put("/a", "hello");
        store.fail(2, StoreFault.status(403, "AccessDenied"));

        assertThatThrownBy(() -> blobs().get("/a", "Range", "bytes=0-1,3-4")).isInstanceOf(UncheckedIOException.class);
    }

    @Test
    void objectThatIsGoneIsAFailure() {
        blobs().put("/a", "hello");
        empty();

        HttpResponse<byte[]> failed = blobs().get("/a");

        assertThat(failed.statusCode()).isEqualTo(500);
        assertThat(text(failed)).contains("ObjectMissing");
    }

    @Test
    void noConnectionToTheDatabaseIsHeldWhileAClientReads() throws Exception {
        byte[] bytes = random(20_000_000);
        blobs().put("/a", bytes);

        try (Socket socket = new Socket("127.0.0.1", blobs().port())) {
            socket.getOutputStream()
                    .write("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                            .getBytes(StandardCharsets.US_ASCII));
            socket.getInputStream().readNBytes(100_000);
            assertThat(database()
                            .count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                                    + " AND state LIKE 'idle in transaction%'"))
                    .isZero();
            byte[] rest = socket.getInputStream().readAllBytes();
            assertThat(Arrays.copyOfRange(rest, rest.length - 1_000, rest.length))
                    .isEqualTo(Arrays.copyOfRange(bytes, bytes.length - 1_000, bytes.length));
        }
    }

    /** Longer than the SDK lets a transfer stand still, shorter than a client may. */
    @Tag("long")
    @Test
    void clientThatPausesGetsTheRest() throws Exception {
        byte[] bytes = random(30_000_000);
        blobs().put("/a", bytes);

        try (Socket socket = new Socket("127.0.0.1", blobs().port())) {
            socket.getOutputStream()
                    .write("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                            .getBytes(StandardCharsets.US_ASCII));
            socket.getInputStream().readNBytes(100_000);
            Thread.sleep(Duration.ofSeconds(45));
            byte[] rest = socket.getInputStream().readAllBytes();
            assertThat(rest.length).isGreaterThan(bytes.length - 100_000);
            assertThat(Arrays.copyOfRange(rest, rest.length - 20_000_000, rest.length))
                    .isEqualTo(Arrays.copyOfRange(bytes, bytes.length - 20_000_000, bytes.length));
        }
    }

    private String key() {
        return database()
                .texts("SELECT external_id::text FROM files WHERE deleted_at IS NULL")
                .getFirst();
    }
}
