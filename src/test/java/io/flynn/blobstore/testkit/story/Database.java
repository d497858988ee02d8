package io.flynn.blobstore.testkit.story;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashSet;
import java.util.Set;

/**
 * One database, by plain JDBC.
 *
 * @param name the database's name
 */
public record Database(String host, int port, String name, String user, String password) {

    /** A connection that gives up rather than wait for ever: the driver's defaults would. */
    public Connection connect() throws SQLException {
        return DriverManager.getConnection(
                "jdbc:postgresql://%s:%d/%s?connectTimeout=10&socketTimeout=120&tcpKeepAlive=true"
                        .formatted(host, port, name),
                user,
                password);
    }

    public Database named(String other) {
        return new Database(host, port, other, user, password);
    }

    /** Runs one statement, or several separated by semicolons. */
    public void execute(String sql) throws SQLException {
        try (Connection connection = connect();
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    /** The first column of the only row. */
    public long number(String sql) throws SQLException {
        try (Connection connection = connect()) {
            return number(connection, sql);
        }
    }

    static long number(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(sql)) {
            if (!rows.next()) {
                throw new SQLException("no row: " + sql);
            }
            return rows.getLong(1);
        }
    }

    /**
     * The keys of the objects that a migration made and whose rows say so; what was uploaded to the bucket has no large object. Their
     * being there is known for good: whatever happens next, nobody needs to store them again.
     */
    public Set<String> movedObjects() throws SQLException {
        return texts("SELECT external_id FROM files WHERE backend <> 'postgres' AND file_oid IS NOT NULL");
    }

    /** The first column of every row, each text once. */
    public Set<String> texts(String sql) throws SQLException {
        try (Connection connection = connect();
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(sql)) {
            Set<String> texts = new HashSet<>();
            while (rows.next()) {
                texts.add(rows.getString(1));
            }
            return texts;
        }
    }

    public long sizeBytes() throws SQLException {
        return number("SELECT pg_database_size(current_database())");
    }

    @Override
    public String toString() {
        return "%s at %s:%d".formatted(name, host, port);
    }
}
