package io.flynn.blobstore.decide;

import io.flynn.blobstore.decide.BackendFacts.ProbeRun;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Predicate;

/** What the probe Jobs say, taken together. */
final class BackendProbes {

    /** A pod for each try: often enough for somebody who has just corrected a policy and waits. */
    static final Duration RETRY = Duration.ofMinutes(1);

    private final List<ProbeRun> runs;
    private final Instant now;

    BackendProbes(List<ProbeRun> runs, Instant now) {
        this.runs = runs;
        this.now = now;
    }

    /** Tries the configuration right now. */
    Optional<ProbeRun> running(String hash) {
        return newest(
                run -> run.isRunning() && !run.inventoryOnly() && run.hash().equals(hash));
    }

    /** Tried the configuration, and is over. */
    Optional<ProbeRun> last(String hash) {
        return newest(
                run -> !run.isRunning() && !run.inventoryOnly() && run.hash().equals(hash));
    }

    Optional<ProbeRun> counting() {
        return newest(run -> run.isRunning() && run.inventoryOnly());
    }

    /** Counted, and recently enough that the number still holds. */
    Optional<ProbeRun> counted() {
        return newest(run -> !run.isRunning() && run.inventoryOnly()).filter(run -> !isOlderThan(run, RETRY));
    }

    /** Counts, or counted recently enough, after {@code hash} was wanted and the Deployment got this generation. */
    Optional<ProbeRun> countedSince(String hash, long workloadGeneration) {
        return newest(run -> run.hash().equals(hash) && run.workloadGeneration() == workloadGeneration)
                .filter(run -> run.isRunning() || !isOlderThan(run, RETRY));
    }

    boolean isOlderThan(ProbeRun run, Duration age) {
        return !now.isBefore(run.at().plus(age));
    }

    /** What keeps a run's pod from starting. */
    static Optional<Obstacle> notStarted(ProbeRun running) {
        return obstacle(running).filter(obstacle -> !obstacle.reason().equals(Reasons.RUNNING));
    }

    /** The same as below; of a run that said nothing, the next one may show why. */
    static Optional<Obstacle> obstacle(ProbeRun last, Optional<ProbeRun> next) {
        Optional<Obstacle> shown =
                last.run() instanceof StageRun.Lost ? next.flatMap(BackendProbes::notStarted) : Optional.empty();
        return shown.or(() -> obstacle(last));
    }

    /** What stands in the way after this run; empty if all is well. */
    static Optional<Obstacle> obstacle(ProbeRun run) {
        return switch (run.run()) {
            case StageRun.Running running -> Optional.of(Obstacle.waiting(running.reason(), running.message()));
            case StageRun.Lost lost -> Optional.of(Obstacle.waiting(Reasons.REPORT_LOST, lost.message()));
            case StageRun.Ended ended ->
                switch (ended.report().outcome()) {
                    case DONE -> Optional.empty();
                    case RETRY ->
                        Optional.of(Obstacle.waiting(
                                ended.report().reason(), ended.report().message()));
                    case FAILED, USAGE ->
                        Optional.of(Obstacle.person(
                                ended.report().reason(), ended.report().message()));
                };
        };
    }

    static OptionalLong rows(ProbeRun run) {
        return run.run() instanceof StageRun.Ended ended
                ? ended.report().figure(StageReport.Figure.BLOBS)
                : OptionalLong.empty();
    }

    /** What kept the rows from being counted, whatever came of the rest. */
    static Optional<Obstacle> uncounted(ProbeRun run) {
        return run.run() instanceof StageRun.Ended ended
                ? ended.report().findings().stream()
                        .filter(finding -> finding.subject().equals(StageReport.INVENTORY)
                                && finding.level() != StageReport.Level.OK)
                        .findFirst()
                        .map(finding -> Obstacle.waiting(finding.reason(), finding.message()))
                : Optional.empty();
    }

    private Optional<ProbeRun> newest(Predicate<ProbeRun> which) {
        return runs.reversed().stream().filter(which).findFirst();
    }
}
