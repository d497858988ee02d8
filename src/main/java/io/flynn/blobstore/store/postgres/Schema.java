package io.flynn.blobstore.store.postgres;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;

/**
 * The database's schema, in the two steps in which the deployed servers made it; they must find it as they left it, so the
 * steps never change and a later one may only add.
 *
 * <p>Each step is one transaction and is recorded in {@code schema_migrations}. Any number of servers may start at once, ours
 * and old ones: ours wait for each other at an advisory lock (the old ones don't know it, and creating a table that another
 * session creates fails), and for the old ones at the lock on {@code schema_migrations}.
 */
public final class Schema {

    /** Of our choosing; says "blob" in ASCII. */
    private static final long ADVISORY_LOCK = 0x626C6F62L;

    private static final String IS_RECORDED = "SELECT to_regclass('schema_migrations') IS NOT NULL";

    private static final String COUNT_DONE = "SELECT count(*) FROM schema_migrations WHERE id IN (1, 2)";

    private static final String CREATE_RECORD = "CREATE TABLE IF NOT EXISTS schema_migrations (id bigint PRIMARY KEY)";

    private static final String LOCK_RECORD = "LOCK TABLE schema_migrations IN EXCLUSIVE MODE";

    private static final String IS_DONE = "SELECT EXISTS (SELECT FROM schema_migrations WHERE id = ?)";

    private static final String RECORD = "INSERT INTO schema_migrations (id) VALUES (?)";

    private record Step(int id, List<String> statements) {}

    private static final Step LARGE_OBJECTS = new Step(1, List.of("""
                    CREATE TABLE files (
                        file_id oid PRIMARY KEY DEFAULT lo_create(0),
                        name text UNIQUE NOT NULL,
                        size bigint,
                        type text,
                        digest text,
                        created_at timestamptz NOT NULL DEFAULT current_timestamp)
                    """, """
                    CREATE FUNCTION delete_file() RETURNS trigger LANGUAGE plpgsql AS $body$
                    BEGIN
                        PERFORM lo_unlink(OLD.file_id);
                        RETURN NULL;
                    END
                    $body$
                    """, """
                    CREATE TRIGGER delete_file AFTER DELETE ON files
                        FOR EACH ROW EXECUTE FUNCTION delete_file()
                    """));

    // The first schema allowed any text as type and digest, and none at all: a digest that is none is dropped, since
    // such a
    // row is served all the same, and failing here would keep every server from starting.
    private static final Step BACKENDS = new Step(
            2,
            List.of(
                    "CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\"",
                    """
                    CREATE TABLE new_files (
                        file_id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
                        file_oid oid,
                        external_id uuid,
                        backend text NOT NULL,
                        name text NOT NULL,
                        type text NOT NULL,
                        size bigint,
                        sha512 bytea,
                        sha512_state bytea,
                        created_at timestamptz NOT NULL DEFAULT now(),
                        updated_at timestamptz NOT NULL DEFAULT now(),
                        deleted_at timestamptz)
                    """,
                    """
                    INSERT INTO new_files (file_oid, backend, name, type, size, sha512, created_at, updated_at)
                    SELECT file_id, 'postgres', name, coalesce(type, ''), size,
                           CASE WHEN digest ~ '^[0-9a-fA-F]{128}$' THEN decode(digest, 'hex') END,
                           created_at, created_at
                    FROM files
                    """,
                    "DROP TABLE files",
                    "DROP FUNCTION delete_file()",
                    "ALTER TABLE new_files RENAME TO files",
                    """
                    CREATE UNIQUE INDEX ON files (name) WHERE deleted_at IS NULL
                    """,
                    "CREATE INDEX ON files (file_oid)",
                    """
                    CREATE FUNCTION delete_file() RETURNS trigger LANGUAGE plpgsql AS $body$
                    BEGIN
                        IF NEW.deleted_at IS NOT NULL AND NEW.file_oid IS NOT NULL THEN
                            PERFORM lo_unlink(OLD.file_oid);
                            NEW.file_oid := NULL;
                        END IF;
                        RETURN NEW;
                    END
                    $body$
                    """,
                    """
                    CREATE TRIGGER delete_file BEFORE UPDATE OF deleted_at ON files
                        FOR EACH ROW EXECUTE FUNCTION delete_file()
                    """));

    private Schema() {}

    /**
     * Creates the schema, or upgrades it with its rows; a finished one is only looked at, so a role without the right to
     * change it can serve it. Idempotent. Blocks while another session upgrades; the connection's {@code lock_timeout} bounds
     * that.
     *
     * @param connection in autocommit mode, and left so; a failure leaves the steps before it done
     */
    public static void upgrade(Connection connection) throws SQLException {
        if (isCurrent(connection)) {
            return;
        }
        upgradeTo(BACKENDS.id(), connection);
    }

    /** Only the steps up to this one: how databases looked before blobs could be anywhere else. */
    static void upgradeTo(int step, Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try {
            for (Step next : List.of(LARGE_OBJECTS, BACKENDS)) {
                if (next.id() <= step) {
                    apply(connection, next);
                }
            }
        } catch (SQLException e) {
            connection.rollback();
            throw e;
        } finally {
            connection.setAutoCommit(true);
        }
    }

    private static boolean isCurrent(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            try (ResultSet isRecorded = statement.executeQuery(IS_RECORDED)) {
                isRecorded.next();
                if (!isRecorded.getBoolean(1)) {
                    return false;
                }
            }
            try (ResultSet done = statement.executeQuery(COUNT_DONE)) {
                done.next();
                return done.getInt(1) == 2;
            }
        }
    }

    private static void apply(Connection connection, Step step) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("SELECT pg_advisory_xact_lock(" + ADVISORY_LOCK + ")");
            statement.execute(CREATE_RECORD);
            statement.execute(LOCK_RECORD);
            if (!isDone(connection, step)) {
                for (String sql : step.statements()) {
                    statement.execute(sql);
                }
                record(connection, step);
            }
        }
        connection.commit();
    }

    private static boolean isDone(Connection connection, Step step) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(IS_DONE)) {
            statement.setInt(1, step.id());
            try (ResultSet isDone = statement.executeQuery()) {
                isDone.next();
                return isDone.getBoolean(1);
            }
        }
    }

    private static void record(Connection connection, Step step) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(RECORD)) {
            statement.setInt(1, step.id());
            statement.executeUpdate();
        }
    }
}
