package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BlobName;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/**
 * The live names below a name as they are when this is made, in portions: looked for once, however many there are, and held by
 * the database across transactions, so that what is added meanwhile is none of them. On a connection without autocommit. For one
 * thread; closing it ends the transaction that runs.
 */
final class NamesBelow implements AutoCloseable {

    private static final String DECLARE = """
            DECLARE names_below NO SCROLL CURSOR WITH HOLD FOR
            SELECT name FROM files WHERE deleted_at IS NULL AND starts_with(name, ?)""";

    /** A soft delete unlinks, every unlink takes a lock until the commit, and the lock table is small. */
    private static final int PORTION = 500;

    private static final String FETCH = "FETCH FORWARD " + PORTION + " FROM names_below";

    private static final String CLOSE = "CLOSE names_below";

    private final Connection connection;
    private boolean isOpen = true;

    NamesBelow(Connection connection, BlobName name) throws SQLException {
        this.connection = connection;
        try (PreparedStatement statement = connection.prepareStatement(DECLARE)) {
            statement.setString(1, name.prefix());
            statement.execute();
        }
    }

    /** So many more as one transaction may delete; none at the end. */
    List<String> next() throws SQLException {
        List<String> names = new ArrayList<>();
        if (!isOpen) {
            return names;
        }
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(FETCH)) {
            while (rows.next()) {
                names.add(rows.getString(1));
            }
        }
        if (names.size() < PORTION) {
            forget();
        }
        return names;
    }

    /** Before the first commit, so that few names are never copied aside. */
    private void forget() throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(CLOSE);
        }
        isOpen = false;
    }

    @Override
    public void close() throws SQLException {
        if (isOpen) {
            // The one that runs may have failed.
            connection.rollback();
            forget();
            connection.commit();
        }
    }
}
