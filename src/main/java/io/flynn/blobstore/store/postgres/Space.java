package io.flynn.blobstore.store.postgres;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;

/** What large objects take on disk, and giving it back. Thread-safe; all methods block. */
public final class Space {

    /** PostgreSQL skips a VACUUM without these rights with a warning and success (manual, VACUUM, "Notes"). */
    private static final String MAY_VACUUM_17 = """
            SELECT pg_has_role(datdba, 'USAGE') OR has_table_privilege('pg_catalog.pg_largeobject', 'MAINTAIN')
                AND has_table_privilege('pg_catalog.pg_largeobject_metadata', 'MAINTAIN')
            FROM pg_database WHERE datname = current_database()""";

    private static final String MAY_VACUUM =
            "SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()";

    private static final String SIZES = """
            SELECT pg_database_size(current_database()),
                pg_total_relation_size('pg_catalog.pg_largeobject') + pg_total_relation_size('pg_catalog.pg_largeobject_metadata')""";

    /**
     * Rows of {@code pg_largeobject} hold 2 KB each. VACUUM has just counted those that are there as {@code reltuples}, and as
     * dead those that it had to leave since a snapshot may still see them (checked on PostgreSQL 17); before PostgreSQL 15 the
     * latter may be half a second old, and is then too many rather than too few. Without {@code track_counts} it is unknown.
     */
    private static final String LEFT = """
            SELECT least(pg_relation_size(oid), CASE WHEN current_setting('track_counts')::boolean
                THEN (greatest(reltuples, 0)::bigint + pg_stat_get_dead_tuples(oid)) * 2048
                ELSE pg_relation_size(oid) END)
            FROM pg_class WHERE oid = 'pg_catalog.pg_largeobject'::regclass""";

    private final Database database;

    public Space(Database database) {
        this.database = database;
    }

    /** What large objects lie in. */
    public enum Table {
        /** Their bytes. */
        PAGES("pg_largeobject", "VACUUM FULL pg_catalog.pg_largeobject"),
        /** Their owners and rights. */
        METADATA("pg_largeobject_metadata", "VACUUM FULL pg_catalog.pg_largeobject_metadata");

        private final String catalog;
        private final String vacuumFull;

        Table(String catalog, String vacuumFull) {
            this.catalog = catalog;
            this.vacuumFull = vacuumFull;
        }

        /** Its name in {@code pg_catalog}. */
        public String catalog() {
            return catalog;
        }
    }

    /** Bytes on disk: of the whole database, and of its large objects with their index. */
    public record Sizes(long database, long largeObjects) {}

    public Sizes sizes() {
        return database.with("measure the database", connection -> {
            try (Statement statement = connection.createStatement();
                    ResultSet rows = statement.executeQuery(SIZES)) {
                rows.next();
                return new Sizes(rows.getLong(1), rows.getLong(2));
            }
        });
    }

    /** Whether this role may vacuum the catalog: database owner, superuser, or from PostgreSQL 17 on by MAINTAIN. */
    public boolean mayVacuum() {
        return database.with("look at the right to vacuum", connection -> {
            boolean hasMaintain = connection.getMetaData().getDatabaseMajorVersion() >= 17;
            try (Statement statement = connection.createStatement();
                    ResultSet rows = statement.executeQuery(hasMaintain ? MAY_VACUUM_17 : MAY_VACUUM)) {
                return rows.next() && rows.getBoolean(1);
            }
        });
    }

    /**
     * At most so many bytes of large objects did the last VACUUM leave: those that are there, and those that are unlinked but
     * can't be removed while somebody's snapshot sees them. A full vacuum would copy all of them.
     */
    public long leftBytes() {
        return database.with("count large objects", connection -> {
            try (Statement statement = connection.createStatement();
                    ResultSet rows = statement.executeQuery(LEFT)) {
                rows.next();
                return rows.getLong(1);
            }
        });
    }

    /**
     * Makes the space reusable, and gives back what lies free at the tables' ends. Blocks nobody. {@code files} is left out
     * where another role owns it.
     *
     * @throws io.flynn.blobstore.store.StorageFailure.Busy if another vacuum held a table for longer than {@code lockTimeout}
     */
    public void vacuum(Duration lockTimeout) {
        database.with("vacuum the large objects", connection -> {
            run(connection, lockTimeout, "VACUUM pg_catalog.pg_largeobject");
            run(connection, lockTimeout, "VACUUM pg_catalog.pg_largeobject_metadata");
            run(connection, lockTimeout, "VACUUM files");
            return true;
        });
    }

    /**
     * Rewrites the table and gives all its free space back. Blocks all who use large objects while it waits for its lock and
     * while it runs, and needs as much disk and WAL again as is left in it.
     *
     * @throws io.flynn.blobstore.store.StorageFailure.Busy if the lock was not to be had within {@code lockTimeout}
     */
    public void vacuumFull(Table table, Duration lockTimeout) {
        database.with("vacuum " + table.catalog() + " in full", connection -> {
            run(connection, lockTimeout, table.vacuumFull);
            return true;
        });
    }

    /** VACUUM can't run in a transaction, so the time-outs are the session's, and are taken back. */
    private static void run(Connection connection, Duration lockTimeout, String vacuum) throws SQLException {
        int socketTimeout = connection.getNetworkTimeout();
        try (Statement statement = connection.createStatement()) {
            // A vacuum says nothing until it is done, which may take hours.
            connection.setNetworkTimeout(Runnable::run, 0);
            setLockTimeout(connection, lockTimeout);
            statement.execute(vacuum);
        } finally {
            connection.setNetworkTimeout(Runnable::run, socketTimeout);
            try (Statement statement = connection.createStatement()) {
                statement.execute("SET lock_timeout = 0");
            }
        }
    }

    private static void setLockTimeout(Connection connection, Duration lockTimeout) throws SQLException {
        try (PreparedStatement set = connection.prepareStatement("SELECT set_config('lock_timeout', ?, false)")) {
            set.setString(1, Long.toString(lockTimeout.toMillis()));
            set.execute();
        }
    }
}
