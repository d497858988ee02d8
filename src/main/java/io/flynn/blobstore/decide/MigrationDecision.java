package io.flynn.blobstore.decide;

import io.flynn.blobstore.decide.MigrationFacts.Attempt;
import io.flynn.blobstore.decide.MigrationFacts.Place;
import io.flynn.blobstore.decide.MigrationFacts.Workload;
import io.flynn.blobstore.decide.MigrationState.Standing;
import io.flynn.blobstore.decide.StageLedger.Entry;
import io.flynn.blobstore.decide.StageLedger.State;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What to do next with a migration. Pure. The ledger is to be written before the action is carried out: an operator that dies
 * between the two finds a running stage without its Job, and makes it.
 *
 * @param action at most one
 * @param ledger to remember
 * @param conditions all of them, in order
 * @param phase one word for people
 * @param message one line for people
 * @param rollbackUntil until when what the blobs left at the source is kept, if it is kept for a time
 * @param over whether nothing more will be done by itself
 * @param nextLook after how long to look again without being told; empty when only a change can matter
 */
public record MigrationDecision(
        Action action,
        StageLedger ledger,
        List<Condition> conditions,
        String phase,
        String message,
        Optional<Instant> rollbackUntil,
        boolean over,
        Optional<Duration> nextLook) {

    /** What to do to the world. */
    public sealed interface Action {

        record Nothing() implements Action {}

        /** Make the Job of this attempt, unless it exists. */
        record Start(Stage stage, int attempt) implements Action {}

        /** Tell the pods of this attempt, which runs, the limits that the spec has now, and have as many of them as it says. */
        record Limit(Stage stage, int attempt) implements Action {}

        /** Delete the Job of this attempt and with it its pod, which finishes what it has in flight. */
        record Stop(Stage stage, int attempt) implements Action {}
    }

    /** How often a worker's progress is read. */
    public static final Duration WATCH = Duration.ofSeconds(10);

    /** A pod drains in seconds. */
    private static final Duration STOPPING = Duration.ofSeconds(2);

    /** For what somebody else does, where an event may be missed or there is none. */
    private static final Duration WAIT = Duration.ofSeconds(5);

    /** That somebody brings the blobs back is told of, but may be missed. */
    private static final Duration RETENTION = Duration.ofMinutes(1);

    /** After this many vacuums that could not be done, the space stays for another day: the blobs are moved. */
    private static final int VACUUMS_MAX = 5;

    private static final Action NOTHING = new Action.Nothing();

    public static MigrationDecision decide(MigrationFacts facts) {
        StageLedger known = facts.ledger();
        Optional<Settled> settled =
                known.running().flatMap(entry -> facts.run().flatMap(run -> settled(known, entry, run, facts)));
        StageLedger ledger = settled.map(Settled::ledger).orElse(known);
        if (facts.specChanged() && settled.isEmpty() && !facts.spec().suspend()) {
            ledger = ledger.retriedOnRequest();
        }
        return new Chain(facts, ledger.skipping(facts.spec().unwanted()), settled).decide();
    }

    /** The same, after the API server refused the Job that was to be started; it is asked for again, later. */
    public MigrationDecision refused(String why) {
        MigrationState state = new MigrationState(ledger, Standing.RECONCILING, Reasons.JOB_REFUSED, why);
        Map<String, Condition> before =
                conditions.stream().collect(Collectors.toMap(Condition::type, condition -> condition));
        return new MigrationDecision(
                action,
                ledger,
                state.conditions(Optional.empty(), before),
                state.phase(),
                why,
                rollbackUntil,
                over,
                nextLook);
    }

    /** How the running stage's attempt ended, and what that makes of the ledger. */
    record Settled(Stage stage, StageLedger ledger, String reason, String message) {}

    private static Optional<Settled> settled(StageLedger ledger, Entry entry, StageRun run, MigrationFacts facts) {
        return switch (run) {
            case StageRun.Running running -> Optional.empty();
            case StageRun.Lost lost -> Optional.of(lost(ledger, entry, lost, facts));
            case StageRun.Ended ended -> Optional.of(ended(ledger, entry, ended.report(), facts.now()));
        };
    }

    private static Settled lost(StageLedger ledger, Entry entry, StageRun.Lost lost, MigrationFacts facts) {
        StageLedger next = isOnce(entry, facts)
                ? ledger.failed(entry.stage(), facts.now())
                : ledger.retried(entry.stage(), facts.now());
        return new Settled(entry.stage(), next, Reasons.REPORT_LOST, lost.message());
    }

    /** A full vacuum holds everybody up: never a second one without being asked. */
    private static boolean isOnce(Entry entry, MigrationFacts facts) {
        return entry.stage() == Stage.VACUUM && facts.spec().fullVacuum();
    }

    private static Settled ended(StageLedger ledger, Entry entry, StageReport report, Instant now) {
        Stage stage = entry.stage();
        StageLedger next = switch (report.outcome()) {
            case DONE ->
                report.reason().equals(Reasons.BLOBS_REMAIN) ? ledger.copiedAgain(now) : ledger.done(stage, now);
            case RETRY ->
                stage == Stage.VACUUM && entry.attempts() >= VACUUMS_MAX
                        ? ledger.failed(stage, now)
                        : ledger.retried(stage, now);
            case FAILED, USAGE -> ledger.failed(stage, now);
        };
        return new Settled(stage, next, report.reason(), report.message());
    }

    /** The questions, in their order; the first that applies decides. */
    private record Chain(MigrationFacts facts, StageLedger ledger, Optional<Settled> settled) {

        MigrationDecision decide() {
            if (facts.stray().isPresent()) {
                return stopped(facts.stray().get());
            }
            if (ledger.current().isEmpty() && knownMovedBack().isEmpty()) {
                return complete();
            }
            if (facts.spec().cancel()) {
                return halted(
                        Standing.CANCELED,
                        Reasons.CANCELED,
                        "canceled; blobs that were moved stay moved",
                        "the running stage is being stopped, as asked by spec.cancel");
            }
            Optional<String> movedBack = movedBack();
            if (movedBack.isPresent()) {
                return halted(
                        Standing.CANCELED,
                        Reasons.MOVED_BACK,
                        movedBack.get(),
                        "the running stage is being stopped, as the blobs are being brought back");
            }
            if (facts.spec().suspend()) {
                return halted(
                        Standing.SUSPENDED,
                        Reasons.SUSPENDED,
                        "suspended; set spec.suspend to false to go on",
                        "the running stage is being stopped, as asked by spec.suspend");
            }
            Optional<Entry> unwanted =
                    ledger.running().filter(entry -> facts.spec().unwanted().contains(entry.stage()));
            if (unwanted.isPresent()) {
                return leftOut(unwanted.get());
            }
            Optional<Instant> kept = ledger.keptUntil(facts.spec().retention()).filter(facts.now()::isBefore);
            if (kept.isPresent()) {
                return inRetention(kept.get());
            }
            Optional<Entry> failed = ledger.failed();
            if (failed.isPresent()) {
                return stalled(failed.get());
            }
            return obstacle().map(this::held).orElseGet(this::onward);
        }

        private MigrationDecision stopped(Attempt stray) {
            return at(
                    new Action.Stop(stray.stage(), stray.number()),
                    Standing.RECONCILING,
                    Reasons.STOPPING,
                    "a Job of the %s stage that came too late is being stopped"
                            .formatted(stray.stage().word()),
                    STOPPING);
        }

        private MigrationDecision complete() {
            return facts.spec().planOnly()
                    ? at(NOTHING, Standing.COMPLETE, Reasons.PLAN_READY, "the plan is ready; nothing was changed", null)
                    : at(NOTHING, Standing.COMPLETE, Reasons.DONE, "all blobs are at the target, and proven", null);
        }

        /** What they left is in use again, or will be; and to copy them once more is nothing that anybody has asked for. */
        private Optional<String> movedBack() {
            return knownMovedBack()
                    .or(() -> facts.back()
                            .filter(name -> ledger.current().orElseThrow().stage() == Stage.CLEAN)
                            .map(
                                    "BlobMigration %s brings the blobs back, so what they left is not removed; to move them again, make another BlobMigration"
                                            ::formatted));
        }

        private Optional<String> knownMovedBack() {
            return Optional.ofNullable(facts.before().get(MigrationState.CANCELED))
                    .filter(condition ->
                            condition.isTrue() && condition.reason().equals(Reasons.MOVED_BACK))
                    .map(Condition::message);
        }

        private MigrationDecision inRetention(Instant until) {
            Duration rest = Duration.between(facts.now(), until);
            return at(
                    NOTHING,
                    Standing.SUSPENDED,
                    Reasons.IN_RETENTION,
                    "all blobs are at the target, and proven; what they left is kept until %s, so that a BlobMigration back brings unchanged ones back by their rows alone"
                            .formatted(until.truncatedTo(ChronoUnit.SECONDS)),
                    rest.compareTo(RETENTION) < 0 ? rest : RETENTION);
        }

        private MigrationDecision halted(Standing standing, String reason, String message, String meanwhile) {
            return stopping(Standing.RECONCILING, Reasons.STOPPING, meanwhile).orElseGet(() -> {
                StageLedger rested = ledger.running()
                        .map(entry -> ledger.stopped(entry.stage()))
                        .orElse(ledger);
                return at(NOTHING, rested, standing, reason, message, null);
            });
        }

        private MigrationDecision leftOut(Entry entry) {
            String message = "the %s stage is being stopped, as the spec no longer asks for it"
                    .formatted(entry.stage().word());
            return stopping(Standing.RECONCILING, Reasons.STOPPING, message).orElseGet(() -> {
                StageLedger rest =
                        ledger.stopped(entry.stage()).skipping(facts.spec().unwanted());
                return new Chain(facts, rest, settled).decide();
            });
        }

        /** The running stage's Job goes first, and its pod: until both are gone, nothing is said to be at rest. */
        private Optional<MigrationDecision> stopping(Standing standing, String reason, String message) {
            Optional<Entry> running = ledger.running();
            if (running.isPresent() && facts.run().isPresent()) {
                Entry entry = running.get();
                return Optional.of(
                        at(new Action.Stop(entry.stage(), entry.attempts()), standing, reason, message, STOPPING));
            }
            return facts.podsAlive() ? Optional.of(at(NOTHING, standing, reason, message, STOPPING)) : Optional.empty();
        }

        private MigrationDecision stalled(Entry failed) {
            Optional<Condition> before = Optional.ofNullable(facts.before().get(MigrationState.STALLED))
                    .filter(Condition::isTrue);
            String reason = settled.map(Settled::reason)
                    .or(() -> before.map(Condition::reason))
                    .orElse(Reasons.STAGE_FAILED);
            String message = settled.map(
                            end -> "%s: %s; then set spec.suspend to true and back to false, and the stage runs again"
                                    .formatted(failed.stage().word(), end.message()))
                    .or(() -> before.map(Condition::message))
                    .orElseGet(() -> "the %s stage failed; set spec.suspend to true and back to false to run it again"
                            .formatted(failed.stage().word()));
            return at(NOTHING, Standing.FAILED, reason, message, null);
        }

        /** What keeps the current stage from running. */
        private record Obstacle(String reason, String message, boolean needsPerson, boolean stops) {}

        private Optional<Obstacle> obstacle() {
            Stage stage = ledger.current().orElseThrow().stage();
            boolean runs = ledger.running().isPresent() && facts.run().isPresent();
            Optional<Obstacle> own = (stage == Stage.VACUUM ? Optional.<Obstacle>empty() : ends())
                    .or(() -> runs ? Optional.empty() : workload())
                    .filter(obstacle -> !runs || obstacle.stops());
            // Who needs a person says so, and nobody waits for it meanwhile.
            return own.filter(Obstacle::needsPerson).or(this::rival).or(() -> own);
        }

        private Optional<Obstacle> rival() {
            return facts.rival()
                    .map(name -> new Obstacle(
                            Reasons.ANOTHER_MIGRATION,
                            "BlobMigration %s of the same workload goes first".formatted(name),
                            false,
                            true));
        }

        private Optional<Obstacle> ends() {
            return target().or(this::source);
        }

        private Optional<Obstacle> source() {
            return switch (facts.source()) {
                case Place.Missing missing -> Optional.of(notFound("spec.from", missing));
                case Place.Database database -> Optional.empty();
                case Place.Backend backend -> source(backend);
            };
        }

        /** The workers are made from the workload's pods: what these can't read, they can't. */
        private Optional<Obstacle> source(Place.Backend source) {
            String name = source.name();
            if (!source.workload().equals(facts.workload().name())) {
                return Optional.of(new Obstacle(
                        Reasons.SOURCE_OF_ANOTHER_WORKLOAD,
                        "BlobstoreBackend %s belongs to Deployment %s, not to %s: make another BlobMigration, with the right spec.from or spec.workload.name"
                                .formatted(
                                        name,
                                        source.workload(),
                                        facts.workload().name()),
                        true,
                        true));
            }
            return source.configured()
                    ? Optional.empty()
                    : Optional.of(new Obstacle(
                            Reasons.SOURCE_NOT_READY,
                            "BlobstoreBackend %s is not in every pod of Deployment %s: %s"
                                    .formatted(name, source.workload(), source.state()),
                            false,
                            true));
        }

        private static Obstacle notFound(String field, Place.Missing missing) {
            return new Obstacle(
                    Reasons.BACKEND_NOT_FOUND,
                    "%s names BlobstoreBackend %s, which is not in this namespace: create it"
                            .formatted(field, missing.name()),
                    false,
                    true);
        }

        private Optional<Obstacle> target() {
            return switch (facts.target()) {
                case Place.Missing missing -> Optional.of(notFound("spec.to", missing));
                case Place.Database database ->
                    database.defaultElsewhere()
                            .map(name -> new Obstacle(
                                    Reasons.TARGET_NOT_DEFAULT,
                                    "new blobs go to BlobstoreBackend %s, so copying to the database would never end: set its spec.default to false"
                                            .formatted(name),
                                    false,
                                    true));
                case Place.Backend backend -> target(backend);
            };
        }

        private Optional<Obstacle> target(Place.Backend target) {
            String name = target.name();
            if (!target.workload().equals(facts.workload().name())) {
                return Optional.of(new Obstacle(
                        Reasons.TARGET_OF_ANOTHER_WORKLOAD,
                        "BlobstoreBackend %s belongs to Deployment %s, not to %s: make another BlobMigration, with the right spec.to or spec.workload.name"
                                .formatted(
                                        name,
                                        target.workload(),
                                        facts.workload().name()),
                        true,
                        true));
            }
            if (!target.configured() && ledger.mayHaveMovedRows()) {
                return Optional.of(new Obstacle(
                        Reasons.TARGET_LOST,
                        "rows name BlobstoreBackend %s, but not every pod of Deployment %s has it any more, so blobs can't be read: let the operator's entries in its environment be; %s"
                                .formatted(name, target.workload(), target.state()),
                        true,
                        true));
            }
            // Once it has begun, the backend's removal waits for it, and changes nothing before.
            if (target.leaving() && !ledger.hasBegun()) {
                return Optional.of(new Obstacle(
                        Reasons.TARGET_NOT_READY,
                        "BlobstoreBackend %s is being deleted".formatted(name),
                        false,
                        !target.isDefault()));
            }
            boolean ready = target.ready() || target.leaving();
            if (!ready || !target.configured()) {
                return Optional.of(new Obstacle(
                        Reasons.TARGET_NOT_READY,
                        "BlobstoreBackend %s is not ready: %s".formatted(name, target.state()),
                        false,
                        !target.configured() || !target.isDefault()));
            }
            return target.isDefault()
                    ? Optional.empty()
                    : Optional.of(new Obstacle(
                            Reasons.TARGET_NOT_DEFAULT,
                            "new blobs don't go to BlobstoreBackend %s, so copying would never end: set its spec.default to true"
                                    .formatted(name),
                            false,
                            true));
        }

        private Optional<Obstacle> workload() {
            return switch (facts.workload()) {
                case Workload.Usable usable -> Optional.empty();
                case Workload.Missing missing ->
                    Optional.of(new Obstacle(
                            Reasons.WORKLOAD_MISSING,
                            "spec.workload.name is Deployment %s, which is not in this namespace: create it"
                                    .formatted(missing.name()),
                            false,
                            false));
                case Workload.Unusable unusable ->
                    Optional.of(new Obstacle(unusable.reason(), unusable.message(), true, false));
            };
        }

        private MigrationDecision held(Obstacle obstacle) {
            Standing standing = obstacle.needsPerson() ? Standing.STALLED : Standing.RECONCILING;
            return stopping(standing, obstacle.reason(), obstacle.message()).orElseGet(() -> {
                StageLedger rested = ledger.running()
                        .map(entry -> ledger.stopped(entry.stage()))
                        .orElse(ledger);
                return at(NOTHING, rested, standing, obstacle.reason(), obstacle.message(), WAIT);
            });
        }

        private MigrationDecision onward() {
            Entry entry = ledger.current().orElseThrow();
            if (entry.state() == State.RUNNING) {
                return facts.run()
                        .filter(run -> settled.isEmpty())
                        .map(run -> watched(entry, run))
                        .orElseGet(
                                () -> isOnce(entry, facts) && refused().isEmpty() ? gone(entry) : start(ledger, entry));
            }
            Instant due = entry.due(facts.now());
            if (due.isAfter(facts.now())) {
                return waiting(Duration.between(facts.now(), due));
            }
            StageLedger started = ledger.started(entry.stage(), facts.now());
            return start(started, started.of(entry.stage()));
        }

        private MigrationDecision watched(Entry entry, StageRun run) {
            return run instanceof StageRun.Running running
                    ? at(
                            facts.limitsDiffer() ? new Action.Limit(entry.stage(), entry.attempts()) : NOTHING,
                            Standing.RECONCILING,
                            running.reason(),
                            running.message(),
                            WATCH)
                    : waiting(WATCH);
        }

        /** It may never have been made; but if it was, whatever it did is done. */
        private MigrationDecision gone(Entry entry) {
            Settled end = lost(
                    ledger,
                    entry,
                    new StageRun.Lost(
                            "the Job of the full vacuum is gone, and nobody knows how it ended: to vacuum again, set spec.suspend to true and back to false"),
                    facts);
            return new Chain(facts, end.ledger(), Optional.of(end)).decide();
        }

        /** Why the API server didn't take the Job that was asked for last, if it didn't. */
        private Optional<Condition> refused() {
            return Optional.ofNullable(facts.before().get(MigrationState.RECONCILING))
                    .filter(condition -> condition.reason().equals(Reasons.JOB_REFUSED));
        }

        private MigrationDecision start(StageLedger started, Entry entry) {
            // The refusal of a Job that is asked for once more stays until it is taken, or the status would flap.
            Optional<Condition> refused = refused().filter(condition -> started.equals(facts.ledger()));
            return at(
                    new Action.Start(entry.stage(), entry.attempts()),
                    started,
                    Standing.RECONCILING,
                    refused.map(Condition::reason).orElse(Reasons.RUNNING),
                    refused.map(Condition::message)
                            .orElseGet(() -> "the %s stage is starting"
                                    .formatted(entry.stage().word())),
                    WATCH);
        }

        /** Between two attempts the last one's reason stays, for it is what the next one is waited for. */
        private MigrationDecision waiting(Duration rest) {
            Optional<Condition> before = Optional.ofNullable(facts.before().get(MigrationState.RECONCILING))
                    .filter(Condition::isTrue);
            String reason = settled.map(Settled::reason)
                    .or(() -> before.map(Condition::reason))
                    .orElse(Reasons.PENDING);
            String message = settled.map(Settled::message)
                    .or(() -> before.map(Condition::message))
                    .orElse("");
            return at(NOTHING, Standing.RECONCILING, reason, message, rest);
        }

        private MigrationDecision at(
                Action action, Standing standing, String reason, String message, @Nullable Duration nextLook) {
            return at(action, ledger, standing, reason, message, nextLook);
        }

        private MigrationDecision at(
                Action action,
                StageLedger next,
                Standing standing,
                String reason,
                String message,
                @Nullable Duration nextLook) {
            MigrationState state = new MigrationState(next, standing, reason, message);
            return new MigrationDecision(
                    action,
                    next,
                    state.conditions(settled, facts.before()),
                    state.phase(),
                    message,
                    standing.isFinal()
                            ? Optional.empty()
                            : next.keptUntil(facts.spec().retention()),
                    standing.isFinal(),
                    Optional.ofNullable(nextLook));
        }
    }
}
