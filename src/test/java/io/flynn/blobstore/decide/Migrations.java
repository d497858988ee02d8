package io.flynn.blobstore.decide;

import static java.util.stream.Collectors.toMap;

import io.flynn.blobstore.decide.MigrationFacts.Attempt;
import io.flynn.blobstore.decide.MigrationFacts.Place;
import io.flynn.blobstore.decide.MigrationFacts.Spec;
import io.flynn.blobstore.decide.MigrationFacts.Workload;
import io.flynn.blobstore.decide.StageLedger.Entry;
import io.flynn.blobstore.decide.StageLedger.State;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Facts about migrations, from the plainest on. */
final class Migrations {

    static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");

    static final Spec RUN = new Spec(false, false, false, true, true, false);
    static final Spec PLAN_ONLY = new Spec(true, false, false, true, true, false);
    static final Spec SUSPEND = new Spec(false, true, false, true, true, false);
    static final Spec CANCEL = new Spec(false, false, true, true, true, false);
    static final Spec RETAIN = new Spec(false, false, false, false, true, false);
    static final Spec NO_VACUUM = new Spec(false, false, false, true, false, false);
    static final Spec FULL_VACUUM = new Spec(false, false, false, true, true, true);

    static final Place.Backend TARGET = target(true, true, true);

    private Migrations() {}

    static Place.Backend target(boolean ready, boolean configured, boolean isDefault) {
        return new Place.Backend(
                "s3main",
                "blobstore",
                false,
                ready,
                configured,
                isDefault,
                ready ? "Ready" : "AccessDenied: s3:PutObject was denied");
    }

    /** A migration whose stages before {@code stage} are done. */
    static Given at(Stage stage) {
        return new Given(
                ledger(stage, State.PENDING, 0),
                RUN,
                false,
                Optional.empty(),
                false,
                Optional.empty(),
                new Place.Database(Optional.of("s3main")),
                TARGET,
                false,
                new Workload.Usable("blobstore"),
                Optional.empty(),
                Map.of(),
                NOW);
    }

    /** A migration whose {@code stage} was started. */
    static Given running(Stage stage) {
        return at(stage).ledger(ledger(stage, State.RUNNING, 1));
    }

    static StageLedger ledger(Stage stage, State state, int attempts) {
        int turn = StageLedger.STAGES.indexOf(stage);
        return new StageLedger(StageLedger.STAGES.stream()
                .map(each -> {
                    int place = StageLedger.STAGES.indexOf(each);
                    if (place < turn) {
                        return new Entry(each, State.DONE, 1, ago(60), ago(30));
                    }
                    return place > turn || attempts == 0
                            ? new Entry(each, State.PENDING, 0, Optional.empty(), Optional.empty())
                            : new Entry(each, state, attempts, ago(20), Optional.empty());
                })
                .toList());
    }

    static Optional<Instant> ago(int seconds) {
        return Optional.of(NOW.minusSeconds(seconds));
    }

    static StageReport report(Stage stage, ExitCode outcome, String reason) {
        return new StageReport(stage, outcome, reason, "what the worker says", "", Map.of(), List.of());
    }

    record Given(
            StageLedger ledger,
            Spec spec,
            boolean specChanged,
            Optional<StageRun> run,
            boolean podsAlive,
            Optional<Attempt> stray,
            Place source,
            Place target,
            boolean limitsDiffer,
            Workload workload,
            Optional<String> rival,
            Map<String, Condition> before,
            Instant now) {

        Given ledger(StageLedger next) {
            return new Given(
                    next,
                    spec,
                    specChanged,
                    run,
                    podsAlive,
                    stray,
                    source,
                    target,
                    limitsDiffer,
                    workload,
                    rival,
                    before,
                    now);
        }

        Given spec(Spec next) {
            return new Given(
                    ledger,
                    next,
                    specChanged,
                    run,
                    podsAlive,
                    stray,
                    source,
                    target,
                    limitsDiffer,
                    workload,
                    rival,
                    before,
                    now);
        }

        Given changed() {
            return new Given(
                    ledger,
                    spec,
                    true,
                    run,
                    podsAlive,
                    stray,
                    source,
                    target,
                    limitsDiffer,
                    workload,
                    rival,
                    before,
                    now);
        }

        Given run(StageRun next) {
            return new Given(
                    ledger,
                    spec,
                    specChanged,
                    Optional.of(next),
                    podsAlive,
                    stray,
                    source,
                    target,
                    limitsDiffer,
                    workload,
                    rival,
                    before,
                    now);
        }

        Given works() {
            return run(new StageRun.Running(Reasons.RUNNING, "the stage is running"));
        }

        Given ends(ExitCode outcome, String reason) {
            return run(new StageRun.Ended(report(ledger.running().orElseThrow().stage(), outcome, reason)));
        }

        Given podsAlive(boolean next) {
            return new Given(
                    ledger,
                    spec,
                    specChanged,
                    run,
                    next,
                    stray,
                    source,
                    target,
                    limitsDiffer,
                    workload,
                    rival,
                    before,
                    now);
        }

        Given stray(Stage stage, int attempt) {
            return new Given(
                    ledger,
                    spec,
                    specChanged,
                    run,
                    podsAlive,
                    Optional.of(new Attempt(stage, attempt)),
                    source,
                    target,
                    limitsDiffer,
                    workload,
                    rival,
                    before,
                    now);
        }

        Given source(Place next) {
            return new Given(
                    ledger,
                    spec,
                    specChanged,
                    run,
                    podsAlive,
                    stray,
                    next,
                    target,
                    limitsDiffer,
                    workload,
                    rival,
                    before,
                    now);
        }

        Given limitsChanged() {
            return new Given(
                    ledger,
                    spec,
                    specChanged,
                    run,
                    podsAlive,
                    stray,
                    source,
                    target,
                    true,
                    workload,
                    rival,
                    before,
                    now);
        }

        Given target(Place next) {
            return new Given(
                    ledger,
                    spec,
                    specChanged,
                    run,
                    podsAlive,
                    stray,
                    source,
                    next,
                    limitsDiffer,
                    workload,
                    rival,
                    before,
                    now);
        }

        Given workload(Workload next) {
            return new Given(
                    ledger,
                    spec,
                    specChanged,
                    run,
                    podsAlive,
                    stray,
                    source,
                    target,
                    limitsDiffer,
                    next,
                    rival,
                    before,
                    now);
        }

        Given rival(String next) {
            return new Given(
                    ledger,
                    spec,
                    specChanged,
                    run,
                    podsAlive,
                    stray,
                    source,
                    target,
                    limitsDiffer,
                    workload,
                    Optional.of(next),
                    before,
                    now);
        }

        Given after(Duration time) {
            return new Given(
                    ledger,
                    spec,
                    specChanged,
                    run,
                    podsAlive,
                    stray,
                    source,
                    target,
                    limitsDiffer,
                    workload,
                    rival,
                    before,
                    now.plus(time));
        }

        /** What is given when {@code decision} was carried out: its ledger and conditions are remembered, and no Job is there. */
        Given then(MigrationDecision decision) {
            return new Given(
                    decision.ledger(),
                    spec,
                    false,
                    Optional.empty(),
                    false,
                    Optional.empty(),
                    source,
                    target,
                    limitsDiffer,
                    workload,
                    rival,
                    decision.conditions().stream().collect(toMap(Condition::type, condition -> condition)),
                    now);
        }

        MigrationFacts facts() {
            return new MigrationFacts(
                    spec,
                    specChanged,
                    ledger,
                    run,
                    podsAlive,
                    stray,
                    source,
                    target,
                    limitsDiffer,
                    workload,
                    rival,
                    before,
                    now);
        }

        MigrationDecision decide() {
            return MigrationDecision.decide(facts());
        }
    }
}
