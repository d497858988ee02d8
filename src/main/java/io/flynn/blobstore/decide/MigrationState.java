package io.flynn.blobstore.decide;

import io.flynn.blobstore.decide.StageLedger.Entry;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * How a migration stands, in the words of its status.
 *
 * @param ledger its stages
 * @param standing where it stands as a whole
 * @param reason why
 * @param message what goes on, or what is to be done
 */
record MigrationState(StageLedger ledger, Standing standing, String reason, String message) {

    static final String COMPLETE = "Complete";
    static final String FAILED = "Failed";
    static final String CANCELED = "Canceled";
    static final String SUSPENDED = "Suspended";
    static final String RECONCILING = "Reconciling";
    static final String STALLED = "Stalled";

    /** Exactly one holds at any time; so Reconciling and Stalled, which tools read, are never both true. */
    enum Standing {
        /** A stage runs, or will without anybody's help. */
        RECONCILING,
        /** At rest on request, for good or for a time. */
        SUSPENDED,
        /** Nothing is left to do. */
        COMPLETE,
        /** Ended on request. */
        CANCELED,
        /** A person must change something outside; then it goes on by itself. */
        STALLED,
        /** A person must look, and then say so. */
        FAILED;

        /** The conditions that are true then. */
        Set<String> conditions() {
            return switch (this) {
                case RECONCILING -> Set.of(MigrationState.RECONCILING);
                case SUSPENDED -> Set.of(MigrationState.SUSPENDED);
                case COMPLETE -> Set.of(MigrationState.COMPLETE);
                case CANCELED -> Set.of(MigrationState.CANCELED);
                case STALLED -> Set.of(MigrationState.STALLED);
                case FAILED -> Set.of(MigrationState.STALLED, MigrationState.FAILED);
            };
        }

        /** Whether nothing more will happen by itself. */
        boolean isFinal() {
            return switch (this) {
                case COMPLETE, CANCELED, FAILED -> true;
                case RECONCILING, SUSPENDED, STALLED -> false;
            };
        }
    }

    /** The condition that says that {@code stage} is done. */
    static String condition(Stage stage) {
        return switch (stage) {
            case PLAN -> "Planned";
            case COPY -> "Copied";
            case VERIFY -> "Verified";
            case CLEAN -> "SourceCleaned";
            case VACUUM -> "SpaceReclaimed";
            case PROBE -> throw new IllegalArgumentException("a migration has no probe stage");
        };
    }

    /** One word for people. */
    String phase() {
        return switch (standing) {
            case RECONCILING ->
                ledger.running().map(entry -> doing(entry.stage())).orElse("Waiting");
            case SUSPENDED -> reason.equals(Reasons.IN_RETENTION) ? Reasons.IN_RETENTION : SUSPENDED;
            case COMPLETE -> COMPLETE;
            case CANCELED -> CANCELED;
            case STALLED -> STALLED;
            case FAILED -> FAILED;
        };
    }

    private static String doing(Stage stage) {
        return switch (stage) {
            case PLAN -> "Planning";
            case COPY -> "Copying";
            case VERIFY -> "Verifying";
            case CLEAN -> "Cleaning";
            case VACUUM -> "Vacuuming";
            case PROBE -> throw new IllegalArgumentException("a migration has no probe stage");
        };
    }

    /**
     * All conditions.
     *
     * @param settled the attempt that was just seen to be over, if one was: its words are the newest about its stage
     * @param before those of the last status: what is known of an older stage is kept there
     */
    List<Condition> conditions(Optional<MigrationDecision.Settled> settled, Map<String, Condition> before) {
        List<Condition> conditions = new ArrayList<>();
        for (Entry entry : ledger.entries()) {
            conditions.add(of(entry, settled.filter(end -> end.stage() == entry.stage()), before));
        }
        for (String type : List.of(COMPLETE, FAILED, CANCELED, SUSPENDED, RECONCILING, STALLED)) {
            conditions.add(
                    standing.conditions().contains(type)
                            ? Condition.isTrue(type, reason, message)
                            : Condition.isFalse(type, reason, ""));
        }
        return conditions;
    }

    private Condition of(Entry entry, Optional<MigrationDecision.Settled> settled, Map<String, Condition> before) {
        String type = condition(entry.stage());
        Optional<Condition> last = Optional.ofNullable(before.get(type));
        boolean current = ledger.current().filter(entry::equals).isPresent();
        return switch (entry.state()) {
            case SKIPPED -> Condition.isFalse(type, Reasons.NOT_REQUESTED, "the spec does not ask for it");
            case DONE ->
                settled.map(end -> Condition.isTrue(type, end.reason(), end.message()))
                        .or(() -> last.filter(Condition::isTrue))
                        .orElseGet(() -> Condition.isTrue(type, Reasons.DONE, ""));
            case FAILED ->
                settled.map(end -> Condition.isFalse(type, end.reason(), end.message()))
                        .or(() -> last.filter(condition -> !condition.isTrue()))
                        .orElseGet(() -> Condition.isFalse(type, Reasons.STAGE_FAILED, ""));
            case RUNNING -> Condition.isFalse(type, reason, message);
            case PENDING ->
                current
                        ? Condition.isFalse(type, reason, message)
                        : entry.attempts() == 0
                                ? Condition.isFalse(type, Reasons.PENDING, "its turn has not come")
                                : Condition.isFalse(type, Reasons.BLOBS_REMAIN, "blobs were found at the source");
        };
    }
}
