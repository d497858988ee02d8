package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;

/** Copies bytes from one large object to another inside the database server: none of them comes here. */
final class LargeObjectCopy {

    private static final int CHUNK_BYTES = 256 * 1024;

    /** One statement says nothing until it is done: at 1 MB/s, a disk that hardly works, about a minute. */
    private static final long STATEMENT_BYTES = 64L * 1024 * 1024;

    private static final String COPY = """
            SELECT coalesce(sum(octet_length(bytes)), 0), count(lo_put(?::oid, ?::bigint + at, bytes))
            FROM (
                SELECT at, lo_get(?::oid, at, least(?::bigint, ?::bigint - at)::int) AS bytes
                FROM generate_series(?::bigint, ?::bigint - 1, ?::bigint) at) chunks""";

    private LargeObjectCopy() {}

    /**
     * Copies the first {@code length} bytes of {@code source} into {@code target}, from {@code position} of that on.
     *
     * @throws StorageFailure.Corrupt if there are fewer
     */
    static void copy(Connection connection, long source, long length, long target, long position) throws SQLException {
        long copied = 0;
        try (PreparedStatement statement = connection.prepareStatement(COPY)) {
            for (long from = 0; from < length; from += STATEMENT_BYTES) {
                long end = Math.min(from + STATEMENT_BYTES, length);
                statement.setLong(1, target);
                statement.setLong(2, position);
                statement.setLong(3, source);
                statement.setLong(4, CHUNK_BYTES);
                statement.setLong(5, end);
                statement.setLong(6, from);
                statement.setLong(7, end);
                statement.setLong(8, CHUNK_BYTES);
                try (ResultSet sum = statement.executeQuery()) {
                    sum.next();
                    copied += sum.getLong(1);
                }
            }
        }
        if (copied < length) {
            throw new StorageFailure.Corrupt(
                    Reasons.SIZE_DIFFERS,
                    "could not copy large object %d: it ends %d bytes too early".formatted(source, length - copied),
                    null);
        }
    }
}
