package io.flynn.blobstore.store.postgres;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.EmbeddedPg;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CopyRowsIT {

    private static final int ROWS = 60;

    /** A client that goes away in the middle of a download must not spoil the connection for the next one. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, ROWS / 2, ROWS, ROWS + 1})
    void aReadThatIsGivenUpLeavesAConnectionThatCanBeUsed(int rowsRead) throws Exception {
        try (EmbeddedPg.Database database = EmbeddedPg.database();
                Connection connection = database.connect()) {
            connection.setAutoCommit(false);
            for (int download = 0; download < 4; download++) {
                giveUpAfter(rowsRead, connection);
                connection.rollback();

                assertThat(number(connection, "SELECT " + download)).isEqualTo(download);
            }
        }
    }

    private static void giveUpAfter(int rowsRead, Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("SET LOCAL lock_timeout = '20s'");
        }
        try (CopyRows rows =
                new CopyRows(connection, "SELECT repeat('x', 100000)::bytea FROM generate_series(1, " + ROWS + ")")) {
            for (int i = 0; i < rowsRead; i++) {
                rows.next();
            }
        }
    }

    private static int number(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery(sql)) {
            row.next();
            return row.getInt(1);
        }
    }
}
