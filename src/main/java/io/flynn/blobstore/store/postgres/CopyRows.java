package io.flynn.blobstore.store.postgres;

import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyOut;

/**
 * The rows of one {@code COPY … TO STDOUT (FORMAT binary)} (PostgreSQL manual, COPY, "Binary Format"), read as the server
 * sends them: one statement, one snapshot, no round trips. For one thread.
 *
 * <p>The statement is a text of ours and numbers only: COPY takes no parameters.
 */
final class CopyRows implements AutoCloseable {

    /** SQLSTATE query_canceled. */
    private static final String CANCELED = "57014";

    private static final int HEADER_BYTES = 11 + 4 + 4;

    private final PGConnection connection;
    private final CopyOut copy;
    private boolean isFirst = true;

    CopyRows(Connection connection, String query) throws SQLException {
        this.connection = connection.unwrap(PGConnection.class);
        copy = this.connection.getCopyAPI().copyOut("COPY (" + query + ") TO STDOUT (FORMAT binary)");
    }

    /** The next row, positioned at its first field's length; null after the last. The buffer is the caller's to keep. */
    @Nullable
    ByteBuffer next() throws SQLException {
        while (true) {
            byte[] message = copy.readFromCopy();
            if (message == null) {
                return null;
            }
            ByteBuffer bytes = ByteBuffer.wrap(message);
            if (isFirst) {
                isFirst = false;
                bytes.position(HEADER_BYTES);
            }
            // The trailer is a field count of -1; the header may come alone.
            if (bytes.remaining() >= Short.BYTES && bytes.getShort() >= 0) {
                return bytes;
            }
        }
    }

    /** One field of the row, as a view without copying; null where the field is NULL. */
    static @Nullable ByteBuffer field(ByteBuffer row) {
        int length = row.getInt();
        if (length < 0) {
            return null;
        }
        ByteBuffer field = row.slice(row.position(), length);
        row.position(row.position() + length);
        return field;
    }

    /**
     * Ends the statement if it has not ended by itself, so that the connection can be used again. Cancels and then reads to
     * the end: the driver's own {@code cancelCopy} (42.7.14) loses count of the server's answers, and the connection's next
     * statement but one gets an answer that isn't its own.
     */
    @Override
    public void close() throws SQLException {
        if (!copy.isActive()) {
            return;
        }
        connection.cancelQuery();
        try {
            boolean isLeft = true;
            while (isLeft) {
                isLeft = copy.readFromCopy() != null;
            }
        } catch (SQLException e) {
            if (!CANCELED.equals(e.getSQLState())) {
                throw e;
            }
        }
    }
}
