package io.flynn.blobstore.store.postgres;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.HikariPoolMXBean;
import com.zaxxer.hikari.metrics.micrometer.MicrometerMetricsTrackerFactory;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.StorageFailure;
import io.micrometer.core.instrument.MeterRegistry;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Connections to one database, every wait on them bounded. Thread-safe; borrowing blocks.
 *
 * <p>All statements translate their failures into {@link StorageFailure}s through {@link #with}.
 */
public final class Database implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(Database.class);

    /** An answer that takes longer is taken for lost; the driver's own default is to wait for ever. */
    private static final Duration SOCKET_TIMEOUT = Duration.ofSeconds(120);

    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(10);

    /** As long as for an answer, since most clients wait no longer than a minute for both. */
    private static final Duration GROWTH_MAX = Duration.ofSeconds(30);

    /**
     * What a role or a database was given for the sake of other programs ({@code ALTER ROLE … SET}) would end streams, waits and
     * sessions that have deadlines of their own here. PostgreSQL has the last of them from version 17 on.
     */
    private static final String OWN_DEADLINES = """
            SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false),
                set_config('idle_session_timeout', '0', false),
                CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL
                THEN set_config('transaction_timeout', '0', false) END""";

    /** Of a peer that has gone without a word, PostgreSQL then knows after two minutes, and not after those of its machine. */
    private static final String OWN_DEADLINES_AND_RESTS = OWN_DEADLINES + """
            , set_config('idle_in_transaction_session_timeout', '0', false),
            set_config('tcp_keepalives_idle', '60', false), set_config('tcp_keepalives_interval', '10', false),
            set_config('tcp_keepalives_count', '6', false)""";

    private static final int VICTIM_ATTEMPTS = 5;

    /** Before the second attempt; twice as long before each further one. */
    private static final Duration VICTIM_PAUSE = Duration.ofMillis(50);

    private final PgSettings settings;
    private final String applicationName;
    private final Duration answer;
    private final HikariDataSource pool;

    /** What to do with a connection; {@link SQLException}s are translated by the caller. */
    @FunctionalInterface
    public interface Work<T> {
        T on(Connection connection) throws SQLException;
    }

    /**
     * Opens no connection yet: a database that is away is noticed by the first use.
     *
     * @param connections at most this many at once
     * @param wait how long to wait for a free one when there get to be no more of them
     */
    public Database(PgSettings settings, String applicationName, int connections, Duration wait) {
        this(settings, applicationName, connections, wait, SOCKET_TIMEOUT);
    }

    /** @param answer how long to wait for each answer, in whole seconds */
    Database(PgSettings settings, String applicationName, int connections, Duration wait, Duration answer) {
        this(settings, applicationName, connections, wait, answer, OWN_DEADLINES);
    }

    /** The same for a server, whose transactions rest while a client or a store is waited for. */
    public static Database ofServer(PgSettings settings, String applicationName, int connections, Duration wait) {
        return new Database(settings, applicationName, connections, wait, SOCKET_TIMEOUT, OWN_DEADLINES_AND_RESTS);
    }

    private Database(
            PgSettings settings,
            String applicationName,
            int connections,
            Duration wait,
            Duration answer,
            String deadlines) {
        this.settings = settings;
        this.applicationName = applicationName;
        this.answer = answer;
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl(url(settings));
        config.setDataSourceProperties(properties());
        config.setMaximumPoolSize(connections);
        config.setMinimumIdle(0);
        config.setIdleTimeout(Duration.ofMinutes(1).toMillis());
        config.setConnectionTimeout(wait.toMillis());
        config.setInitializationFailTimeout(-1);
        // What every guarded statement relies on. Left to itself, the pool asks its first connection which level the
        // others
        // are to have; if that one breaks meanwhile, none can be made any more.
        config.setTransactionIsolation("TRANSACTION_READ_COMMITTED");
        config.setConnectionInitSql(deadlines);
        config.setPoolName("blobstore");
        pool = new HikariDataSource(config);
    }

    /** Tells {@code registry} from now on how many connections are in use, and for how long they are waited for. Once only. */
    public void observe(MeterRegistry registry) {
        pool.setMetricsTrackerFactory(new MicrometerMetricsTrackerFactory(registry));
    }

    /** Work that may be done twice, as long as nothing that it read went out of the program's hands. */
    @FunctionalInterface
    interface RepeatableWork<T> {
        /** @param handingOn to be run before anything is handed on that can't be taken back */
        T on(Connection connection, Runnable handingOn) throws SQLException;
    }

    /**
     * Borrows a connection in autocommit mode, does the work, gives it back.
     *
     * @param tried what the work is, in words that complete "could not …"
     * @throws StorageFailure if the database fails; what the work did in autocommit mode before that, stays done
     */
    public <T> T with(String tried, Work<T> work) {
        try (Connection connection = borrow(tried)) {
            try {
                return work.on(connection);
            } catch (SQLException | StorageFailure e) {
                if (PgFailures.isReadOnly(e)) {
                    // Whoever takes changes now, after a failover, is found by a new connection.
                    pool.evictConnection(connection);
                }
                throw e;
            }
        } catch (SQLException e) {
            throw PgFailures.translate(tried, e);
        }
    }

    /**
     * The same for work that may be done again: if its connection breaks before anything was handed on, it is done once more on
     * another, and if PostgreSQL ended it in favour of somebody else's, it is as in {@link #repeatableInTransaction}. A database
     * that can't be reached at all is not asked twice.
     *
     * @param patience how long to wait for each answer; one that doesn't come is a connection that is broken
     */
    <T> T repeatable(String tried, Duration patience, RepeatableWork<T> work) {
        AtomicBoolean canRepeat = new AtomicBoolean();
        Work<T> once = connection -> {
            canRepeat.set(true);
            waitFor(connection, patience);
            return work.on(connection, () -> canRepeat.set(false));
        };
        return againIfVictim(canRepeat::get, () -> {
            try {
                return with(tried, once);
            } catch (StorageFailure.Unreachable e) {
                if (!canRepeat.get()) {
                    throw e;
                }
                // What broke one connection has most often broken all of them.
                pool.getHikariPoolMXBean().softEvictConnections();
                LOG.atInfo().addKeyValue("problem", e.getMessage()).log("trying once more");
                return with(tried, once);
            }
        });
    }

    /** @param patience how long to wait for each of the connection's answers until it is given back */
    static void waitFor(Connection connection, Duration patience) throws SQLException {
        // The pool sets it back.
        connection.setNetworkTimeout(Runnable::run, Math.toIntExact(patience.toMillis()));
    }

    /**
     * The same in one transaction, committed at the end.
     *
     * @throws StorageFailure.OutcomeUnknown if the answer to the commit was lost: look at the rows again
     */
    public <T> T inTransaction(String tried, Work<T> work) {
        return inTransaction(tried, answer, work);
    }

    /**
     * The same for statements that say nothing for long.
     *
     * @param patience how long to wait for each answer
     */
    <T> T inTransaction(String tried, Duration patience, Work<T> work) {
        return with(tried, connection -> {
            waitFor(connection, patience);
            return inTransaction(connection, tried, work);
        });
    }

    /** The same on a connection that was borrowed already; left without autocommit. */
    static <T> T inTransaction(Connection connection, String tried, Work<T> work) throws SQLException {
        connection.setAutoCommit(false);
        T result;
        try {
            result = work.on(connection);
        } catch (SQLException | RuntimeException e) {
            rollback(connection, e);
            throw e;
        }
        try {
            connection.commit();
        } catch (SQLException e) {
            throw PgFailures.translateCommit(tried, e);
        }
        return result;
    }

    /**
     * The same for work that may be done again: it is if PostgreSQL ended it in favour of another transaction, which waited for it
     * as it did for that one. Not at once: the other has to wake up to get the row that it waited for.
     */
    <T> T repeatableInTransaction(String tried, Work<T> work) {
        return againIfVictim(() -> true, () -> inTransaction(tried, work));
    }

    /** The same on a connection that was borrowed already, for work that leaves it as it was if it fails. */
    static <T> T repeatable(Connection connection, String tried, Work<T> work) {
        return againIfVictim(() -> true, () -> {
            try {
                return work.on(connection);
            } catch (SQLException e) {
                throw PgFailures.translate(tried, e);
            }
        });
    }

    private static <T> T againIfVictim(BooleanSupplier canRepeat, Supplier<T> work) {
        Duration pause = VICTIM_PAUSE;
        for (int attempt = 1; ; attempt++) {
            try {
                return work.get();
            } catch (StorageFailure e) {
                if (!PgFailures.isVictim(e) || attempt == VICTIM_ATTEMPTS || !canRepeat.getAsBoolean()) {
                    throw e;
                }
                LOG.atInfo().addKeyValue("problem", e.getMessage()).log("trying again");
            }
            Pauses.sleep(pause);
            pause = pause.multipliedBy(2);
        }
    }

    /**
     * A connection beside the pool, the caller's to close: for what lives as long as a session does, such as advisory locks.
     */
    public Connection session(String tried) {
        try {
            Connection session = DriverManager.getConnection(url(settings), properties());
            try (Statement statement = session.createStatement()) {
                statement.execute(OWN_DEADLINES);
                return session;
            } catch (SQLException e) {
                session.close();
                throw e;
            }
        } catch (SQLException e) {
            throw PgFailures.translate(tried, e);
        }
    }

    @Override
    public void close() {
        pool.close();
    }

    /**
     * The pool makes connections one by one, and rests for 30 ms after each (HikariCP 7, PoolEntryCreator): the last of a burst waits
     * for as many of them. So who finds none within the pool's patience waits on while there get to be more.
     */
    private Connection borrow(String tried) throws SQLException {
        HikariPoolMXBean connections = pool.getHikariPoolMXBean();
        long end = System.nanoTime() + GROWTH_MAX.toNanos();
        while (true) {
            int before = connections.getTotalConnections();
            try {
                return pool.getConnection();
            } catch (SQLTransientConnectionException e) {
                // Hikari's time-out hides why no connection could be made behind its own exception.
                if (e.getCause() instanceof SQLException cause) {
                    throw PgFailures.translate(tried, cause);
                }
                if (connections.getTotalConnections() <= before || System.nanoTime() > end) {
                    throw new StorageFailure.Busy(
                            Reasons.DATABASE_BUSY,
                            "could not " + tried + ": no connection to the database was free in time",
                            e);
                }
            }
        }
    }

    private static void rollback(Connection connection, Exception cause) {
        try {
            connection.rollback();
        } catch (SQLException e) {
            cause.addSuppressed(e);
        }
    }

    private static String url(PgSettings settings) {
        String host = settings.host().contains(":") ? "[" + settings.host() + "]" : settings.host();
        return "jdbc:postgresql://" + host + ":" + settings.port() + "/";
    }

    private Properties properties() {
        Properties properties = new Properties();
        properties.setProperty("PGDBNAME", settings.database());
        properties.setProperty("user", settings.user());
        properties.setProperty("password", settings.password().reveal());
        properties.setProperty("sslmode", settings.sslMode());
        properties.setProperty("ApplicationName", applicationName);
        properties.setProperty("connectTimeout", Long.toString(CONNECT_TIMEOUT.toSeconds()));
        properties.setProperty("loginTimeout", Long.toString(CONNECT_TIMEOUT.toSeconds()));
        properties.setProperty("socketTimeout", Long.toString(answer.toSeconds()));
        properties.setProperty("tcpKeepAlive", "true");
        // The detail of a violated constraint repeats the whole row.
        properties.setProperty("logServerErrorDetail", "false");
        return properties;
    }
}
