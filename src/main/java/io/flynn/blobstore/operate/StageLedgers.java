package io.flynn.blobstore.operate;

import io.flynn.blobstore.api.v1alpha1.BlobMigration;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus.StageProgress;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus.StageState;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageLedger;
import io.flynn.blobstore.decide.StageLedger.Entry;
import io.flynn.blobstore.decide.StageLedger.State;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The ledger of stages as a status holds it. Whoever may write statuses may write nonsense: that counts as not written. */
final class StageLedgers {

    private StageLedgers() {}

    static StageLedger of(BlobMigration migration) {
        List<StageState> written = Optional.ofNullable(migration.getStatus())
                .map(BlobMigrationStatus::stages)
                .orElse(List.of());
        return new StageLedger(StageLedger.STAGES.stream()
                .map(stage -> written.stream()
                        .filter(state -> stage.word().equals(state.name()))
                        .findFirst()
                        .map(state -> entry(stage, state))
                        .orElseGet(() -> StageLedger.EMPTY.of(stage)))
                .toList());
    }

    static List<StageState> toStatus(StageLedger ledger, String uid) {
        return ledger.entries().stream()
                .map(entry -> new StageState(
                        entry.stage().word(),
                        progress(entry.state()),
                        entry.started().map(StageLedgers::seconds).orElse(null),
                        entry.ended().map(StageLedgers::seconds).orElse(null),
                        entry.attempts() == 0 ? null : StageJob.name(uid, entry.stage(), entry.attempts()),
                        entry.attempts()))
                .toList();
    }

    static String seconds(Instant instant) {
        return instant.truncatedTo(ChronoUnit.SECONDS).toString();
    }

    static Optional<Instant> instant(@Nullable String text) {
        try {
            return Optional.ofNullable(text).map(Instant::parse);
        } catch (DateTimeParseException garbled) {
            return Optional.empty();
        }
    }

    private static Entry entry(Stage stage, StageState written) {
        int attempts = Optional.ofNullable(written.attempts())
                .filter(count -> count > 0)
                .orElse(0);
        State state = Optional.ofNullable(written.state())
                .map(StageLedgers::state)
                // A running stage has a Job, and a Job has a number.
                .filter(known -> known != State.RUNNING || attempts > 0)
                // From the end of a stage it is counted how long the source is kept.
                .filter(known ->
                        known != State.DONE || instant(written.completionTime()).isPresent())
                .orElse(State.PENDING);
        return new Entry(stage, state, attempts, instant(written.startTime()), instant(written.completionTime()));
    }

    private static State state(StageProgress written) {
        return switch (written) {
            case PENDING -> State.PENDING;
            case RUNNING -> State.RUNNING;
            case DONE -> State.DONE;
            case FAILED -> State.FAILED;
            case SKIPPED -> State.SKIPPED;
        };
    }

    private static StageProgress progress(State state) {
        return switch (state) {
            case PENDING -> StageProgress.PENDING;
            case RUNNING -> StageProgress.RUNNING;
            case DONE -> StageProgress.DONE;
            case FAILED -> StageProgress.FAILED;
            case SKIPPED -> StageProgress.SKIPPED;
        };
    }
}
