package io.flynn.blobstore.app;

import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.Secret;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.testkit.BottomlessS3;
import io.flynn.blobstore.testkit.EmbeddedPg;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * 200 large blobs on their way at once, through a heap of 128 MB: each in as many pieces as its client takes. How large they are
 * makes no difference but for the time: {@code -Dtransfer.mebibytes=1024}.
 */
@Tag("long")
class ManyTransfersIT {

    private static final Duration PATIENCE = Duration.ofMinutes(Integer.getInteger("transfer.minutes", 15));

    private static final int TRANSFERS = 200;

    /** More than a part of an upload to a bucket. */
    private static final int BYTES = Integer.getInteger("transfer.mebibytes", 16) << 20;

    /** What a client sends before it waits for the others: together far more than there is memory. */
    private static final int FIRST_BYTES = 7 << 20;

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final Map<String, String> environment = new HashMap<>(database.environment(EmbeddedPg.SUPERUSER));
    private final Queue<String> failures = new ConcurrentLinkedQueue<>();
    private final AtomicInteger begun = new AtomicInteger();
    private final CountDownLatch allHaveBegun = new CountDownLatch(1);

    private enum Way {
        FROM_POSTGRES,
        TO_POSTGRES,
        FROM_S3,
        TO_S3;

        boolean isDownload() {
            return this == FROM_POSTGRES || this == FROM_S3;
        }

        boolean isToDatabase() {
            return this == FROM_POSTGRES || this == TO_POSTGRES;
        }
    }

    @AfterEach
    void drop() {
        database.close();
    }

    @ParameterizedTest
    @EnumSource
    void allAreOnTheirWayAtOnceAndArrive(Way way) throws Exception {
        try (BottomlessS3 store = new BottomlessS3(BYTES)) {
            environment.put("BLOBSTORE_REDIRECT", "false");
            // One each, and all of them log in at once.
            environment.put("BLOBSTORE_DATABASE_CONNECTIONS", Integer.toString(way.isToDatabase() ? TRANSFERS : 16));
            environment.put("BLOBSTORE_DATABASE_WAIT", "60s");
            // The machine is small, and clients wait for each other.
            environment.put("BLOBSTORE_IDLE_TIMEOUT", "1h");
            BackendEnvironment.Encoded backend = BackendEnvironment.encode(backend(store.endpoint()));
            environment.put(backend.variable(), backend.settings());
            backend.secrets().forEach((variable, secret) -> environment.put(variable, secret.reveal()));
            environment.put("DEFAULT_BACKEND", way == Way.TO_S3 ? "s3main" : "postgres");
            try (ServerProcess server =
                    new ServerProcess(environment, true, "-Xmx128m", "-XX:+ExitOnOutOfMemoryError")) {
                server.awaitReady();
                transfer(way, server);
                if (!way.isDownload()) {
                    assertAllArrived(way, store);
                }
            }
        }
    }

    private static BackendSettings backend(URI endpoint) {
        return new BackendSettings(
                S3MAIN,
                BackendSettings.Kind.S3,
                "eu-central-1",
                "blobs",
                Optional.of(endpoint),
                true,
                new Secret("AKIDLOCALLOCALLOCAL1"),
                new Secret("secret"));
    }

    private void transfer(Way way, ServerProcess server) throws InterruptedException {
        // Sparse: nothing of it but its last byte lies on the disk.
        database.execute("""
                DO $$ DECLARE oid oid := lo_create(0); BEGIN
                    PERFORM lo_put(oid, %d, '\\x00');
                    INSERT INTO files (file_oid, backend, name, type, size) VALUES (oid, 'postgres', '/FROM_POSTGRES', '', %d);
                    INSERT INTO files (external_id, backend, name, type, size)
                        VALUES (uuid_generate_v4(), 's3main', '/FROM_S3', '', %d);
                END $$
                """.formatted(BYTES - 1, BYTES, BYTES));
        List<Thread> clients = new ArrayList<>();
        for (int i = 0; i < TRANSFERS; i++) {
            String name = way.isDownload() ? "/" + way : "/upload/" + i;
            clients.add(Thread.startVirtualThread(
                    way.isDownload() ? () -> download(server.uri(name)) : () -> upload(server.uri(name))));
        }

        Awaitility.await().atMost(PATIENCE).until(() -> {
            assertThat(failures).as(server.log()).isEmpty();
            assertThat(server.isAlive()).as(server.log()).isTrue();
            return begun.get() == TRANSFERS && (way.isDownload() || uploads(way) >= TRANSFERS);
        });
        allHaveBegun.countDown();
        for (Thread client : clients) {
            client.join(PATIENCE);
        }

        assertThat(failures).as(server.log()).isEmpty();
        assertThat(server.isAlive()).as(server.log()).isTrue();
        assertThat(server.log()).doesNotContain("OutOfMemory");
    }

    private long uploads(Way way) {
        return database.count(
                way == Way.TO_S3
                        ? "SELECT count(*) FROM files WHERE size IS NULL"
                        : "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                                + " AND state = 'idle in transaction'");
    }

    private void assertAllArrived(Way way, BottomlessS3 store) throws NoSuchAlgorithmException {
        MessageDigest digest = MessageDigest.getInstance("SHA-512");
        for (int sent = 0; sent < BYTES; sent += PIECE.length) {
            digest.update(PIECE);
        }
        assertThat(database.count("""
                SELECT count(*) FROM files WHERE name LIKE '/upload/%%' AND deleted_at IS NULL AND size = %d
                    AND encode(sha512, 'hex') = '%s'
                """.formatted(BYTES, HexFormat.of().formatHex(digest.digest()))))
                .isEqualTo(TRANSFERS);
        if (way == Way.TO_S3) {
            assertThat(store.received().values())
                    .hasSize(TRANSFERS)
                    .allSatisfy(bytes -> assertThat(bytes.get()).isEqualTo(BYTES));
        }
    }

    /** Waits with most of it until everybody has begun. */
    private void download(URI uri) {
        try (Socket socket = connect(uri)) {
            send(socket, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".formatted(uri.getPath()));
            InputStream in = socket.getInputStream();
            String headers = headers(in);
            if (!headers.startsWith("HTTP/1.1 200 ")) {
                failures.add(headers);
                return;
            }
            begun.incrementAndGet();
            awaitAll();
            long size = 0;
            byte[] buffer = new byte[64 << 10];
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                size += n;
            }
            if (size != BYTES) {
                failures.add("got %d bytes".formatted(size));
            }
        } catch (IOException | InterruptedException e) {
            failures.add(e.toString());
        }
    }

    /** Doesn't say how long it is, as most clients don't. */
    private void upload(URI uri) {
        try (Socket socket = connect(uri)) {
            send(
                    socket,
                    "PUT %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                            .formatted(uri.getPath()));
            OutputStream out = socket.getOutputStream();
            for (int sent = 0; sent < BYTES; sent += PIECE.length) {
                if (sent == FIRST_BYTES) {
                    begun.incrementAndGet();
                    awaitAll();
                }
                send(socket, "%x\r\n".formatted(PIECE.length));
                out.write(PIECE);
                send(socket, "\r\n");
            }
            send(socket, "0\r\n\r\n");
            String headers = headers(socket.getInputStream());
            if (!headers.startsWith("HTTP/1.1 200 ")) {
                failures.add(headers);
            }
        } catch (IOException | InterruptedException e) {
            failures.add(e.toString());
        }
    }

    private void awaitAll() throws InterruptedException {
        assertThat(allHaveBegun.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
    }

    private static final byte[] PIECE = piece();

    /** Pages of 2 KiB, as PostgreSQL keeps large objects, of one byte each: 200 GiB on the wire are some 10 GiB on its disk. */
    private static byte[] piece() {
        byte[] piece = new byte[1 << 20];
        for (int i = 0; i < piece.length; i++) {
            piece[i] = (byte) (i >>> 11);
        }
        return piece;
    }

    private static Socket connect(URI uri) throws IOException {
        Socket socket = new Socket(uri.getHost(), uri.getPort());
        socket.setSoTimeout((int) PATIENCE.toMillis());
        return socket;
    }

    private static void send(Socket socket, String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
    }

    private static String headers(InputStream in) throws IOException {
        StringBuilder headers = new StringBuilder();
        for (int next = in.read(); next >= 0; next = in.read()) {
            headers.append((char) next);
            if (headers.indexOf("\r\n\r\n") >= 0) {
                break;
            }
        }
        return headers.toString();
    }
}
