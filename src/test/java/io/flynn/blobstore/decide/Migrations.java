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
import java.util.function.Consumer;

/** Facts about migrations, from the plainest on. */
final class Migrations {

    static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");

    static final Spec RUN = new Spec(false, false, false, true, true, false, Duration.ZERO);
    static final Spec PLAN_ONLY = new Spec(true, false, false, true, true, false, Duration.ZERO);
    static final Spec SUSPEND = new Spec(false, true, false, true, true, false, Duration.ZERO);
    static final Spec CANCEL = new Spec(false, false, true, true, true, false, Duration.ZERO);
    static final Spec RETAIN = new Spec(false, false, false, false, true, false, Duration.ZERO);
    static final Spec NO_VACUUM = new Spec(false, false, false, true, false, false, Duration.ZERO);
    static final Spec FULL_VACUUM = new Spec(false, false, false, true, true, true, Duration.ZERO);

    static final Spec KEEP_AN_HOUR = new Spec(false, false, false, true, true, false, Duration.ofHours(1));

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
        return new Given(ledger(stage, State.PENDING, 0));
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

    /** What is known of a migration; every method returns another one, which differs in what it names. */
    static final class Given {
        private StageLedger ledger;
        private Spec spec = RUN;
        private boolean specChanged;
        private Optional<StageRun> run = Optional.empty();
        private boolean podsAlive;
        private Optional<Attempt> stray = Optional.empty();
        private Place source = new Place.Database(Optional.of("s3main"));
        private Place target = TARGET;
        private boolean limitsDiffer;
        private Workload workload = new Workload.Usable("blobstore");
        private Optional<String> rival = Optional.empty();
        private Optional<String> back = Optional.empty();
        private Map<String, Condition> before = Map.of();
        private Instant now = NOW;

        private Given(StageLedger ledger) {
            this.ledger = ledger;
        }

        private Given but(Consumer<Given> change) {
            Given other = new Given(ledger);
            other.spec = spec;
            other.specChanged = specChanged;
            other.run = run;
            other.podsAlive = podsAlive;
            other.stray = stray;
            other.source = source;
            other.target = target;
            other.limitsDiffer = limitsDiffer;
            other.workload = workload;
            other.rival = rival;
            other.back = back;
            other.before = before;
            other.now = now;
            change.accept(other);
            return other;
        }

        StageLedger ledger() {
            return ledger;
        }

        Optional<StageRun> run() {
            return run;
        }

        boolean podsAlive() {
            return podsAlive;
        }

        Given ledger(StageLedger next) {
            return but(other -> other.ledger = next);
        }

        Given spec(Spec next) {
            return but(other -> other.spec = next);
        }

        Given changed() {
            return but(other -> other.specChanged = true);
        }

        Given run(StageRun next) {
            return but(other -> other.run = Optional.of(next));
        }

        Given works() {
            return run(new StageRun.Running(Reasons.RUNNING, "the stage is running"));
        }

        Given ends(ExitCode outcome, String reason) {
            return run(new StageRun.Ended(report(ledger.running().orElseThrow().stage(), outcome, reason)));
        }

        Given podsAlive(boolean next) {
            return but(other -> other.podsAlive = next);
        }

        Given stray(Stage stage, int attempt) {
            return but(other -> other.stray = Optional.of(new Attempt(stage, attempt)));
        }

        Given source(Place next) {
            return but(other -> other.source = next);
        }

        Given limitsChanged() {
            return but(other -> other.limitsDiffer = true);
        }

        Given target(Place next) {
            return but(other -> other.target = next);
        }

        Given workload(Workload next) {
            return but(other -> other.workload = next);
        }

        Given rival(String next) {
            return but(other -> other.rival = Optional.of(next));
        }

        Given broughtBackBy(String next) {
            return but(other -> other.back = Optional.of(next));
        }

        Given after(Duration time) {
            return but(other -> other.now = now.plus(time));
        }

        /** What is given when {@code decision} was carried out: its ledger and conditions are remembered, and no Job is there. */
        Given then(MigrationDecision decision) {
            return but(other -> {
                other.ledger = decision.ledger();
                other.specChanged = false;
                other.run = Optional.empty();
                other.podsAlive = false;
                other.stray = Optional.empty();
                other.before = decision.conditions().stream().collect(toMap(Condition::type, condition -> condition));
            });
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
                    back,
                    before,
                    now);
        }

        MigrationDecision decide() {
            return MigrationDecision.decide(facts());
        }
    }
}
