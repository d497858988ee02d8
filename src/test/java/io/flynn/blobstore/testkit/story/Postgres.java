package io.flynn.blobstore.testkit.story;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;

/**
 * A real PostgreSQL of the story's own, which may crash. The blobstore's databases belong to a role that is no superuser, as they
 * do in most places.
 */
public final class Postgres implements AutoCloseable {

    static final String ROLE = "blobstore";
    static final String PASSWORD = "blobstore-password";

    private static final Duration RECOVERY_MAX = Duration.ofSeconds(30);

    private final EmbeddedPostgres server;
    private final String address;

    private Postgres(EmbeddedPostgres server, String address) {
        this.server = server;
        this.address = address;
    }

    /** For this machine's processes. */
    static Postgres start() throws IOException, SQLException {
        return start(builder(), "127.0.0.1");
    }

    /**
     * For others too.
     *
     * @param address of this machine, under which they reach it; {@link #ROLE} proves itself by password there
     * @param access a file that may be written
     */
    public static Postgres start(String address, Path access) throws IOException, SQLException {
        Files.writeString(access, """
                local all all              trust
                host  all all 127.0.0.1/32 trust
                host  all %s  0.0.0.0/0    scram-sha-256
                """.formatted(ROLE));
        return start(
                builder()
                        .setServerConfig("listen_addresses", "127.0.0.1," + address)
                        .setServerConfig("hba_file", access.toString()),
                address);
    }

    private static EmbeddedPostgres.Builder builder() {
        // A machine that loses power is not part of the story, so nothing is flushed. A server that crashes is: it must
        // have handed every commit to the system before it answered, which embedded PostgreSQL by default does not.
        return EmbeddedPostgres.builder().setServerConfig("fsync", "off").setServerConfig("synchronous_commit", "on");
    }

    private static Postgres start(EmbeddedPostgres.Builder builder, String address) throws IOException, SQLException {
        Postgres postgres = new Postgres(builder.start(), address);
        postgres.superuser().execute("CREATE ROLE %s LOGIN PASSWORD '%s'".formatted(ROLE, PASSWORD));
        return postgres;
    }

    /** A new, empty database that {@link #ROLE} owns. */
    public Database create(String name) throws SQLException {
        superuser().execute("CREATE DATABASE %s OWNER %s".formatted(name, ROLE));
        return new Database(address, server.getPort(), name, ROLE, PASSWORD);
    }

    /**
     * Kills one of its processes, whereupon it cuts every connection, recovers from its log and starts again. Returns when it
     * takes connections.
     */
    public void crash() throws SQLException, InterruptedException {
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
