package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;

/**
 * A trigger on {@code files} that keeps an old server's append safe while blobs move. Such an append writes the large object
 * first and the row's size and digest at the end; if the row was flipped in between, it would describe bytes that the object
 * lacks. The trigger then points the row back at its large object, which holds them, inside the append's own statement.
 *
 * <p>It concerns only rows that a move flipped (keys of version 5) and that were not cleaned yet. Thread-safe, idempotent.
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

    private static final String EXISTS =
            "SELECT 1 FROM pg_trigger WHERE tgrelid = 'files'::regclass AND tgname = 'blobstore_move_guard'";

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
                execute(connection, CREATE_TRIGGER);
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
            });
        }
    }

    public boolean isInstalled() {
        return database.with("look for the move guard", connection -> isTrue(connection, EXISTS));
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
