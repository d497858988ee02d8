package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.EmbeddedPg;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.CRC32C;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** 200 large blobs on their way at once, through a heap of 128 MB: each in as many pieces as its client takes. */
@Tag("long")
class ManyTransfersIT {

    private static final Duration PATIENCE = Duration.ofMinutes(5);

    private static final int DOWNLOADS = 100;
    private static final int UPLOADS = 100;
    private static final int DOWNLOAD_BYTES = 64 << 20;
    private static final int UPLOAD_BYTES = 8 << 20;

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final Map<String, String> environment = new HashMap<>(database.environment(EmbeddedPg.SUPERUSER));
    private final Queue<String> failures = new ConcurrentLinkedQueue<>();
    private final AtomicInteger begun = new AtomicInteger();
    private final CountDownLatch allHaveBegun = new CountDownLatch(1);

    @AfterEach
    void drop() {
        database.close();
    }

    @Test
    void allOfThemAreOnTheirWayAtOnceAndArriveWithAConnectionEach() throws Exception {
        environment.put("BLOBSTORE_DATABASE_CONNECTIONS", Integer.toString(DOWNLOADS + UPLOADS));
        // All of them log in at once.
        environment.put("BLOBSTORE_DATABASE_WAIT", "60s");
        try (ServerProcess server = new ServerProcess(environment, true, "-Xmx128m", "-XX:+ExitOnOutOfMemoryError")) {
            server.awaitReady();
            // Sparse: nothing of it but its last byte lies on the disk.
            database.execute("""
                    DO $$ DECLARE oid oid := lo_create(0); BEGIN
                        PERFORM lo_put(oid, %d, 'x');
                        INSERT INTO files (file_oid, backend, name, type, size) VALUES (oid, 'postgres', '/large', '', %d);
                    END $$
                    """.formatted(DOWNLOAD_BYTES - 1, DOWNLOAD_BYTES));
            List<Thread> clients = new ArrayList<>();
            for (int i = 0; i < DOWNLOADS; i++) {
                clients.add(Thread.startVirtualThread(() -> download(server.uri("/large"))));
            }
            for (int i = 0; i < UPLOADS; i++) {
                String name = "/upload/" + i;
                clients.add(Thread.startVirtualThread(() -> upload(server.uri(name))));
            }

            Awaitility.await().atMost(PATIENCE).until(() -> {
                assertThat(failures).as(server.log()).isEmpty();
                assertThat(server.isAlive()).as(server.log()).isTrue();
                return begun.get() == DOWNLOADS && uploadsAtTheDatabase() >= UPLOADS;
            });
            allHaveBegun.countDown();
            for (Thread client : clients) {
                client.join(PATIENCE);
            }

            assertThat(failures).as(server.log()).isEmpty();
            assertThat(server.isAlive()).as(server.log()).isTrue();
            assertThat(server.log()).doesNotContain("OutOfMemory");
            assertThat(database.count(
                            "SELECT count(*) FROM files WHERE name LIKE '/upload/%' AND size = " + UPLOAD_BYTES))
                    .isEqualTo(UPLOADS);
            assertThat(database.count("""
                    SELECT count(DISTINCT md5(lo_get(file_oid))) + count(*) FILTER (WHERE sha512 <> sha512(lo_get(file_oid)))
                    FROM files WHERE name LIKE '/upload/%'
                    """)).isOne();
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
            CRC32C read = new CRC32C();
            long size = 0;
            byte[] buffer = new byte[64 << 10];
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                read.update(buffer, 0, n);
                size += n;
            }
            if (size != DOWNLOAD_BYTES || read.getValue() != Expected.DOWNLOAD) {
                failures.add("got %d bytes, checksum %x".formatted(size, read.getValue()));
            }
        } catch (IOException | InterruptedException e) {
            failures.add(e.toString());
        }
    }

    private void upload(URI uri) {
        try (Socket socket = connect(uri)) {
            send(
                    socket,
                    "PUT %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                            .formatted(uri.getPath(), UPLOAD_BYTES));
            byte[] part = new byte[1 << 20];
            for (int i = 0; i < part.length; i++) {
                part[i] = (byte) (i * 31 >>> 7);
            }
            OutputStream out = socket.getOutputStream();
            out.write(part);
            awaitAll();
            for (int sent = part.length; sent < UPLOAD_BYTES; sent += part.length) {
                out.write(part);
            }
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

    private long uploadsAtTheDatabase() {
        return database.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                + " AND state = 'idle in transaction'");
    }

    private static final class Expected {

        static final long DOWNLOAD = checksum();

        private static long checksum() {
            CRC32C checksum = new CRC32C();
            byte[] bytes = new byte[1 << 20];
            for (int i = 1; i < DOWNLOAD_BYTES >> 20; i++) {
                checksum.update(bytes);
            }
            bytes[bytes.length - 1] = 'x';
            checksum.update(bytes);
            return checksum.getValue();
        }
    }
}
