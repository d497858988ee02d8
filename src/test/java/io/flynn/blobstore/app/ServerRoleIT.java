package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The server as a process of its own: how it starts, ends and uses memory. */
class ServerRoleIT {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final Map<String, String> environment = new HashMap<>(database.environment(EmbeddedPg.SUPERUSER));
    private final List<ServerProcess> started = new CopyOnWriteArrayList<>();
    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    @AfterEach
    void stop() {
        started.forEach(ServerProcess::close);
        client.close();
        database.close();
    }

    @Test
    void unknownDefaultBackendEndsWithTwoAndTheFix() throws Exception {
        environment.put("DEFAULT_BACKEND", "s3mian");

        ServerProcess server = start();

        assertThat(server.exitCode()).isEqualTo(2);
        assertThat(server.log()).contains("DEFAULT_BACKEND", "s3mian", "set BACKEND_S3MIAN, or use one of postgres");
    }

    @Test
    void missingSettingEndsWithTwoAndItsName() throws Exception {
        environment.remove("PGHOST");

        ServerProcess server = start();

        assertThat(server.exitCode()).isEqualTo(2);
        assertThat(server.log()).contains("PGHOST is not set");
    }

    @Test
    void malformedSettingEndsWithTwoAndItsFix() throws Exception {
        environment.put("BLOBSTORE_DATABASE_WAIT", "soon");

        ServerProcess server = start();

        assertThat(server.exitCode()).isEqualTo(2);
        assertThat(server.log())
                .contains("BLOBSTORE_DATABASE_WAIT is \\\"soon\\\"; use a duration such as 2s, from 250ms to 1m");
    }

    @Test
    void roleThatMayNotMakeTheSchemaEndsWithOne() throws Exception {
        String role = EmbeddedPg.role();
        environment.put("PGUSER", role);

        ServerProcess server = start();

        assertThat(server.exitCode()).isEqualTo(1);
        assertThat(server.log()).contains("could not create or upgrade the schema", "permission denied");
    }

    @Test
    void waitsForTheDatabaseAndStopsWhenToldToMeanwhile() throws Exception {
        environment.put("PGPORT", "1");
        environment.put("BLOBSTORE_DRAIN_DELAY", "0s");
        ServerProcess server = start();

        Awaitility.await().atMost(PATIENCE).until(() -> server.log().contains("waiting for the database"));
        assertThat(status(server.uri("/.well-known/ready"))).isEqualTo(503);
        server.terminate();

        assertThat(server.exitCode()).isZero();
    }

    /** What a rolling restart is: while clients read and write, a server starts, another is told to stop. */
    @Test
    void rollingRestartFailsNoRequest() throws Exception {
        environment.put("BLOBSTORE_DRAIN_DELAY", "1s");
        ServerProcess first = start().awaitReady();
        ServerProcess second = start().awaitReady();
        List<ServerProcess> endpoints = new CopyOnWriteArrayList<>(List.of(first, second));
        AtomicBoolean isOver = new AtomicBoolean();
        AtomicInteger requests = new AtomicInteger();
        Queue<String> failures = new ConcurrentLinkedQueue<>();
        List<Thread> clients = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            String name = "/client/" + i;
            clients.add(Thread.startVirtualThread(() -> {
                for (int n = 0; !isOver.get(); n++) {
                    ServerProcess endpoint = endpoints.get(n % endpoints.size());
                    readAndWrite(endpoint, name, "version " + n, failures);
                    requests.addAndGet(2);
                }
            }));
        }

        Awaitility.await().atMost(PATIENCE).until(() -> requests.get() > 200);
        first.terminate();
        // As the endpoints of a Service: out as soon as it isn't ready.
        Awaitility.await().atMost(PATIENCE).until(() -> status(first.uri("/.well-known/ready")) == 503);
        endpoints.remove(first);
        assertThat(first.exitCode()).isZero();
        int before = requests.get();
        Awaitility.await().atMost(PATIENCE).until(() -> requests.get() > before + 100);
        isOver.set(true);
        for (Thread thread : clients) {
            thread.join(PATIENCE);
        }

        assertThat(failures).isEmpty();
    }

    @Test
    void metricsHaveAPortOfTheirOwn() throws Exception {
        ServerProcess server = start().awaitReady();
        assertThat(status(server.uri("/metrics"))).isEqualTo(404);

        Awaitility.await().atMost(PATIENCE).until(() -> server.log().contains("metricsPort"));
        URI admin = admin(server);

        assertThat(status(admin.resolve("/readyz"))).isEqualTo(200);
        Awaitility.await()
                .atMost(PATIENCE)
                .untilAsserted(() -> assertThat(text(admin.resolve("/metrics")))
                        .contains(
                                "blobstore_http_request_duration_seconds_count{backend=\"none\",method=\"GET\",status=\"404\"} 1",
                                "hikaricp_connections_max{",
                                "jvm_memory_used_bytes{"));
    }

    /** docs/metrics.md has the names, and no others. */
    @Test
    void metricsAreThoseThatAreDocumented() throws Exception {
        environment.put(
                "BACKEND_AWAY",
                "backend=minio endpoint=127.0.0.1:1 bucket=b access_key_id=a secret_access_key=b insecure=true");
        ServerProcess server = start().awaitReady();
        database.execute("""
                INSERT INTO files (external_id, backend, name, type, size) VALUES (uuid_generate_v4(), 'gone', '/gone', '', 1)
                """);
        assertThat(status(server.uri("/gone"))).isEqualTo(503);
        Set<String> documented = new TreeSet<>();
        Matcher names = Pattern.compile("`((?:blobstore|hikaricp|jvm|process)_\\w+)`")
                .matcher(Files.readString(Path.of("docs/metrics.md")));
        while (names.find()) {
            documented.add(names.group(1));
        }

        Awaitility.await().atMost(PATIENCE).untilAsserted(() -> {
            Set<String> served = text(admin(server).resolve("/metrics"))
                    .lines()
                    .filter(line -> line.startsWith("# TYPE "))
                    .map(line -> line.split(" ")[2])
                    .collect(Collectors.toCollection(TreeSet::new));
            assertThat(served).containsAll(documented);
            served.removeIf(name -> !name.startsWith("blobstore_") || name.endsWith("_max"));
            assertThat(documented).containsAll(served);
        });
    }

    @Test
    void directoryForUploadsThatCantBeWrittenIsSaidAtTheStart() throws Exception {
        environment.put("BLOBSTORE_SPOOL_DIR", "/missing");

        assertThat(start().awaitReady().log()).contains("nowhere to gather uploads", "BLOBSTORE_SPOOL_DIR");
    }

    private static URI admin(ServerProcess server) {
        Matcher port = Pattern.compile("\"metricsPort\":\"(\\d+)\"").matcher(server.log());
        assertThat(port.find()).as(server.log()).isTrue();
        return URI.create("http://127.0.0.1:" + port.group(1));
    }

    @Test
    void blobsAreServedWhileSomebodyElseHasThePortForMetrics() throws Exception {
        try (ServerSocket taken = new ServerSocket(0)) {
            environment.put("BLOBSTORE_METRICS_PORT", Integer.toString(taken.getLocalPort()));

            ServerProcess server = start().awaitReady();

            assertThat(status(server.uri("/missing"))).isEqualTo(404);
            Awaitility.await().atMost(PATIENCE).until(() -> server.log().contains("set BLOBSTORE_METRICS_PORT to"));
        }
    }

    @Test
    void everyRequestIsLoggedBeforeTheEnd() throws Exception {
        environment.put("BLOBSTORE_DRAIN_DELAY", "0s");
        ServerProcess server = start().awaitReady();

        status(server.uri("/missing"));
        server.terminate();

        assertThat(server.exitCode()).isZero();
        Awaitility.await()
                .atMost(PATIENCE)
                .untilAsserted(() -> assertThat(server.log())
                        .contains("\"path\":\"/missing\",\"status\":404", "\"formattedMessage\":\"stopped\""));
    }

    @Test
    void accessLogThatNobodyTakesHoldsUpNothing() throws Exception {
        environment.put("BLOBSTORE_DRAIN_DELAY", "0s");
        ServerProcess server = start(false).awaitReady();
        String name = "/" + "x".repeat(4_000);

        // More than pipe and queue hold together would take too long; more than the pipe holds is what blocks.
        for (int i = 0; i < 100; i++) {
            assertThat(status(server.uri(name))).isEqualTo(404);
        }
        server.terminate();

        assertThat(server.exitCode()).isZero();
    }

    /** 100 MB through a heap of 64 MB, both ways, for both kinds of backend. */
    @Test
    void memoryDoesNotDependOnTheSizeOfABlob() throws Exception {
        ServerProcess toDatabase = start("-Xmx64m").awaitReady();
        upload(toDatabase);
        toDatabase.terminate();
        try (LocalS3 store = LocalS3.start()) {
            store.createBucket("blobs");
            environment.putAll(store.environment(new BackendName("s3main"), "blobs"));
            environment.put("DEFAULT_BACKEND", "s3main");
            upload(start("-Xmx64m").awaitReady());
        }
    }

    private ServerProcess start(String... options) throws IOException {
        return start(true, options);
    }

    private ServerProcess start(boolean isOutputTaken, String... options) throws IOException {
        ServerProcess server = new ServerProcess(environment, isOutputTaken, options);
        started.add(server);
        return server;
    }

    private void upload(ServerProcess server) throws Exception {
        long size = 100_000_000;
        HttpResponse<Void> put = client.send(
                HttpRequest.newBuilder(server.uri("/large"))
                        .PUT(BodyPublishers.ofInputStream(() -> new Patterned(size)))
                        .build(),
                BodyHandlers.discarding());
        assertThat(put.statusCode()).as(server.log()).isEqualTo(200);
        HttpClient following = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .followRedirects(HttpClient.Redirect.ALWAYS)
                .build();
        HttpResponse<InputStream> got =
                following.send(HttpRequest.newBuilder(server.uri("/large")).build(), BodyHandlers.ofInputStream());
        assertThat(digest(got.body())).isEqualTo(digest(new Patterned(size)));
    }

    private void readAndWrite(ServerProcess endpoint, String name, String body, Queue<String> failures) {
        try {
            HttpResponse<String> put = client.send(
                    HttpRequest.newBuilder(endpoint.uri(name))
                            .PUT(BodyPublishers.ofString(body))
                            .build(),
                    BodyHandlers.ofString());
            HttpResponse<String> got =
                    client.send(HttpRequest.newBuilder(endpoint.uri(name)).build(), BodyHandlers.ofString());
            if (put.statusCode() != 200
                    || got.statusCode() != 200
                    || !got.body().equals(body)) {
                failures.add("put %d, got %d".formatted(put.statusCode(), got.statusCode()));
            }
        } catch (IOException | InterruptedException e) {
            failures.add(e.toString());
        }
    }

    private int status(URI uri) throws IOException, InterruptedException {
        return client.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.discarding())
                .statusCode();
    }

    private String text(URI uri) throws IOException, InterruptedException {
        return client.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString())
                .body();
    }

    private static String digest(InputStream bytes) throws Exception {
        MessageDigest sha512 = MessageDigest.getInstance("SHA-512");
        try (DigestInputStream digesting = new DigestInputStream(bytes, sha512)) {
            digesting.transferTo(OutputStream.nullOutputStream());
        }
        return HexFormat.of().formatHex(sha512.digest());
    }

    /** Bytes that look different everywhere. */
    private static final class Patterned extends InputStream {

        private final long size;
        private long position;

        Patterned(long size) {
            this.size = size;
        }

        @Override
        public int read() {
            return position == size ? -1 : (int) (next() & 0xFF);
        }

        @Override
        public int read(byte[] bytes, int offset, int length) {
            if (position == size) {
                return -1;
            }
            int read = (int) Math.min(length, size - position);
            for (int i = 0; i < read; i++) {
                bytes[offset + i] = (byte) next();
            }
            return read;
        }

        private long next() {
            long n = position++;
            return (n * 0x9E3779B97F4A7C15L) >>> 40;
        }
    }
}
