package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;

/**
 * A trigger on {@code files} that keeps an old server's append safe while blobs move. Such an append writes the large object
 * first and the row's size and digest at the end; if the row was flipped in between, it would describe bytes that the object
 * lacks. The trigger then points the row back at its large object, which holds them, inside the append's own statement.
 *
 * <p>It concerns only rows that a move flipped (keys of version 5) and that were not cleaned yet.
 *
 * <p>An old server's append to an object puts the whole under a new key into the bucket that its row named when it was read, and that
 * key into the row, wherever the row has gone meanwhile. A row that has come into the database names no object, so such a write is
 * late, and refused. In another bucket it looks like any other append; it is refused if its transaction began before the
 * flip, or so soon after that this can't be told. Nothing is lost: nothing was acknowledged, and the object that the append
 * would have replaced is there.
 *
 * <p>Thread-safe, idempotent.
 */
public final class MoveGuard {

    /**
     * How long its lock on the table is waited for. Creating a trigger waits for open writers, and those that come later
     * queue behind it, so it asks often and briefly.
     */
    private static final String LOCK_TIMEOUT = "SET LOCAL lock_timeout = '300ms'";

    /** Two workers that create the same function or trigger at once get errors that look like a refusal. */
    private static final String ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('blobstore_move_guard'))";

    private static final int ATTEMPTS = 60;

    private static final Duration PAUSE = Duration.ofSeconds(1);

    private static final String EXISTS = """
            SELECT count(*) = 3 FROM pg_trigger WHERE tgrelid = 'files'::regclass
                AND tgname IN ('blobstore_move_guard', 'blobstore_late_write_guard', 'blobstore_flip_time')""";

    /** Less than what late writes are refused for after a flip: the time of a flip is taken before it is committed. */
    private static final String LIMIT_FLIP = "SET LOCAL idle_in_transaction_session_timeout = '5s'";

    private static final String CREATE_FLIPS =
            "CREATE TABLE IF NOT EXISTS blobstore_flips (file_id uuid PRIMARY KEY, flipped_at timestamptz NOT NULL)";

    private static final String CREATE_FLIP_FUNCTION = """
            CREATE OR REPLACE FUNCTION blobstore_flip_time() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO blobstore_flips (file_id, flipped_at) VALUES (OLD.file_id, clock_timestamp())
                    ON CONFLICT (file_id) DO UPDATE SET flipped_at = EXCLUDED.flipped_at;
                RETURN NEW;
            END $$""";

    private static final String CREATE_FLIP_TRIGGER = """
            CREATE TRIGGER blobstore_flip_time BEFORE UPDATE OF backend ON files FOR EACH ROW
            WHEN (NEW.backend <> OLD.backend AND NEW.backend <> 'postgres' AND OLD.backend <> 'postgres')
            EXECUTE FUNCTION blobstore_flip_time()""";

    private static final String CREATE_LATE_FUNCTION = """
            CREATE OR REPLACE FUNCTION blobstore_late_write_guard() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF OLD.backend = 'postgres' OR EXISTS (SELECT FROM blobstore_flips f
                        WHERE f.file_id = OLD.file_id AND f.flipped_at > now() - interval '10 seconds') THEN
                    RAISE EXCEPTION 'the blob was moved while it was written: write it again'
                        USING ERRCODE = 'serialization_failure';
                END IF;
                RETURN NEW;
            END $$""";

    private static final String CREATE_LATE_TRIGGER = """
            CREATE TRIGGER blobstore_late_write_guard BEFORE UPDATE OF external_id ON files FOR EACH ROW
            WHEN (NEW.backend = OLD.backend AND NEW.external_id IS NOT NULL
                AND NEW.external_id IS DISTINCT FROM OLD.external_id AND OLD.deleted_at IS NULL AND NEW.deleted_at IS NULL)
            EXECUTE FUNCTION blobstore_late_write_guard()""";

    private static final List<String> INSTALL_REST = List.of(
            "DROP TRIGGER IF EXISTS blobstore_flip_time ON files",
            "DROP TRIGGER IF EXISTS blobstore_late_write_guard ON files",
            CREATE_FLIPS,
            CREATE_FLIP_FUNCTION,
            CREATE_FLIP_TRIGGER,
            CREATE_LATE_FUNCTION,
            CREATE_LATE_TRIGGER);

    private static final List<String> REMOVE_REST = List.of(
            "DROP TRIGGER IF EXISTS blobstore_flip_time ON files",
            "DROP TRIGGER IF EXISTS blobstore_late_write_guard ON files",
            "DROP FUNCTION IF EXISTS blobstore_flip_time()",
            "DROP FUNCTION IF EXISTS blobstore_late_write_guard()",
            "DROP TABLE IF EXISTS blobstore_flips");

    private static final String CREATE_FUNCTION = """
            CREATE OR REPLACE FUNCTION blobstore_move_guard() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                NEW.backend := 'postgres';
                NEW.external_id := NULL;
                RETURN NEW;
            END $$""";

    private static final String CREATE_TRIGGER = """
            CREATE TRIGGER blobstore_move_guard BEFORE UPDATE OF sha512 ON files FOR EACH ROW
            WHEN (NEW.backend = OLD.backend AND OLD.backend <> 'postgres'
                AND NEW.external_id = OLD.external_id AND substring(OLD.external_id::text FROM 15 FOR 1) = '5'
                AND NEW.file_oid IS NOT NULL AND NEW.deleted_at IS NULL)
            EXECUTE FUNCTION blobstore_move_guard()""";

    private static final String DROP_TRIGGER = "DROP TRIGGER IF EXISTS blobstore_move_guard ON files";

    private static final String DROP_FUNCTION = "DROP FUNCTION IF EXISTS blobstore_move_guard()";

    private static final String MAY_CREATE = """
            SELECT pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(c.relnamespace, 'CREATE')
            FROM pg_class c WHERE c.oid = 'files'::regclass""";

    private final Database database;

    public MoveGuard(Database database) {
        this.database = database;
    }

    /** Whether this role could install it: it must own the table and may create a function beside it. */
    public boolean isPossible() {
        return database.with("look at the rights on files", connection -> isTrue(connection, MAY_CREATE));
    }

    /**
     * Installs it unless it is there.
     *
     * @return false if this role may not; every flip must then be settled by itself
     * @throws StorageFailure.Busy if writers held the table throughout a minute of short attempts
     */
    public boolean install() {
        if (isInstalled()) {
            return true;
        }
        if (!isPossible()) {
            return false;
        }
        change("set the move guard", connection -> {
            // Another worker may have been faster.
            if (!isTrue(connection, EXISTS)) {
                execute(connection, CREATE_FUNCTION);
                execute(connection, DROP_TRIGGER);
                execute(connection, CREATE_TRIGGER);
                for (String statement : INSTALL_REST) {
                    execute(connection, statement);
                }
            }
        });
        return true;
    }

    /** Removes it; nothing is left to guard once the large objects are gone. */
    public void remove() {
        if (isInstalled() && isPossible()) {
            change("remove the move guard", connection -> {
                execute(connection, DROP_TRIGGER);
                execute(connection, DROP_FUNCTION);
                for (String statement : REMOVE_REST) {
                    execute(connection, statement);
                }
            });
        }
    }

    public boolean isInstalled() {
        return database.with("look for the move guard", connection -> isTrue(connection, EXISTS));
    }

    /** Ends a flip between buckets that is not committed soon after its rows were changed. */
    static void limitFlip(Connection connection) throws SQLException {
        execute(connection, LIMIT_FLIP);
    }

    private interface Change {
        void by(Connection connection) throws SQLException;
    }

    private void change(String tried, Change change) {
        for (int attempt = 1; ; attempt++) {
            try {
                database.inTransaction(tried, connection -> {
                    execute(connection, LOCK_TIMEOUT);
                    execute(connection, ONE_AT_A_TIME);
                    change.by(connection);
                    return true;
                });
                return;
            } catch (StorageFailure.Busy e) {
                if (attempt == ATTEMPTS || !e.reason().equals(Reasons.LOCK_TIMEOUT)) {
                    throw e;
                }
                Pauses.sleep(PAUSE);
            }
        }
    }

    private static void execute(Connection connection, String statement) throws SQLException {
        try (Statement one = connection.createStatement()) {
            one.execute(statement);
        }
    }

    private static boolean isTrue(Connection connection, String query) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(query)) {
            return rows.next() && rows.getBoolean(1);
        }
    }
}
