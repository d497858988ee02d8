package io.flynn.blobstore.testkit.story;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;

/**
 * A real PostgreSQL of the story's own, which may crash. The blobstore's databases belong to a role that is no superuser, as they
 * do in most places.
 */
final class Postgres implements AutoCloseable {

    static final String ROLE = "blobstore";
    static final String PASSWORD = "blobstore-password";

    private static final Duration RECOVERY_MAX = Duration.ofSeconds(30);

    private final EmbeddedPostgres server;

    private Postgres(EmbeddedPostgres server) {
        this.server = server;
    }

    static Postgres start() throws IOException, SQLException {
        // A machine that loses power is not part of the story; a server that is killed is, and keeps what it wrote.
        Postgres postgres = new Postgres(
                EmbeddedPostgres.builder().setServerConfig("fsync", "off").start());
        postgres.superuser().execute("CREATE ROLE %s LOGIN PASSWORD '%s'".formatted(ROLE, PASSWORD));
        return postgres;
    }

    /** A new, empty database that {@link #ROLE} owns. */
    Database create(String name) throws SQLException {
        superuser().execute("CREATE DATABASE %s OWNER %s".formatted(name, ROLE));
        return new Database("127.0.0.1", server.getPort(), name, ROLE, PASSWORD);
    }

    /**
     * Kills one of its processes, whereupon it cuts every connection, recovers from its log and starts again. Returns when it
     * takes connections.
     */
    void crash() throws SQLException, InterruptedException {
        try (Connection doomed = superuser().connect()) {
            long pid = Database.number(doomed, "SELECT pg_backend_pid()");
            ProcessHandle.of(pid).orElseThrow().destroyForcibly();
            ProcessHandle.of(pid).ifPresent(process -> process.onExit().join());
        }
        long deadline = System.nanoTime() + RECOVERY_MAX.toNanos();
        while (!isUp()) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("PostgreSQL did not recover in " + RECOVERY_MAX);
            }
            Thread.sleep(Duration.ofMillis(50));
        }
    }

    private boolean isUp() {
        try {
            return superuser().number("SELECT 1") == 1;
        } catch (SQLException stillRecovering) {
            return false;
        }
    }

    private Database superuser() {
        return new Database("127.0.0.1", server.getPort(), "postgres", "postgres", "");
    }

    @Override
    public void close() throws IOException {
        server.close();
    }
}
