package io.flynn.blobstore.decide;

import static io.flynn.blobstore.decide.BackendStep.WATCHED;

import io.flynn.blobstore.decide.BackendAction.None;
import io.flynn.blobstore.decide.BackendAction.Probe;
import io.flynn.blobstore.decide.BackendFacts.Credentials;
import io.flynn.blobstore.decide.BackendFacts.Location;
import io.flynn.blobstore.decide.BackendFacts.ProbeRun;
import io.flynn.blobstore.decide.BackendFacts.Workload.Live;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Whether a backend may get another place: only while no row relies on the one that it has. A count proves that only if it was
 * begun when no pod could make such a row any more and none could since, so it must be newer than the wish and than the pods.
 */
final class BackendMove {

    private BackendMove() {}

    /** What to do before the place may change; empty if it may, or isn't to. */
    static Optional<BackendStep> step(BackendFacts facts, Live live) {
        Optional<Location> left = live.location()
                .filter(location -> !location.equals(facts.wanted().location()));
        if (left.isEmpty()) {
            return Optional.empty();
        }
        Obstacle immutable = immutable(facts, left.get());
        if (live.defaultBackend().equals(facts.wanted().backendName())) {
            return Optional.of(BackendStep.held(immutable));
        }
        if (!live.isNowhereDefault(facts.wanted().backendName())) {
            return Optional.of(BackendDecision.unfinished(
                    facts.wanted(), live, "pods that send new blobs to the old place are replaced"));
        }
        return switch (facts.credentials()) {
            // Without a key nothing can be rolled out, so nothing moves.
            case Credentials.Unavailable unavailable -> Optional.empty();
            case Credentials.Present present -> unused(facts, live, present.hash(), immutable);
        };
    }

    private static Optional<BackendStep> unused(BackendFacts facts, Live live, String hash, Obstacle immutable) {
        Optional<ProbeRun> counted =
                new BackendProbes(facts.probes(), facts.now()).countedSince(hash, live.generation());
        OptionalLong rows = counted.map(BackendProbes::rows).orElseGet(OptionalLong::empty);
        if (rows.isPresent() && rows.getAsLong() == 0) {
            return Optional.empty();
        }
        boolean used = facts.inUse().orElse(false);
        if (counted.isEmpty()) {
            return Optional.of(
                    BackendStep.held(new Probe(facts.nextAttempt(), true), used ? immutable : counting(), WATCHED));
        }
        return Optional.of(BackendStep.held(new None(), used ? immutable : uncounted(counted.get()), WATCHED));
    }

    private static Obstacle immutable(BackendFacts facts, Location left) {
        return Obstacle.person(
                Reasons.IMMUTABLE_WHILE_IN_USE,
                "%s, where rows rely on it: set it back, and make another BlobstoreBackend for the other place"
                        .formatted(facts.wanted().location().differenceFrom(left)));
    }

    private static Obstacle counting() {
        return Obstacle.waiting(
                Reasons.PROBING, "the rows that use this backend are counted before it may have another place");
    }

    private static Obstacle uncounted(ProbeRun run) {
        Optional<Obstacle> obstacle = BackendProbes.obstacle(run);
        if (run.isRunning()) {
            return obstacle.filter(held -> !held.reason().equals(Reasons.RUNNING))
                    .orElseGet(BackendMove::counting);
        }
        return Obstacle.waiting(
                Reasons.NOT_COUNTED,
                "nobody can count the rows that rely on the place that this backend has (%s): it is tried again"
                        .formatted(obstacle.map(Obstacle::message).orElse("the database gave no number")));
    }
}
