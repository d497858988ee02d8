package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.UUID;
import java.util.function.Supplier;

/**
 * Lets one migration at a time work on a database: Kubernetes can't see two workloads on one. A session-level advisory lock
 * (PostgreSQL manual, 13.3.5), shared by all workers of the same migration; it is gone with the session, so a worker that
 * dies leaves nothing behind. Needs a direct session: a transaction pooler breaks it.
 *
 * <p>A worker can't notice at once that its session has ended, and may have slept while another migration came and went. So
 * every change of rows ends with {@link #requireHeld}: what was read and proven inside the fence is only acted upon inside it.
 *
 * <p>Of one worker: entered by one thread at a time, asked by any.
 */
public final class MigrationFence {

    private static final String TRIED = "hold the migration fence";

    /** The first of the two keys of every lock taken here; no other program is known to use it. */
    private static final int CLASS = 0x0B10B5;

    /** The second key of the gate, which is held only while a worker enters. */
    private static final int GATE = 0;

    private static final String OTHERS = """
            SELECT coalesce(nullif(a.application_name, ''), 'pid ' || l.pid)
            FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
            WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND l.classid = ?::oid AND l.objid NOT IN (0, ?::oid) AND l.objsubid = 2 AND l.granted
            LIMIT 1""";

    /** To be had by nobody while its holder's session lives; a lock that is taken so costs one look into a hash table. */
    private static final String IS_LOST = "SELECT pg_try_advisory_xact_lock_shared(?)";

    private final Database database;
    private final int key;

    /** The lock that this worker alone holds; 0 = it is not inside. */
    private volatile long own;

    /** @param migration its uid; workers of the same one share the fence */
    public MigrationFence(Database database, String migration) {
        this.database = database;
        key = key(migration);
    }

    /** The session that held the fence has ended. No {@link StorageFailure}: nobody inside may try again. */
    private static final class LostException extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    /**
     * Does the work inside the fence.
     *
     * @throws StorageFailure.Busy if another migration is inside; the message names it
     * @throws StorageFailure.Unreachable if the fence was lost and the work therefore changed nothing more
     */
    public <T> T holding(Supplier<T> work) {
        try (Connection session = database.session(TRIED)) {
            enter(session);
            return work.get();
        } catch (LostException e) {
            throw new StorageFailure.Unreachable(
                    Reasons.DATABASE_UNREACHABLE, "the session that kept other migrations out has ended", e);
        } catch (SQLException e) {
            throw PgFailures.translate(TRIED, e);
        } finally {
            own = 0;
        }
    }

    /**
     * Ends the transaction that {@code connection} is in, by an exception, unless this worker has been inside the fence since it
     * entered. To be called once the rows in question are locked: then nobody who enters later finds them unchanged.
     *
     * @throws IllegalStateException if it is called outside of {@link #holding}
     */
    void requireHeld(Connection connection) throws SQLException {
        if (own == 0) {
            throw new IllegalStateException("rows are changed inside the fence only");
        }
        try (PreparedStatement statement = connection.prepareStatement(IS_LOST)) {
            statement.setLong(1, own);
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                if (rows.getBoolean(1)) {
                    throw new LostException();
                }
            }
        }
    }

    private void enter(Connection session) throws SQLException {
        call(session, "SELECT set_config('lock_timeout', '10s', false)");
        call(session, "SELECT pg_advisory_lock(?, ?)", CLASS, GATE);
        try (PreparedStatement statement = session.prepareStatement(OTHERS)) {
            statement.setInt(1, CLASS);
            statement.setInt(2, key);
            try (ResultSet rows = statement.executeQuery()) {
                if (rows.next()) {
                    throw new StorageFailure.Busy(
                            Reasons.ANOTHER_MIGRATION,
                            "another migration works on this database: " + rows.getString(1),
                            null);
                }
            }
        }
        call(session, "SELECT pg_advisory_lock_shared(?, ?)", CLASS, key);
        long random = UUID.randomUUID().getMostSignificantBits();
        try (PreparedStatement statement = session.prepareStatement("SELECT pg_advisory_lock(?)")) {
            statement.setLong(1, random);
            statement.executeQuery().close();
        }
        own = random;
        call(session, "SELECT pg_advisory_unlock(?, ?)", CLASS, GATE);
    }

    /** Positive and never the gate's; two migrations that collide only wait for each other's end without need. */
    private static int key(String migration) {
        return (migration.hashCode() & 0x3FFF_FFFF) + 1;
    }

    private static void call(Connection session, String function, int... keys) throws SQLException {
        try (PreparedStatement statement = session.prepareStatement(function)) {
            for (int i = 0; i < keys.length; i++) {
                statement.setInt(i + 1, keys[i]);
            }
            statement.executeQuery().close();
        }
    }
}
