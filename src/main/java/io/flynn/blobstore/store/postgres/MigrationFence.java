package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.function.Supplier;

/**
 * Lets one migration at a time work on a database: Kubernetes can't see two workloads on one. A session-level advisory lock
 * (PostgreSQL manual, 13.3.5), shared by all workers of the same migration; it is gone with the session, so a worker that
 * dies leaves nothing behind. Needs a direct session: a transaction pooler breaks it.
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

    private MigrationFence() {}

    /**
     * Does the work inside the fence.
     *
     * @param migration its uid; workers of the same one share the fence
     * @throws StorageFailure.Busy if another migration is inside; the message names it
     */
    public static <T> T holding(Database database, String migration, Supplier<T> work) {
        try (Connection session = database.session(TRIED)) {
            enter(session, key(migration));
            return work.get();
        } catch (SQLException e) {
            throw PgFailures.translate(TRIED, e);
        }
    }

    private static void enter(Connection session, int key) throws SQLException {
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
