package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.SQLException;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Tells what an {@link SQLException} means, by SQLSTATE (PostgreSQL manual, appendix A).
 *
 * <p>The driver's message is repeated, since the server's messages name roles and tables, never values of ours.
 */
final class PgFailures {

    /**
     * 53300 too many connections, 55P03 lock not available, 40001 serialization, 40P01 deadlock, 25006 read-only, 57014
     * statement canceled, 25P03 and 25P04 a transaction that was idle, or open, for longer than the server allows.
     */
    private static final Set<String> BUSY =
            Set.of("53300", "55P03", "40001", "40P01", "25006", "57014", "25P03", "25P04");

    /** 53100 disk full, 53200 out of (shared) memory, as when too many locks are taken. */
    private static final Set<String> FULL = Set.of("53100", "53200");

    private PgFailures() {}

    /**
     * @param tried what was tried, on what, in words that complete "could not …"
     */
    static StorageFailure translate(String tried, SQLException e) {
        String state = e.getSQLState() == null ? "" : e.getSQLState();
        String message = "could not " + tried + ": " + oneLine(e.getMessage())
                + (state.isEmpty() ? "" : " (" + state + ")") + toCheck(state);
        if (BUSY.contains(state)) {
            return new StorageFailure.Busy(
                    state.equals("55P03") ? Reasons.LOCK_TIMEOUT : Reasons.DATABASE_UNREACHABLE, message, e);
        }
        if (FULL.contains(state)) {
            return new StorageFailure.Full(Reasons.DATABASE_FULL, message, e);
        }
        if (state.equals("42P01") || state.equals("42703")) {
            return new StorageFailure.Missing(Reasons.SCHEMA_UNKNOWN, message, e);
        }
        if (state.equals("42704") || state.equals("55000")) {
            return new StorageFailure.Missing(Reasons.SOURCE_MISSING, message, e);
        }
        if (state.startsWith("28") || state.equals("42501") || state.equals("3D000")) {
            return new StorageFailure.Denied(Reasons.DATABASE_DENIED, message, e);
        }
        // 08 connection, 57P0x shutdown and crash, and what the driver reports without a state: broken off, timed out.
        if (state.startsWith("08") || state.startsWith("57P") || state.isEmpty()) {
            return new StorageFailure.Unreachable(Reasons.DATABASE_UNREACHABLE, message, e);
        }
        return new StorageFailure.Denied(Reasons.DATABASE_DENIED, message, e);
    }

    /** Where what is wrong was said, if it is the way to the database. */
    private static String toCheck(String state) {
        return switch (state) {
            case "08001" -> "; check PGHOST and PGPORT";
            case "28P01", "28000" -> "; check PGUSER and PGPASSWORD";
            case "3D000" -> "; check PGDATABASE";
            default -> "";
        };
    }

    /** As {@link #translate}, but a commit whose answer was lost may have happened. */
    static StorageFailure translateCommit(String tried, SQLException e) {
        StorageFailure failure = translate(tried, e);
        return failure instanceof StorageFailure.Unreachable
                ? new StorageFailure.OutcomeUnknown(
                        failure.reason(), "could not learn whether the database did " + tried, e)
                : failure;
    }

    private static String oneLine(@Nullable String text) {
        return text == null
                ? "no message"
                : text.replaceAll("\\s*\\R\\s*", "; ").strip();
    }
}
