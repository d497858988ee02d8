package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Gatherers;

/**
 * The objects of deleted rows: of versions that were replaced or deleted, and of uploads that never ended. Such a row keeps its
 * {@code external_id} until the object is gone, so no bucket is ever listed to find one.
 *
 * <p>Thread-safe; blocks and throws {@link StorageFailure} when the database fails.
 */
public final class RetiredObjects {

    private static final String OLD_ENOUGH = " deleted_at < clock_timestamp() - ? * interval '1 millisecond'"
            + " AND external_id IS NOT NULL AND backend = ? ";

    /** One read of the table. By the index of ids, in whose order they are wanted, rows would be read all over the disk. */
    private static final String FIND = "SELECT file_id, external_id FROM ("
            + "SELECT file_id, external_id FROM files WHERE" + OLD_ENOUGH + "AND file_id > ? OFFSET 0) old"
            + " ORDER BY file_id LIMIT ?";

    /** A second read of it, not one for each key: nothing is indexed by them. */
    private static final String ALL_AT_ONCE = "SET LOCAL enable_nestloop = off";

    private static final String NAMED_BY_LIVE_ROWS = """
            SELECT l.external_id FROM unnest(?::uuid[]) AS k(key) JOIN files l ON l.external_id = k.key
            WHERE l.backend = ? AND l.deleted_at IS NULL""";

    /** Rows that another server has just taken are left to it. */
    private static final String TAKE =
            "SELECT file_id, external_id, size IS NULL FROM files f WHERE file_id = ANY (?) AND" + OLD_ENOUGH + """
            AND NOT EXISTS (
                SELECT FROM files l WHERE l.name = f.name AND l.deleted_at IS NULL
                    AND l.external_id = f.external_id AND l.backend = f.backend)
            ORDER BY file_id FOR UPDATE OF f SKIP LOCKED""";

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
     * Rows whose objects may go.
     *
     * @param ids of them, in order
     * @param last of those that were looked at; empty if there is nothing behind it
     */
    public record Found(List<UUID> ids, Optional<UUID> last) {

        public List<List<UUID>> batches(int size) {
            return ids.stream().gather(Gatherers.windowFixed(size)).toList();
        }
    }

    /**
     * Looks for rows whose objects no live row names, whoever else named them. The table is read twice for it, however many there
     * are, and only once if there are none.
     *
     * @param age how long ago the rows must have been deleted, by the database's clock
     * @param after only rows with greater ids, so that one that can't be deleted keeps no other back
     * @param limit how many of them to look at
     */
    public Found find(String backend, Duration age, UUID after, int limit) {
        return database.inTransaction("look for objects of deleted rows", connection -> {
            Map<UUID, UUID> keys = deleted(connection, backend, age, after, limit);
            Set<UUID> live = keys.isEmpty() ? Set.of() : namedByLiveRows(connection, keys.values(), backend);
            List<UUID> ids = List.copyOf(keys.keySet());
            return new Found(
                    ids.stream().filter(id -> !live.contains(keys.get(id))).toList(),
                    ids.size() < limit ? Optional.empty() : Optional.of(ids.getLast()));
        });
    }

    /**
     * Has the objects of these rows deleted, and forgets those that are gone. The rows are held meanwhile: an upload that is taken
     * for dead and isn't, can't be published with its object gone. Each row is looked at again before. A row that became a live one since,
     * or that is held again, is not taken; nor is one whose key a live row of the same name got, and no other can have got it:
     * an upload has a key of its own, a blob that comes back to what it had left has the name that it had, and no row's name ever changes.
     *
     * @param ids of what was {@link #find found}
     * @param age as it was then
     * @return whether there are any of them still, which nobody else is deleting
     */
    public boolean collect(String backend, Duration age, List<UUID> ids, Deletion deletion) {
        return database.inTransaction("delete objects of deleted rows", connection -> {
            MoveCatalog.lookUp(connection);
            List<Retired> retired = take(connection, backend, age, ids);
            if (!retired.isEmpty()) {
                forget(connection, deletion.of(retired));
            }
            return !retired.isEmpty();
        });
    }

    /** The rows' ids in order, with their keys. */
    private static Map<UUID, UUID> deleted(Connection connection, String backend, Duration age, UUID after, int limit)
            throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(FIND)) {
            statement.setLong(1, age.toMillis());
            statement.setString(2, backend);
            statement.setObject(3, after);
            statement.setInt(4, limit);
            Map<UUID, UUID> keys = new LinkedHashMap<>();
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    keys.put(rows.getObject(1, UUID.class), rows.getObject(2, UUID.class));
                }
            }
            return keys;
        }
    }

    private static Set<UUID> namedByLiveRows(Connection connection, Collection<UUID> keys, String backend)
            throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(ALL_AT_ONCE);
        }
        try (PreparedStatement statement = connection.prepareStatement(NAMED_BY_LIVE_ROWS)) {
            statement.setArray(1, connection.createArrayOf("uuid", keys.toArray()));
            statement.setString(2, backend);
            Set<UUID> live = new HashSet<>();
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    live.add(rows.getObject(1, UUID.class));
                }
            }
            return live;
        }
    }

    private static List<Retired> take(Connection connection, String backend, Duration age, List<UUID> ids)
            throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(TAKE)) {
            statement.setArray(1, connection.createArrayOf("uuid", ids.toArray()));
            statement.setLong(2, age.toMillis());
            statement.setString(3, backend);
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
