package io.flynn.blobstore.serve;

import static io.flynn.blobstore.serve.RunningServer.text;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.flynn.blobstore.testkit.EmbeddedPg;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What metrics and access log say of requests. */
class SeenFromOutsideIT {

    private static final ObjectMapper JSON = new ObjectMapper();

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final Map<String, String> environment = new HashMap<>(database.environment(EmbeddedPg.SUPERUSER));

    SeenFromOutsideIT() {
        environment.put("BLOBSTORE_ACCESS_LOG", "true");
        environment.put(
                "BACKEND_S3MAIN",
                "backend=s3 region=eu-central-1 bucket=b access_key_id=AK secret_access_key=SK path_style=true"
                        // tcpmux: nobody listens there.
                        + " endpoint=http://127.0.0.1:1");
    }

    @AfterEach
    void drop() {
        database.close();
    }

    @Test
    void metricsCountRequestsByMethodBackendAndStatus() {
        try (RunningServer server = RunningServer.ready(environment)) {
            database.execute("""
                    INSERT INTO files (external_id, backend, name, type, size) VALUES
                        (uuid_generate_v4(), 's3main', '/in-s3', '', 1), (uuid_generate_v4(), 'gone', '/gone', '', 1)
                    """);
            server.put("/a", "12345");
            server.put("/a", "12345");
            server.get("/a");
            server.get("/in-s3");
            server.get("/gone");
            server.get("/missing");
            server.delete("/a");
            server.send("BREW", "/a", new byte[0]);
            server.send("STEEP", "/a", new byte[0]);
            awaitLines(server, 9);

            String requests =
                    "blobstore_http_request_duration_seconds_count{backend=\"%s\",method=\"%s\",status=\"%s\"} ";
            assertThat(server.metrics().lines())
                    .contains(
                            requests.formatted("postgres", "PUT", 200) + "2",
                            requests.formatted("postgres", "GET", 200) + "1",
                            requests.formatted("s3main", "GET", 302) + "1",
                            requests.formatted("unknown", "GET", 503) + "1",
                            requests.formatted("none", "GET", 404) + "1",
                            requests.formatted("none", "DELETE", 200) + "1",
                            requests.formatted("none", "other", 405) + "2",
                            "blobstore_http_received_bytes_total{backend=\"postgres\",method=\"PUT\",status=\"200\"} 10.0",
                            "blobstore_http_sent_bytes_total{backend=\"postgres\",method=\"GET\",status=\"200\"} 5.0",
                            "blobstore_http_requests_in_flight 0.0",
                            "blobstore_failures_total{backend=\"unknown\",reason=\"BackendUnknown\"} 1.0")
                    .anyMatch(line -> line.startsWith("blobstore_http_request_duration_seconds_bucket{")
                            && line.contains("le=\"0.1\""))
                    .anyMatch(line -> line.startsWith("hikaricp_connections_active{"))
                    .noneMatch(line -> line.contains("in-s3") || line.contains("BREW"));
        }
    }

    @Test
    void failureOfAStoreIsCountedAndNamesItsBackend() {
        environment.put("DEFAULT_BACKEND", "s3main");
        try (RunningServer server = RunningServer.ready(environment)) {
            HttpResponse<byte[]> refused = server.put("/a", "x");

            assertThat(refused.statusCode()).isEqualTo(503);
            assertThat(refused.headers().firstValue("Retry-After")).contains("1");
            assertThat(text(refused)).isEqualTo("not now: backend \"s3main\": EndpointUnreachable\n");
            assertThat(awaitLines(server, 1).getFirst().path("failure").asText())
                    .isEqualTo("EndpointUnreachable");
            assertThat(server.metrics())
                    .contains("blobstore_failures_total{backend=\"s3main\",reason=\"EndpointUnreachable\"} 1.0");
        }
    }

    @Test
    void failureOfTheDatabaseIsCountedAsItsOwnWhateverTheBackend() {
        environment.put("DEFAULT_BACKEND", "s3main");
        try (RunningServer server = RunningServer.ready(environment)) {
            database.execute("ALTER TABLE files RENAME TO elsewhere");

            HttpResponse<byte[]> failed = server.get("/a");

            assertThat(failed.statusCode()).isEqualTo(500);
            assertThat(text(failed)).isEqualTo("failed: the database: SchemaUnknown\n");
            assertThat(server.metrics())
                    .contains("blobstore_failures_total{backend=\"postgres\",reason=\"SchemaUnknown\"} 1.0");
        }
    }

    @Test
    void blobMayBeCalledMetrics() {
        try (RunningServer server = RunningServer.ready(environment)) {
            server.put("/metrics", "mine");

            assertThat(text(server.get("/metrics"))).isEqualTo("mine");
        }
    }

    @Test
    void everyRequestIsOneLineOfJson() {
        try (RunningServer server = RunningServer.ready(environment)) {
            Instant before = Instant.now();
            server.put("/a \"b\"\n", "12345");
            server.send("GET", "/a%20%22b%22%0a?X-Amz-Signature=canary", new byte[0], "Authorization", "canary");

            List<JsonNode> lines = awaitLines(server, 2);
            assertThat(lines.get(0).path("path").asText()).isEqualTo("/a%20%22b%22%0A");
            JsonNode got = lines.get(1);
            assertThat(got.path("method").asText()).isEqualTo("GET");
            assertThat(got.path("path").asText()).isEqualTo("/a%20%22b%22%0a");
            assertThat(got.path("status").asInt()).isEqualTo(200);
            assertThat(got.path("received").asLong(-1)).isZero();
            assertThat(got.path("sent").asLong()).isEqualTo(5);
            assertThat(got.path("backend").asText()).isEqualTo("postgres");
            assertThat(got.path("client").asText()).isEqualTo("127.0.0.1");
            assertThat(got.path("millis").isIntegralNumber()).isTrue();
            assertThat(got.has("failure")).isFalse();
            assertThat(Instant.parse(got.path("time").asText())).isAfterOrEqualTo(before.minusMillis(1));
            assertThat(lines.get(0).path("received").asLong()).isEqualTo(5);
            assertThat(server.accessLog()).noneMatch(line -> line.contains("canary") || line.contains("\n"));
        }
    }

    @Test
    void requestKeepsItsIdIfItIsSane() {
        try (RunningServer server = RunningServer.ready(environment)) {
            HttpResponse<byte[]> named = server.get("/missing", "X-Request-Id", "abc-123");
            HttpResponse<byte[]> insane = server.get("/missing", "X-Request-Id", "say \"hello\"");
            HttpResponse<byte[]> endless = server.get("/missing", "X-Request-Id", "x".repeat(129));

            assertThat(named.headers().firstValue("X-Request-Id")).contains("abc-123");
            String uuid = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
            assertThat(insane.headers().firstValue("X-Request-Id").orElseThrow())
                    .matches(uuid);
            assertThat(endless.headers().firstValue("X-Request-Id").orElseThrow())
                    .matches(uuid);
            assertThat(awaitLines(server, 3).getFirst().path("id").asText()).isEqualTo("abc-123");
        }
    }

    @Test
    void answersThatWereBegunAnewKeepTheirId() {
        try (RunningServer server = RunningServer.ready(environment)) {
            database.execute("ALTER TABLE files RENAME TO elsewhere");

            HttpResponse<byte[]> failed = server.get("/a", "X-Request-Id", "abc-123");

            assertThat(failed.statusCode()).isEqualTo(500);
            assertThat(failed.headers().firstValue("X-Request-Id")).contains("abc-123");
        }
    }

    @Test
    void clientThatBreaksOffItsUploadIsSeen() throws IOException {
        try (RunningServer server = RunningServer.ready(environment)) {
            try (Socket client = new Socket("127.0.0.1", server.port())) {
                write(client, "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
            }

            JsonNode line = awaitLines(server, 1).getFirst();
            assertThat(line.path("status").asInt()).isEqualTo(499);
            assertThat(line.path("failure").asText()).isEqualTo("ClientBrokeOff");
            assertThat(line.path("received").asLong()).isEqualTo(4);
            assertThat(server.metrics()).contains("method=\"PUT\",status=\"499\"} 1");
        }
    }

    @Test
    void clientThatBreaksOffItsDownloadIsSeen() throws IOException {
        try (RunningServer server = RunningServer.ready(environment)) {
            database.execute("""
                    INSERT INTO files (file_oid, backend, name, type, size)
                    VALUES (lo_from_bytea(0, repeat('x', 50000000)::bytea), 'postgres', '/large', '', 50000000)
                    """);
            try (Socket client = new Socket("127.0.0.1", server.port())) {
                write(client, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
                assertThat(client.getInputStream().read()).isEqualTo('H');
            }

            JsonNode line = awaitLines(server, 1).getFirst();
            assertThat(line.path("status").asInt()).isEqualTo(499);
            assertThat(line.path("sent").asLong()).isLessThan(50_000_000);
        }
    }

    @Test
    void malformedRequestIsSeenToo() throws IOException {
        try (RunningServer server = RunningServer.ready(environment);
                Socket client = new Socket("127.0.0.1", server.port())) {
            client.setSoTimeout((int) PATIENCE.toMillis());
            write(client, "GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n");

            assertThat(new String(client.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1))
                    .startsWith("HTTP/1.1 400 ");
            JsonNode line = awaitLines(server, 1).getFirst();
            assertThat(line.path("status").asInt()).isEqualTo(400);
            assertThat(line.path("failure").asText()).isEqualTo("Malformed");
        }
    }

    @Test
    void accessLogCanBeSwitchedOff() {
        environment.put("BLOBSTORE_ACCESS_LOG", "false");
        try (RunningServer server = RunningServer.ready(environment)) {
            server.get("/missing");
            Awaitility.await().atMost(PATIENCE).until(() -> server.metrics().contains("status=\"404\"} 1"));

            assertThat(server.accessLog()).isEmpty();
        }
    }

    /** How much there is to be told doesn't grow with what clients send and rows hold. */
    @Test
    void labelsHaveFewValues() {
        try (RunningServer server = RunningServer.ready(environment)) {
            database.execute("""
                    INSERT INTO files (external_id, backend, name, type, size)
                    SELECT uuid_generate_v4(), 'backend' || i, '/' || i, '', 1 FROM generate_series(1, 30) i
                    """);
            for (int i = 1; i <= 30; i++) {
                server.get("/" + i);
                server.send("METHOD" + i, "/" + i, new byte[0]);
            }
            awaitLines(server, 60);

            assertThat(Pattern.compile("(?m)^blobstore_http_request_duration_seconds_count.*$")
                            .matcher(server.metrics())
                            .results()
                            .map(MatchResult::group))
                    .hasSize(2);
        }
    }

    private static void write(Socket client, String bytes) throws IOException {
        client.getOutputStream().write(bytes.getBytes(StandardCharsets.US_ASCII));
        client.getOutputStream().flush();
    }

    private static List<JsonNode> awaitLines(RunningServer server, int count) {
        Awaitility.await().atMost(PATIENCE).until(() -> server.accessLog().size() == count);
        return server.accessLog().stream().map(SeenFromOutsideIT::json).toList();
    }

    private static JsonNode json(String line) {
        try {
            return JSON.readTree(line);
        } catch (IOException e) {
            throw new UncheckedIOException(line, e);
        }
    }
}
