package io.flynn.blobstore.serve;

import io.flynn.blobstore.testkit.EmbeddedPg;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInstance;

/** One server for all tests of a class, on a database of their own, which is empty before each of them. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class BlobServerFixture {

    static final Duration PATIENCE = Duration.ofSeconds(20);

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private RunningServer blobs;

    /** The variables that say where new blobs go. */
    abstract Map<String, String> backend();

    /** How many objects and unfinished uploads the external backend holds. */
    abstract long objects();

    abstract String backendName();

    @BeforeAll
    void start() {
        Map<String, String> environment = new HashMap<>(database.environment(EmbeddedPg.SUPERUSER));
        environment.putAll(backend());
        blobs = RunningServer.ready(environment);
    }

    @AfterAll
    void stop() {
        blobs.close();
        database.close();
    }

    @BeforeEach
    void deleteAll() {
        database.execute("UPDATE files SET deleted_at = now() WHERE deleted_at IS NULL");
        database.execute("DELETE FROM files");
    }

    final RunningServer blobs() {
        return blobs;
    }

    final EmbeddedPg.Database database() {
        return database;
    }

    final long largeObjects() {
        return database.count("SELECT count(*) FROM pg_largeobject_metadata");
    }

    final List<String> names() {
        return database.texts("SELECT name FROM files WHERE deleted_at IS NULL");
    }

    /** Sends these bytes and returns the answer up to the connection's end. */
    final String raw(String request) throws IOException {
        try (Socket socket = new Socket("127.0.0.1", blobs.port())) {
            socket.setSoTimeout((int) PATIENCE.toMillis());
            socket.getOutputStream().write(request.getBytes(StandardCharsets.UTF_8));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
