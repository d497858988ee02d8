package io.flynn.blobstore.testkit;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A real PostgreSQL, one per JVM, started when the first test asks for a database and stopped with the JVM. Every test takes
 * databases of its own, so tests can't see each other.
 */
public final class EmbeddedPg {

    public static final String SUPERUSER = "postgres";

    private static final AtomicInteger LAST = new AtomicInteger();

    private EmbeddedPg() {}

    /** A fresh, empty database; closing it drops it, cutting whoever is still connected. */
    public static Database database() {
        String name = "blobs" + LAST.incrementAndGet();
        administer("CREATE DATABASE " + name);
        return new Database(name, Running.SERVER.getPort());
    }

    /** A login role without any right but those that everybody has and those that the test grants it. */
    public static String role() {
        String name = "role" + LAST.incrementAndGet();
        administer("CREATE ROLE " + name + " LOGIN");
        return name;
    }

    public record Database(String name, int port) implements AutoCloseable {

        public String host() {
            return "127.0.0.1";
        }

        public String jdbcUrl() {
            return "jdbc:postgresql://%s:%d/%s".formatted(host(), port, name);
        }

        public Connection connect() throws SQLException {
            return connectAs(SUPERUSER);
        }

        /** Everybody is trusted: no password. */
        public Connection connectAs(String user) throws SQLException {
            return DriverManager.getConnection(jdbcUrl(), user, "");
        }

        /** What a process of ours needs to connect as {@code user}. */
        public Map<String, String> environment(String user) {
            return Map.of("PGHOST", host(), "PGPORT", Integer.toString(port), "PGDATABASE", name, "PGUSER", user);
        }

        /** Runs statements that can be written in one go, as the superuser. */
        public void execute(String sql) {
            try (Connection connection = connect();
                    Statement statement = connection.createStatement()) {
                statement.execute(sql);
            } catch (SQLException e) {
                throw new IllegalStateException(sql, e);
            }
        }

        /** The one number that {@code sql} asks for. */
        public long count(String sql) {
            try (Connection connection = connect();
                    Statement statement = connection.createStatement();
                    ResultSet rows = statement.executeQuery(sql)) {
                rows.next();
                return rows.getLong(1);
            } catch (SQLException e) {
                throw new IllegalStateException(sql, e);
            }
        }

        /** The first column of what {@code sql} asks for. */
        public List<String> texts(String sql) {
            try (Connection connection = connect();
                    Statement statement = connection.createStatement();
                    ResultSet rows = statement.executeQuery(sql)) {
                List<String> texts = new ArrayList<>();
                while (rows.next()) {
                    texts.add(rows.getString(1));
                }
                return texts;
            } catch (SQLException e) {
                throw new IllegalStateException(sql, e);
            }
        }

        @Override
        public void close() {
            administer("DROP DATABASE " + name + " WITH (FORCE)");
        }
    }

    private static void administer(String sql) {
        try (Connection connection = Running.SERVER.getPostgresDatabase().getConnection();
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        } catch (SQLException e) {
            throw new IllegalStateException(sql, e);
        }
    }

    private static final class Running {
        static final EmbeddedPostgres SERVER = start();

        private static EmbeddedPostgres start() {
            try {
                return EmbeddedPostgres.builder()
                        .setPGStartupWait(Duration.ofMinutes(1))
                        .setServerConfig("fsync", "off")
                        .setServerConfig("max_locks_per_transaction", "128")
                        .start();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
