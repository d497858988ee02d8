package io.flynn.blobstore.testkit.story;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * A real PostgreSQL of the story's own, which can be restarted: its data outlive it. The blobstore's databases belong to a role
 * that is no superuser, as they do in most places.
 */
final class Postgres implements AutoCloseable {

    static final String ROLE = "blobstore";
    static final String PASSWORD = "blobstore-password";

    private static final Duration STOP_PATIENCE = Duration.ofSeconds(30);

    private final Path data;
    private EmbeddedPostgres server;

    private Postgres(Path data, EmbeddedPostgres server) {
        this.data = data;
        this.server = server;
    }

    /**
     * @param data an empty folder
     */
    static Postgres start(Path data) throws IOException, SQLException {
        Postgres postgres = new Postgres(data, builder(data).start());
        postgres.superuser().execute("CREATE ROLE %s LOGIN PASSWORD '%s'".formatted(ROLE, PASSWORD));
        return postgres;
    }

    private static EmbeddedPostgres.Builder builder(Path data) {
        // A machine that loses power is not part of the story; a server that is killed is, and keeps what it wrote.
        return EmbeddedPostgres.builder()
                .setDataDirectory(data)
                .setCleanDataDirectory(false)
                .setServerConfig("fsync", "off");
    }

    /** A new, empty database that {@link #ROLE} owns. */
    Database create(String name) throws SQLException {
        superuser().execute("CREATE DATABASE %s OWNER %s".formatted(name, ROLE));
        return new Database("127.0.0.1", server.getPort(), name, ROLE, PASSWORD);
    }

    /** Cuts every connection at once, as a crash does, and starts again on the same port and data. */
    void restart() throws IOException, InterruptedException {
        int port = server.getPort();
        long pid = Long.parseLong(
                Files.readAllLines(data.resolve("postmaster.pid")).getFirst());
        ProcessHandle postmaster = ProcessHandle.of(pid).orElseThrow();
        new ProcessBuilder("kill", "-QUIT", Long.toString(pid)).start().waitFor();
        postmaster
                .onExit()
                .orTimeout(STOP_PATIENCE.toSeconds(), TimeUnit.SECONDS)
                .join();
        server = builder(data).setPort(port).start();
    }

    private Database superuser() {
        return new Database("127.0.0.1", server.getPort(), "postgres", "postgres", "");
    }

    @Override
    public void close() throws IOException {
        server.close();
    }
}
