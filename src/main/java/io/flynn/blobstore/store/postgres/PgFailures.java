package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.SQLException;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Tells what an {@link SQLException} means, by SQLSTATE (PostgreSQL manual, appendix A).
 *
 * <p>The driver's message is repeated, since the server's messages name roles and tables, never values of ours.
 */
final class PgFailures {

    /** 40001 serialization, 40P01 deadlock: another transaction was given the way. */
    private static final Set<String> VICTIM = Set.of("40001", "40P01");

    /** 53300 too many connections, 57014 statement canceled. */
    private static final Set<String> BUSY = Set.of("53300", "57014");

    /** Lock not available. */
    private static final String LOCKED = "55P03";

    /** Read-only transaction, as all of a standby's are. */
    private static final String READ_ONLY = "25006";

    /** A transaction that was idle, or open, for longer than the server allows: its connection is closed. */
    private static final Set<String> RESTED = Set.of("25P03", "25P04");

    /** 53100 disk full, 53200 out of (shared) memory, as when too many locks are taken. */
    private static final Set<String> FULL = Set.of("53100", "53200");

    private PgFailures() {}

    /**
     * @param tried what was tried, on what, in words that complete "could not …"
     */
    static StorageFailure translate(String tried, SQLException e) {
        String state = stateOf(e);
        String message = "could not " + tried + ": " + oneLine(e.getMessage())
                + (state.isEmpty() ? "" : " (" + state + ")") + toCheck(state);
        Optional<String> busy = whyBusy(state);
        if (busy.isPresent()) {
            return new StorageFailure.Busy(busy.get(), message, e);
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

    /** Why it isn't done now and may be later. */
    private static Optional<String> whyBusy(String state) {
        if (BUSY.contains(state) || VICTIM.contains(state)) {
            return Optional.of(Reasons.DATABASE_BUSY);
        }
        if (RESTED.contains(state)) {
            return Optional.of(Reasons.DATABASE_UNREACHABLE);
        }
        return switch (state) {
            case LOCKED -> Optional.of(Reasons.LOCK_TIMEOUT);
            case READ_ONLY -> Optional.of(Reasons.DATABASE_READ_ONLY);
            default -> Optional.empty();
        };
    }

    /** Whether PostgreSQL has undone it for another transaction's sake: the same once more is as good as the first time. */
    static boolean isVictim(StorageFailure failure) {
        return failure.getCause() instanceof SQLException e && VICTIM.contains(stateOf(e));
    }

    /** Whether the session takes no changes, translated or not. */
    static boolean isReadOnly(Exception e) {
        return e instanceof StorageFailure failure
                ? failure.reason().equals(Reasons.DATABASE_READ_ONLY)
                : e instanceof SQLException thrown && READ_ONLY.equals(thrown.getSQLState());
    }

    private static String stateOf(SQLException e) {
        return e.getSQLState() == null ? "" : e.getSQLState();
    }

    /** What to look at, where it is the way to the database. */
    private static String toCheck(String state) {
        return switch (state) {
            case "08001" -> "; check PGHOST and PGPORT";
            case "28P01", "28000" -> "; check PGUSER and PGPASSWORD";
            case "3D000" -> "; check PGDATABASE";
            case "53300" -> "; raise max_connections, or let fewer connect";
            case READ_ONLY -> "; PGHOST must name the primary, and neither database nor role be set to read only";
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
