package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobFilter;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.ZoneOffset;

/** The condition, in SQL, that a row {@code f} is at a backend and that a filter means it. */
final class InScope {

    /** Names are compared byte for byte: patterns would give the characters of names a meaning. */
    static final String BY_FILTER = """
            starts_with(f.name, ?) AND coalesce(f.size, 0) BETWEEN ? AND ? AND coalesce(f.updated_at < ?, true)
                AND coalesce(f.file_id = ANY (?), true)""";

    static final String CONDITION = " f.backend = ? AND " + BY_FILTER + " ";

    /**
     * The planner takes such conditions for rarer than they are, and would read and sort the whole table for every page of it; so it
     * walks along the index of ids. Where it joins, it is to look up: OFFSET 0 in a lateral query keeps it from anything else.
     */
    private static final String WALK =
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off";

    private InScope() {}

    /** For the queries that follow in this transaction, which read a table page by page in the order of its index. */
    static void walk(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(WALK);
        }
    }

    /**
     * Binds the parameters of {@link #CONDITION}.
     *
     * @param first the first of its six parameters
     * @return the parameter after them
     */
    static int bind(PreparedStatement statement, int first, BackendName backend, BlobFilter filter)
            throws SQLException {
        statement.setString(first, backend.value());
        statement.setString(first + 1, filter.prefix());
        // Sizes below 0 don't exist; a row that has one all the same must not be passed over in silence.
        statement.setLong(first + 2, filter.minSize() == 0 ? Long.MIN_VALUE : filter.minSize());
        statement.setLong(first + 3, filter.maxSize());
        if (filter.updatedBefore().isPresent()) {
            statement.setObject(
                    first + 4, filter.updatedBefore().get().atOffset(ZoneOffset.UTC), Types.TIMESTAMP_WITH_TIMEZONE);
        } else {
            statement.setNull(first + 4, Types.TIMESTAMP_WITH_TIMEZONE);
        }
        if (filter.ids().isPresent()) {
            statement.setArray(
                    first + 5,
                    statement
                            .getConnection()
                            .createArrayOf("uuid", filter.ids().get().toArray()));
        } else {
            statement.setNull(first + 5, Types.ARRAY);
        }
        return first + 6;
    }
}
