package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.UUID;

/**
 * The objects of deleted rows: of versions that were replaced or deleted, and of uploads that never ended. Such a row keeps its
 * {@code external_id} until the object is gone, so no bucket is ever listed to find one.
 *
 * <p>Thread-safe; blocks and throws {@link StorageFailure} when the database fails.
 */
public final class RetiredObjects {

    /**
     * Rows that another server has just taken are left to it. An object that a live row names stays, whoever else named it.
     */
    private static final String TAKE = """
            SELECT file_id, external_id, size IS NULL FROM files f
            WHERE deleted_at < clock_timestamp() - ? * interval '1 millisecond' AND external_id IS NOT NULL AND backend = ?
                AND file_id > ?
                AND NOT EXISTS (
                    SELECT FROM files l WHERE l.external_id = f.external_id AND l.backend = f.backend AND l.deleted_at IS NULL)
            ORDER BY file_id LIMIT ? FOR UPDATE OF f SKIP LOCKED""";

    private static final String FORGET = "UPDATE files SET external_id = NULL WHERE file_id = ANY (?)";

    private final Database database;

    public RetiredObjects(Database database) {
        this.database = database;
    }

    /**
     * @param id of the row
     * @param isUnfinished whether the row was never a blob: there may be parts of an upload instead of an object
     */
    public record Retired(UUID id, ObjectKey key, boolean isUnfinished) {}

    /** Deletes objects. */
    @FunctionalInterface
    public interface Deletion {
        /** @return those of {@code retired} whose object is gone */
        Collection<Retired> of(List<Retired> retired);
    }

    /**
     * Has the objects of up to {@code limit} rows deleted, and forgets those that are gone. The rows are held meanwhile: an
     * upload that is taken for dead and isn't, can't be published with its object gone.
     *
     * @param age how long ago the rows must have been deleted, by the database's clock
     * @param after only rows with greater ids, so that one that can't be deleted keeps no other back
     * @return whether there were any
     */
    public boolean collect(String backend, Duration age, UUID after, int limit, Deletion deletion) {
        return database.inTransaction("delete objects of deleted rows", connection -> {
            List<Retired> retired = take(connection, backend, age, after, limit);
            if (!retired.isEmpty()) {
                forget(connection, deletion.of(retired));
            }
            return !retired.isEmpty();
        });
    }

    private static List<Retired> take(Connection connection, String backend, Duration age, UUID after, int limit)
            throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(TAKE)) {
            statement.setLong(1, age.toMillis());
            statement.setString(2, backend);
            statement.setObject(3, after);
            statement.setInt(4, limit);
            List<Retired> retired = new ArrayList<>();
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    retired.add(new Retired(
                            rows.getObject(1, UUID.class),
                            new ObjectKey(rows.getObject(2, UUID.class)),
                            rows.getBoolean(3)));
                }
            }
            return retired;
        }
    }

    private static void forget(Connection connection, Collection<Retired> gone) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(FORGET)) {
            statement.setArray(
                    1,
                    connection.createArrayOf(
                            "uuid", gone.stream().map(Retired::id).toArray()));
            statement.executeUpdate();
        }
    }
}
