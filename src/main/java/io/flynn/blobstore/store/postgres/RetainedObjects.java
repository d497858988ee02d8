package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.store.postgres.MoveCatalog.Flip;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The objects that moves left behind in the bucket that they came from. Each is named by a soft-deleted row, made in the
 * transaction that flipped its blob, whose {@code deleted_at} is {@code infinity}: no collector takes it, however long the
 * migration is kept reversible. Cleaning sets it to the time of the flip, and from then on the row is like that of any version that
 * was replaced ({@link RetiredObjects}).
 *
 * <p>The row's id is made of the blob's and the backend's, so that it is found without an index, and there is only one.
 * Thread-safe; all methods block and throw {@link io.flynn.blobstore.store.StorageFailure}.
 */
public final class RetainedObjects {

    private static final String HELD = "f.deleted_at = 'infinity' AND f.external_id IS NOT NULL";

    /** Its creation is the flip; {@code updated_at} stays the blob's. One whose object is gone by now is written over. */
    private static final String RETAIN = """
            INSERT INTO files AS f (file_id, external_id, backend, name, type, size, sha512, created_at, updated_at, deleted_at)
            SELECT w.retained, w.key, ?, b.name, b.type, b.size, b.sha512, clock_timestamp(), b.updated_at, 'infinity'
            FROM unnest(?::uuid[], ?::uuid[], ?::uuid[]) AS w(id, retained, key) JOIN files b ON b.file_id = w.id
            WHERE w.key IS NOT NULL
            ON CONFLICT (file_id) DO UPDATE SET external_id = EXCLUDED.external_id, size = EXCLUDED.size,
                sha512 = EXCLUDED.sha512, created_at = EXCLUDED.created_at, updated_at = EXCLUDED.updated_at,
                deleted_at = EXCLUDED.deleted_at
            WHERE f.external_id IS NULL""";

    /** The blob is back at the object that it had left: nobody may delete that now. Not every role may delete rows. */
    private static final String FORGET_NAMED = """
            UPDATE files f SET external_id = NULL, deleted_at = clock_timestamp() FROM unnest(?::uuid[], ?::uuid[]) AS w(retained, key)
            WHERE f.file_id = w.retained AND f.external_id = w.key AND f.deleted_at IS NOT NULL""";

    /** The blob is back in the bucket under another key: what it had left is of no use, and another may be left later. */
    private static final String RETIRE_OTHERS = """
            UPDATE files f SET file_id = uuid_generate_v4(), deleted_at = clock_timestamp()
            WHERE f.file_id = ANY (?) AND f.external_id IS NOT NULL AND f.deleted_at IS NOT NULL""";

    private static final String TAKE = "UPDATE files f SET external_id = NULL, deleted_at = clock_timestamp()"
            + " WHERE f.file_id = ? AND f.external_id = ? AND " + HELD;

    private static final String HOLD = """
            UPDATE files f SET deleted_at = 'infinity'
            WHERE f.file_id = ANY (?) AND f.deleted_at < 'infinity' AND f.external_id IS NOT NULL""";

    private static final String OF = "SELECT f.external_id FROM files f WHERE f.file_id = ? AND " + HELD;

    private static final String COUNT =
            "SELECT count(*), coalesce(sum(f.size), 0) FROM files f WHERE" + InScope.CONDITION + "AND " + HELD;

    private static final String YOUNGEST = """
            SELECT coalesce(ceil(extract(epoch FROM max(f.created_at) - clock_timestamp()) * 1000)::bigint, -?::bigint) + ?::bigint
            FROM files f WHERE""" + InScope.CONDITION + "AND " + HELD;

    private static final String PAGE = "SELECT f.file_id, " + MoveCatalog.COLUMNS.replace("f.", "b.")
            + " FROM (SELECT * FROM files f WHERE" + InScope.CONDITION + "AND " + HELD
            + " AND f.file_id > ? ORDER BY f.file_id LIMIT ?) f LEFT JOIN LATERAL"
            + " (SELECT * FROM files l WHERE l.name = f.name AND l.deleted_at IS NULL OFFSET 0) b ON true"
            + " ORDER BY f.file_id";

    private static final String RELEASE =
            "UPDATE files f SET deleted_at = f.created_at WHERE f.file_id = ANY (?) AND " + HELD;

    private static final UUID BEFORE_ALL = new UUID(0, 0);

    private final Database database;

    public RetainedObjects(Database database) {
        this.database = database;
    }

    /**
     * One of them.
     *
     * @param id of its row
     * @param blob the live row that now has the name, which may be another blob's
     */
    public record Retained(UUID id, Optional<BlobRow> blob) {

        /** The blob that left it at {@code from}, if it is still live. */
        public Optional<BlobRow> blobOf(BackendName from) {
            return blob.filter(row -> RetainedObjects.id(row.id(), from).equals(id));
        }
    }

    static UUID id(UUID blob, BackendName backend) {
        return UUID.nameUUIDFromBytes(("left by " + blob + " at " + backend).getBytes(StandardCharsets.US_ASCII));
    }

    /** Records what flipped rows leave, within the flip's transaction. */
    static void retain(Connection connection, List<Flip> flipped, BackendName from) throws SQLException {
        if (flipped.isEmpty()) {
            return;
        }
        try (PreparedStatement statement = connection.prepareStatement(RETAIN)) {
            statement.setString(1, from.value());
            setUuids(statement, 2, flipped, flip -> flip.row().id());
            setUuids(statement, 3, flipped, flip -> id(flip.row().id(), from));
            setUuids(
                    statement,
                    4,
                    flipped,
                    flip -> flip.row().externalId().map(ObjectKey::value).orElse(null));
            statement.executeUpdate();
        }
    }

    /** Puts in order, within the flip's transaction, what blobs had once left at the backend to which they come. */
    static void arrived(Connection connection, Map<UUID, ObjectKey> keys, BackendName to) throws SQLException {
        if (keys.isEmpty()) {
            return;
        }
        List<Map.Entry<UUID, ObjectKey>> arrived = List.copyOf(keys.entrySet());
        try (PreparedStatement statement = connection.prepareStatement(FORGET_NAMED)) {
            setUuids(statement, 1, arrived, blob -> id(blob.getKey(), to));
            setUuids(statement, 2, arrived, blob -> blob.getValue().value());
            statement.executeUpdate();
        }
        try (PreparedStatement statement = connection.prepareStatement(RETIRE_OTHERS)) {
            setUuids(statement, 1, arrived, blob -> id(blob.getKey(), to));
            statement.executeUpdate();
        }
    }

    /** Ends the holding of an object that its blob is put back on, within that transaction; false if it isn't held. */
    static boolean take(Connection connection, UUID blob, BackendName from, ObjectKey key) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(TAKE)) {
            statement.setObject(1, id(blob, from));
            statement.setObject(2, key.value());
            return statement.executeUpdate() == 1;
        }
    }

    /**
     * Holds again what these blobs once left at {@code backend} and what was released since, so that nobody deletes an object there
     * that is about to be a blob's again. Waits for a collector that is deleting it now.
     */
    public void hold(Collection<BlobRow> blobs, BackendName backend) {
        if (blobs.isEmpty()) {
            return;
        }
        database.with("hold objects at " + backend, connection -> {
            try (PreparedStatement statement = connection.prepareStatement(HOLD)) {
                setUuids(statement, 1, blobs, blob -> id(blob.id(), backend));
                return statement.executeUpdate();
            }
        });
    }

    /** What a blob left at {@code backend} and is held there. */
    public Optional<ObjectKey> of(UUID blob, BackendName backend) {
        return database.with("look for what blob " + blob + " left at " + backend, connection -> {
            try (PreparedStatement statement = connection.prepareStatement(OF)) {
                statement.setObject(1, id(blob, backend));
                try (ResultSet rows = statement.executeQuery()) {
                    return rows.next() ? Optional.of(new ObjectKey(rows.getObject(1, UUID.class))) : Optional.empty();
                }
            }
        });
    }

    /** How many are held at {@code backend}. */
    public MoveCatalog.Count count(BackendName backend, BlobFilter filter) {
        return database.with("count objects that are held at " + backend, connection -> {
            try (PreparedStatement statement = connection.prepareStatement(COUNT)) {
                InScope.bind(statement, 1, backend, filter);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    return new MoveCatalog.Count(rows.getLong(1), rows.getLong(2));
                }
            }
        });
    }

    /** How long it takes, by the database's clock, until all that are held now are at least {@code age} old; 0 or less = they are. */
    public Duration untilAllAreAsOldAs(Duration age, BackendName backend, BlobFilter filter) {
        return database.with("look how old the objects are that are held at " + backend, connection -> {
            try (PreparedStatement statement = connection.prepareStatement(YOUNGEST)) {
                statement.setLong(1, age.toMillis());
                statement.setLong(2, age.toMillis());
                InScope.bind(statement, 3, backend, filter);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    return Duration.ofMillis(rows.getLong(1));
                }
            }
        });
    }

    /** Those that are held, in the order of their rows' ids. */
    public List<Retained> page(BackendName backend, BlobFilter filter, Optional<UUID> after, int limit) {
        return database.inTransaction("list objects that are held at " + backend, connection -> {
            InScope.walk(connection);
            try (PreparedStatement statement = connection.prepareStatement(PAGE)) {
                int next = InScope.bind(statement, 1, backend, filter);
                statement.setObject(next, after.orElse(BEFORE_ALL));
                statement.setInt(next + 1, limit);
                List<Retained> page = new ArrayList<>();
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) {
                        page.add(new Retained(
                                rows.getObject(1, UUID.class),
                                rows.getObject(2) == null ? Optional.empty() : Optional.of(MoveCatalog.row(rows, 1))));
                    }
                }
                return page;
            }
        });
    }

    /**
     * Gives them to the collectors, as old as their flips are.
     *
     * @param fence inside which it was proven that nobody needs them
     */
    public void release(MigrationFence fence, Collection<UUID> ids) {
        if (ids.isEmpty()) {
            return;
        }
        database.inTransaction("release " + ids.size() + " objects", connection -> {
            try (PreparedStatement statement = connection.prepareStatement(RELEASE)) {
                setUuids(statement, 1, ids, id -> id);
                int released = statement.executeUpdate();
                fence.requireHeld(connection);
                return released;
            }
        });
    }

    private static <T> void setUuids(
            PreparedStatement statement, int parameter, Collection<T> of, Function<T, ? extends @Nullable UUID> uuid)
            throws SQLException {
        statement.setArray(
                parameter,
                statement
                        .getConnection()
                        .createArrayOf("uuid", of.stream().map(uuid).toArray()));
    }
}
