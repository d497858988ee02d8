package io.flynn.blobstore.serve;

import static io.flynn.blobstore.serve.RunningServer.text;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketException;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Clients that take more than their share: of time, connections, memory, room. */
class LimitsIT {

    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final Map<String, String> environment = new HashMap<>(database.environment(EmbeddedPg.SUPERUSER));
    private final List<Socket> clients = new ArrayList<>();

    @AfterEach
    void drop() throws IOException {
        for (Socket client : clients) {
            client.close();
        }
        database.close();
    }

    @Test
    void headersThatComeDripByDripEnd() throws Exception {
        environment.put("BLOBSTORE_HEADER_TIMEOUT", "1s");
        try (RunningServer server = RunningServer.ready(environment)) {
            Socket client = connect(server);
            send(client, "GET /a HTTP/1.1\r\nHost: x\r\nX-Slow: ");

            assertThat(drip(client)).as("bytes that were taken before the end").isLessThan(200);
            assertThat(server.get("/a").statusCode()).isEqualTo(404);
        }
    }

    @Test
    void headersOfASecondRequestEndAsWell() throws Exception {
        environment.put("BLOBSTORE_HEADER_TIMEOUT", "1s");
        try (RunningServer server = RunningServer.ready(environment)) {
            Socket client = connect(server);
            send(client, "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n");
            assertThat(client.getInputStream().read()).isEqualTo('H');
            send(client, "GET /a HTTP/1.1\r\nX-Slow: ");

            assertThat(drip(client)).isLessThan(200);
        }
    }

    @Test
    void connectionThatRestsBetweenRequestsIsNotHeldForASlowOne() throws Exception {
        environment.put("BLOBSTORE_HEADER_TIMEOUT", "1s");
        try (RunningServer server = RunningServer.ready(environment)) {
            Socket client = connect(server);
            for (int i = 0; i < 2; i++) {
                send(client, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
                readHeaders(client);
                // Longer than headers may take, and a look or two.
                Thread.sleep(2_500);
            }
        }
    }

    @Test
    void idleConnectionsEnd() throws Exception {
        environment.put("BLOBSTORE_IDLE_TIMEOUT", "300ms");
        try (RunningServer server = RunningServer.ready(environment)) {
            assertThat(connect(server).getInputStream().read()).isEqualTo(-1);
        }
    }

    @Test
    void uploadWhoseClientIsGoneWithoutAWordEnds() throws Exception {
        environment.put("BLOBSTORE_IDLE_TIMEOUT", "300ms");
        try (RunningServer server = RunningServer.ready(environment)) {
            Socket client = connect(server);
            send(client, "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");

            awaitNoUpload();
            assertThat(server.get("/a").statusCode()).isEqualTo(404);
            assertThat(database.count("SELECT count(*) FROM pg_largeobject_metadata"))
                    .isZero();
        }
    }

    @Test
    void uploadThatComesDripByDripEnds() throws Exception {
        environment.put("BLOBSTORE_IDLE_TIMEOUT", "2s");
        environment.put("BLOBSTORE_ACCESS_LOG", "true");
        try (RunningServer server = RunningServer.ready(environment)) {
            Socket client = connect(server);
            send(client, "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");

            assertThat(drip(client)).isLessThan(1_000);
            awaitNoUpload();
            Awaitility.await()
                    .atMost(PATIENCE)
                    .untilAsserted(() -> assertThat(server.accessLog())
                            .anyMatch(line -> line.contains("\"failure\":\"ClientTooSlow\"")));
        }
    }

    @Test
    void downloadThatIsHardlyTakenEnds() throws Exception {
        environment.put("BLOBSTORE_IDLE_TIMEOUT", "2s");
        environment.put("BLOBSTORE_ACCESS_LOG", "true");
        try (RunningServer server = RunningServer.ready(environment)) {
            database.execute("""
                    INSERT INTO files (file_oid, backend, name, type, size)
                    VALUES (lo_from_bytea(0, repeat('x', 50000000)::bytea), 'postgres', '/large', '', 50000000)
                    """);
            Socket client = connect(server);
            send(client, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");

            Awaitility.await().atMost(PATIENCE).untilAsserted(() -> {
                // As slow as a client can be that isn't idle.
                client.getInputStream().readNBytes(100);
                assertThat(server.accessLog()).anyMatch(line -> line.contains("\"failure\":\"ClientTooSlow\""));
            });
        }
    }

    @Test
    void slowUploadThatIsFastEnoughIsTaken() throws Exception {
        environment.put("BLOBSTORE_IDLE_TIMEOUT", "5s");
        environment.put("BLOBSTORE_MIN_RATE", "10");
        try (RunningServer server = RunningServer.ready(environment)) {
            Socket client = connect(server);
            send(client, "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 7000\r\nConnection: close\r\n\r\n");
            for (int i = 0; i < 7; i++) {
                send(client, "x".repeat(1_000));
                Thread.sleep(1_000);
            }

            assertThat(readAll(client)).startsWith("HTTP/1.1 200 ");
        }
    }

    @Test
    void endlessHeadersAreRefused() throws Exception {
        try (RunningServer server = RunningServer.ready(environment)) {
            Socket client = connect(server);
            send(client, "GET /a HTTP/1.1\r\nHost: x\r\nX-Endless: " + "x".repeat(20_000) + "\r\n\r\n");

            assertThat(readAll(client)).startsWith("HTTP/1.1 431 ");
            assertThat(server.get("/a", "X-Long", "x".repeat(10_000)).statusCode())
                    .isEqualTo(404);
        }
    }

    @Test
    void connectionsBeyondTheLimitWaitWhileTheOthersAreServed() throws Exception {
        environment.put("BLOBSTORE_CONNECTIONS", "2");
        try (RunningServer server = RunningServer.ready(environment)) {
            Socket first = connect(server);
            Socket second = connect(server);
            String request = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n";
            send(first, request);
            readHeaders(first);
            send(second, request);
            readHeaders(second);
            Socket third = connect(server);
            send(third, request);
            CompletableFuture<Integer> answer = CompletableFuture.supplyAsync(() -> read(third));

            for (int i = 0; i < 20; i++) {
                send(first, request);
                readHeaders(first);
                send(second, request);
                readHeaders(second);
            }
            assertThat(answer).isNotDone();
            first.close();

            assertThat(answer.get()).isEqualTo('H');
        }
    }

    @Test
    void connectionsThatRestGiveWayToThoseThatWait() throws Exception {
        environment.put("BLOBSTORE_CONNECTIONS", "2");
        environment.put("BLOBSTORE_IDLE_TIMEOUT", "1h");
        try (RunningServer server = RunningServer.ready(environment)) {
            String request = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n";
            Socket served = connect(server);
            send(served, request);
            readHeaders(served);
            Socket silent = connect(server);
            Socket waiting = connect(server);

            send(waiting, request);

            assertThat(read(waiting)).isEqualTo('H');
            assertThat(read(served)).isEqualTo(-1);
            assertThat(read(silent)).isEqualTo(-1);
        }
    }

    @Test
    void blobsThatAreTooLargeAreRefusedBeforeTheyAreRead() {
        environment.put("BLOBSTORE_MAX_BLOB_SIZE", "1Ki");
        try (RunningServer server = RunningServer.ready(environment)) {
            assertThat(server.put("/a", new byte[1024]).statusCode()).isEqualTo(200);

            HttpResponse<byte[]> refused = server.put("/a", new byte[1025]);

            assertThat(refused.statusCode()).isEqualTo(413);
            assertThat(text(refused)).contains("1024 bytes", "BLOBSTORE_MAX_BLOB_SIZE");
            assertThat(server.get("/a").body()).hasSize(1024);
        }
    }

    @Test
    void blobsWhoseLengthIsNotSaidAreRefusedOnceTheyAreTooLarge() throws Exception {
        environment.put("BLOBSTORE_MAX_BLOB_SIZE", "1Ki");
        try (RunningServer server = RunningServer.ready(environment)) {
            refusesWhileStreaming(server);
            assertThat(database.count("SELECT count(*) FROM pg_largeobject_metadata"))
                    .isZero();
        }
    }

    @Test
    void blobsThatAreTooLargeLeaveNoObject() throws Exception {
        environment.put("BLOBSTORE_MAX_BLOB_SIZE", "1Ki");
        try (LocalS3 store = LocalS3.start()) {
            store.createBucket("blobs");
            environment.putAll(store.environment(Blobs.S3MAIN, "blobs"));
            environment.put("DEFAULT_BACKEND", "s3main");
            try (RunningServer server = RunningServer.ready(environment)) {
                refusesWhileStreaming(server);
                assertThat(store.sizes("blobs")).isEmpty();
                assertThat(store.unfinishedUploads("blobs")).isEmpty();
            }
        }
    }

    private void refusesWhileStreaming(RunningServer server) throws IOException {
        Socket client = connect(server);
        send(client, "PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        send(client, "401\r\n" + "x".repeat(0x401) + "\r\n");

        assertThat(read(client)).isEqualTo('H');
        assertThat("H" + readAll(client)).startsWith("HTTP/1.1 413 ").contains("BLOBSTORE_MAX_BLOB_SIZE");
        assertThat(server.get("/a").statusCode()).isEqualTo(404);
    }

    private void awaitNoUpload() {
        Awaitility.await()
                .atMost(PATIENCE)
                .until(() -> database.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                                + " AND state LIKE 'idle in transaction%'")
                        == 0);
    }

    private Socket connect(RunningServer server) throws IOException {
        Socket client = new Socket("127.0.0.1", server.port());
        client.setSoTimeout((int) PATIENCE.toMillis());
        clients.add(client);
        return client;
    }

    private static void send(Socket client, String bytes) throws IOException {
        client.getOutputStream().write(bytes.getBytes(StandardCharsets.US_ASCII));
        client.getOutputStream().flush();
    }

    /** One byte every 50 ms until the server has closed. */
    private static int drip(Socket client) throws InterruptedException {
        int sent = 0;
        try {
            for (; sent < 1_000; sent++) {
                send(client, "x");
                Thread.sleep(50);
            }
        } catch (SocketException e) {
            return sent;
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
        return sent;
    }

    private static int read(Socket client) {
        try {
            return client.getInputStream().read();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void readHeaders(Socket client) throws IOException {
        StringBuilder headers = new StringBuilder();
        while (headers.indexOf("\r\n\r\n") < 0) {
            int next = client.getInputStream().read();
            assertThat(next).as("after: %s", headers).isNotNegative();
            headers.append((char) next);
        }
    }

    private static String readAll(Socket client) throws IOException {
        return new String(client.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
    }
}
