package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.Array;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * Waits until every transaction that held a lock on {@code files}, or one to write, has ended: one that read a row before its flip
 * may still read, or append to, the large object. Waiting on the snapshot horizon alone is not enough, since a transaction that
 * only read has no id.
 */
public final class OlderTransactions {

    private static final String HOLDERS = """
            SELECT DISTINCT l.virtualtransaction FROM pg_locks l
            WHERE l.relation = 'files'::regclass
                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND l.pid IS DISTINCT FROM pg_backend_pid()""";

    /** A reader's lock is a weaker one. */
    private static final String WRITERS = HOLDERS + " AND l.granted AND l.mode IN ('RowShareLock', 'RowExclusiveLock')";

    private static final String OLDEST = """
            SELECT coalesce(l.pid::text, 'a prepared transaction'),
                coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::bigint, 0)
            FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
            WHERE l.virtualtransaction = ANY (?) ORDER BY a.xact_start NULLS FIRST LIMIT 1""";

    private static final Duration LOOK_EVERY = Duration.ofMillis(200);

    private final Database database;
    private final String holders;

    /** Those that have only read, too. */
    public OlderTransactions(Database database) {
        this(database, HOLDERS);
    }

    private OlderTransactions(Database database, String holders) {
        this.database = database;
        this.holders = holders;
    }

    /** Those that change rows, or have locked them to do so. */
    public static OlderTransactions thatWrite(Database database) {
        return new OlderTransactions(database, WRITERS);
    }

    /**
     * Blocks until all transactions that are open now have ended.
     *
     * @param patience how long at most
     * @param stop whether to give up early
     * @throws StorageFailure.Busy if they haven't; the message names the oldest one's process and age
     */
    public void awaitEnd(Duration patience, BooleanSupplier stop) {
        Optional<String> oldest = stillOpen(patience, stop);
        if (oldest.isPresent()) {
            throw new StorageFailure.Busy(Reasons.WAITING_FOR_TRANSACTIONS, oldest.get(), null);
        }
    }

    /** The same without a failure: whether they have ended in time. */
    public boolean haveEnded(Duration patience) {
        return stillOpen(patience, () -> false).isEmpty();
    }

    /** The oldest of those that were open at the beginning and are at the end; empty as soon as there is none. */
    private Optional<String> stillOpen(Duration patience, BooleanSupplier stop) {
        List<String> transactions = holders();
        long end = System.nanoTime() + patience.toNanos();
        Optional<String> oldest = oldest(transactions);
        while (oldest.isPresent() && System.nanoTime() <= end && !stop.getAsBoolean()) {
            Pauses.sleep(LOOK_EVERY);
            oldest = oldest(transactions);
        }
        return oldest;
    }

    private List<String> holders() {
        return database.with("list open transactions", connection -> {
            List<String> transactions = new ArrayList<>();
            try (PreparedStatement statement = connection.prepareStatement(holders);
                    ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    transactions.add(rows.getString(1));
                }
            }
            return transactions;
        });
    }

    private Optional<String> oldest(List<String> transactions) {
        if (transactions.isEmpty()) {
            return Optional.empty();
        }
        return database.with("look at open transactions", connection -> {
            Array ids = connection.createArrayOf("text", transactions.toArray());
            try (PreparedStatement statement = connection.prepareStatement(OLDEST)) {
                statement.setArray(1, ids);
                try (ResultSet rows = statement.executeQuery()) {
                    return rows.next()
                            ? Optional.of(
                                    "a transaction that may still use the large objects is open: process %s, for %d s; end it"
                                            .formatted(rows.getString(1), rows.getLong(2)))
                            : Optional.empty();
                }
            }
        });
    }
}
