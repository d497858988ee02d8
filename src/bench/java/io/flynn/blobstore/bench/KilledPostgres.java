package io.flynn.blobstore.bench;

import io.flynn.blobstore.testkit.story.Database;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A real PostgreSQL that is killed and started again on what it has left. For one thread. */
final class KilledPostgres implements AutoCloseable {

    private static final Duration RECOVERY_MAX = Duration.ofSeconds(90);

    private final EmbeddedPostgres server;
    private final Path folder;
    private final List<String> command;
    private final File log;

    KilledPostgres(Path log) throws IOException, SQLException {
        this.log = log.toFile();
        // No machine loses power, so nothing is flushed; but every commit was handed to the system before it is
        // answered.
        server = EmbeddedPostgres.builder()
                .setPGStartupWait(Duration.ofMinutes(1))
                .setServerConfig("fsync", "off")
                .setServerConfig("synchronous_commit", "on")
                .setServerConfig("max_connections", "200")
                .start();
        database("postgres").execute("CREATE DATABASE blobstore");
        folder = Path.of(setting("data_directory"));
        command = command(postmaster());
    }

    /** The same line again; root may not run PostgreSQL, and is nobody in a namespace of its own. */
    private static List<String> command(long process) throws IOException {
        List<String> command = new ArrayList<>();
        if (System.getProperty("user.name").equals("root")) {
            command.addAll(List.of("unshare", "-U"));
        }
        String line = Files.readString(Path.of("/proc/" + process + "/cmdline"), StandardCharsets.UTF_8);
        command.addAll(List.of(line.split("\0")));
        return command;
    }

    private String setting(String name) throws SQLException {
        try (var connection = database("postgres").connect();
                var statement = connection.createStatement();
                var rows = statement.executeQuery("SHOW " + name)) {
            rows.next();
            return rows.getString(1);
        }
    }

    Database database(String name) {
        return new Database("127.0.0.1", server.getPort(), name, "postgres", "");
    }

    private long postmaster() throws IOException {
        return Long.parseLong(
                Files.readAllLines(folder.resolve("postmaster.pid")).getFirst());
    }

    /** SIGKILL to the first of its processes; returns when another takes connections. */
    void killAndStartAgain() throws IOException, InterruptedException {
        ProcessHandle.of(postmaster()).ifPresent(process -> {
            process.destroyForcibly();
            process.onExit().join();
        });
        long end = System.nanoTime() + RECOVERY_MAX.toNanos();
        Process started = start();
        while (!isUp()) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException("PostgreSQL did not recover in " + RECOVERY_MAX + ": " + log);
            }
            // It refuses as long as a process of the one that was killed is left.
            if (started.waitFor(100, TimeUnit.MILLISECONDS)) {
                started = start();
            }
        }
    }

    private Process start() throws IOException {
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log))
                .start();
    }

    /** SIGKILL to one of those that serve a connection: the first one cuts all others and recovers. */
    void crash() throws SQLException, InterruptedException {
        try (var doomed = database("postgres").connect();
                var statement = doomed.createStatement();
                var rows = statement.executeQuery("SELECT pg_backend_pid()")) {
            rows.next();
            ProcessHandle.of(rows.getLong(1)).ifPresent(process -> {
                process.destroyForcibly();
                process.onExit().join();
            });
        }
        long end = System.nanoTime() + RECOVERY_MAX.toNanos();
        while (!isUp()) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException("PostgreSQL did not recover in " + RECOVERY_MAX + ": " + log);
            }
            Thread.sleep(50);
        }
    }

    private boolean isUp() {
        try {
            return database("postgres").number("SELECT 1") == 1;
        } catch (SQLException notYet) {
            return false;
        }
    }

    @Override
    public void close() throws IOException {
        server.close();
    }
}
