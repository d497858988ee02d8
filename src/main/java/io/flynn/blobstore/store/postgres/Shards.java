package io.flynn.blobstore.store.postgres;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.NavigableSet;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How the workers of one migration share its blobs: the first byte of a row's id is its shard, and whoever holds a shard's
 * advisory lock works on it. Locks are a session's: those of a worker that dies are free at once, and whoever comes later gets
 * its part. They spare work; what keeps blobs safe are the guards of every change.
 *
 * <p>For one thread; its session is its own.
 */
public final class Shards implements AutoCloseable {

    public static final int COUNT = 256;

    private static final Logger LOG = LoggerFactory.getLogger(Shards.class);

    private static final String TRIED = "share the blobs with other workers";

    /** The first of the two keys of every lock taken here; the second is the shard, or {@link #COUNT} for being here at all. */
    private static final int CLASS = 0x0B10B6;

    private static final String HERE = "SELECT pg_advisory_lock_shared(?, ?)";

    private static final String LOCKED = """
            SELECT l.objid::bigint, count(*) FROM pg_locks l
            WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND l.classid = ?::oid AND l.objsubid = 2 AND l.granted
            GROUP BY l.objid""";

    private static final String LOCK = "SELECT s, pg_try_advisory_lock(?, s) FROM unnest(?::int[]) AS w(s)";

    private static final String UNLOCK_ALL = "SELECT pg_advisory_unlock_all()";

    private static final String UNLOCK = "SELECT pg_advisory_unlock(?, s) FROM unnest(?::int[]) AS w(s)";

    private final Connection session;
    private final NavigableSet<Integer> held = new TreeSet<>();
    private volatile int workers = 1;

    private Shards(Connection session) {
        this.session = session;
    }

    /** Takes part from now on; closing it lets everything go. */
    public static Shards join(Database database) {
        Connection session = database.session(TRIED);
        try (PreparedStatement here = session.prepareStatement(HERE)) {
            here.setInt(1, CLASS);
            here.setInt(2, COUNT);
            here.executeQuery().close();
            return new Shards(session);
        } catch (SQLException e) {
            close(session, e);
            throw PgFailures.translate(TRIED, e);
        }
    }

    public static int of(UUID id) {
        return (int) (id.getMostSignificantBits() >>> 56);
    }

    /** Those that this worker holds. */
    public Set<Integer> held() {
        return Set.copyOf(held);
    }

    /** How many workers there were when that was looked at last; may be asked by any thread. */
    public int workers() {
        return workers;
    }

    /**
     * Takes as many of {@code wanted} as are this worker's part, as far as nobody else holds them, and lets all others go.
     *
     * @return how many workers there are
     */
    public int claim(Set<Integer> wanted) {
        try {
            release(held.stream().filter(shard -> !wanted.contains(shard)).toList());
            Locked locked = locked();
            int part = part(wanted.size(), locked.workers());
            List<Integer> free = wanted.stream()
                    .filter(shard -> !locked.shards().contains(shard))
                    .limit(Math.max(0, part - held.size()))
                    .toList();
            lock(free);
            return locked.workers();
        } catch (SQLException e) {
            throw PgFailures.translate(TRIED, e);
        }
    }

    /** Lets those go that are more than this worker's part by now, of those that it has not begun: above {@code begun}. */
    public void share(int begun) {
        try {
            int part = part(held.size(), locked().workers());
            List<Integer> notBegun = List.copyOf(held.tailSet(begun, false));
            int tooMany = Math.min(held.size() - part, notBegun.size());
            if (tooMany > 0) {
                release(notBegun.subList(notBegun.size() - tooMany, notBegun.size()));
            }
        } catch (SQLException e) {
            throw PgFailures.translate(TRIED, e);
        }
    }

    private static int part(int shards, int workers) {
        return Math.ceilDiv(shards, Math.max(1, workers));
    }

    private record Locked(Set<Integer> shards, int workers) {}

    private Locked locked() throws SQLException {
        Set<Integer> shards = new HashSet<>();
        int here = 1;
        try (PreparedStatement statement = session.prepareStatement(LOCKED)) {
            statement.setInt(1, CLASS);
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    if (rows.getInt(1) == COUNT) {
                        here = rows.getInt(2);
                    } else {
                        shards.add(rows.getInt(1));
                    }
                }
            }
        }
        workers = here;
        return new Locked(shards, here);
    }

    private void lock(Collection<Integer> shards) throws SQLException {
        try (PreparedStatement statement = session.prepareStatement(LOCK)) {
            statement.setInt(1, CLASS);
            statement.setArray(2, session.createArrayOf("int4", shards.toArray()));
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    if (rows.getBoolean(2)) {
                        held.add(rows.getInt(1));
                    }
                }
            }
        }
    }

    private void release(List<Integer> shards) throws SQLException {
        if (shards.isEmpty()) {
            return;
        }
        try (PreparedStatement statement = session.prepareStatement(UNLOCK)) {
            statement.setInt(1, CLASS);
            statement.setArray(2, session.createArrayOf("int4", shards.toArray()));
            statement.executeQuery().close();
        }
        shards.forEach(held::remove);
    }

    @Override
    public void close() {
        try (session;
                Statement unlock = session.createStatement()) {
            // A session ends a while after it is closed, and only then would its locks.
            unlock.execute(UNLOCK_ALL);
        } catch (SQLException alreadyEnded) {
            LOG.debug("the session of the shards' locks had ended", alreadyEnded);
        }
    }

    private static void close(Connection session, SQLException cause) {
        try {
            session.close();
        } catch (SQLException e) {
            cause.addSuppressed(e);
        }
    }
}
