package io.flynn.blobstore.decide;

import static io.flynn.blobstore.decide.BackendStep.MINUTE;
import static io.flynn.blobstore.decide.BackendStep.WATCHED;

import io.flynn.blobstore.decide.BackendAction.DropDefault;
import io.flynn.blobstore.decide.BackendAction.None;
import io.flynn.blobstore.decide.BackendAction.Probe;
import io.flynn.blobstore.decide.BackendAction.Release;
import io.flynn.blobstore.decide.BackendAction.Remove;
import io.flynn.blobstore.decide.BackendFacts.Deletion;
import io.flynn.blobstore.decide.BackendFacts.Memory;
import io.flynn.blobstore.decide.BackendFacts.ProbeRun;
import io.flynn.blobstore.decide.BackendFacts.Rival;
import io.flynn.blobstore.decide.BackendFacts.Wanted;
import io.flynn.blobstore.decide.BackendFacts.Workload.Live;
import io.flynn.blobstore.decide.BackendFacts.Workload.Missing;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * How a backend goes: the mirror image of how it came. The default first, so that no new row appears; then the rows are
 * counted in the database, not guessed from resources; only when there is none do the pods lose the backend.
 */
final class BackendRemoval {

    /** The annotation's value when nobody can count. */
    static final String UNKNOWN = "unknown";

    private BackendRemoval() {}

    static BackendStep step(BackendFacts facts, Deletion deletion) {
        if (deletion.namespaceTerminating()) {
            // The Deployment goes too, and no Job can be made.
            return removing(new Release(false), "the namespace is terminating");
        }
        if (isUntouched(facts)) {
            return removing(new Release(true), "the workload never had the backend");
        }
        if (deletion.orphan()) {
            return removing(new Release(false), "the workload keeps the backend, as spec.deletionPolicy says");
        }
        if (!deletion.migrations().isEmpty()) {
            return BackendStep.held(Obstacle.waiting(
                    Reasons.IN_USE,
                    "BlobMigration \"%s\" uses this backend: let it end, or delete it"
                            .formatted(deletion.migrations().getFirst())));
        }
        return switch (facts.workload()) {
            case Missing missing -> missing(facts.wanted(), deletion);
            case Live live -> step(facts, live, deletion);
        };
    }

    /** Whether no row can use the backend, since no pod ever had it: neither the Deployment nor the status knows of it. */
    private static boolean isUntouched(BackendFacts facts) {
        boolean absent = switch (facts.workload()) {
            case Missing missing -> true;
            case Live live ->
                live.hash().isEmpty()
                        && live.pods().stream().allMatch(pod -> pod.hash().isEmpty());
        };
        Memory memory = facts.memory();
        return absent && memory.applied().isEmpty() && memory.lastGood().isEmpty() && !memory.defaultGiven();
    }

    private static BackendStep missing(Wanted wanted, Deletion deletion) {
        if (deletion.force().filter(UNKNOWN::equals).isPresent()) {
            return removing(new Release(true), "forced, though nobody can count the rows that use the backend");
        }
        return BackendStep.held(Obstacle.person(
                Reasons.WORKLOAD_MISSING,
                "Deployment \"%s\" is gone, so nobody can count the rows that use this backend: create it again, or annotate this resource with blobstore.flynn.io/force-delete=unknown"
                        .formatted(wanted.workload())));
    }

    private static BackendStep step(BackendFacts facts, Live live, Deletion deletion) {
        Wanted wanted = facts.wanted();
        return withoutDefault(wanted, live)
                .or(() -> facts.memory().removing() ? Optional.empty() : unused(facts, live, deletion))
                .or(() -> withoutEntries(wanted, live))
                .orElseGet(() -> removing(new Release(true), "no pod has the backend any more"));
    }

    private static Optional<BackendStep> withoutDefault(Wanted wanted, Live live) {
        if (live.isNowhereDefault(wanted.backendName())) {
            return Optional.empty();
        }
        if (!live.defaultBackend().equals(wanted.backendName())) {
            return Optional.of(BackendDecision.unfinished(wanted, live, "pods that send new blobs here are replaced"));
        }
        return Optional.of(
                live.defaultIsOurs() || wanted.takeOwnership()
                        ? removing(new DropDefault(), "new blobs are to go elsewhere: the workload's pods are told")
                        : held(
                                wanted,
                                live.defaultRival()
                                        .orElseGet(() ->
                                                new Rival(BackendEnvironment.DEFAULT_VARIABLE, "somebody else"))));
    }

    /** Empty if no row uses the backend, or if that is to be ignored. */
    private static Optional<BackendStep> unused(BackendFacts facts, Live live, Deletion deletion) {
        if (live.unclear().isPresent()) {
            return isForced(deletion, UNKNOWN)
                    ? Optional.empty()
                    : live.unclear().map(BackendStep::held);
        }
        BackendProbes probes = new BackendProbes(facts.probes(), facts.now());
        Optional<ProbeRun> counted = probes.counted();
        if (counted.isPresent()) {
            return judge(facts.wanted(), deletion, counted.get());
        }
        if (probes.counting().isPresent()) {
            Obstacle obstacle = BackendProbes.obstacle(probes.counting().get()).orElseThrow();
            boolean forced = !obstacle.reason().equals(Reasons.RUNNING) && isForced(deletion, UNKNOWN);
            return forced ? Optional.empty() : Optional.of(BackendStep.held(new None(), obstacle, WATCHED));
        }
        return Optional.of(
                removing(new Probe(facts.nextAttempt(), true), "the rows that use this backend are counted"));
    }

    private static Optional<BackendStep> judge(Wanted wanted, Deletion deletion, ProbeRun counted) {
        OptionalLong counts = BackendProbes.rows(counted);
        if (counts.isEmpty()) {
            String why = BackendProbes.obstacle(counted).map(Obstacle::message).orElse("the database gave no number");
            return isForced(deletion, UNKNOWN)
                    ? Optional.empty()
                    : Optional.of(BackendStep.held(Obstacle.waiting(
                            Reasons.NOT_COUNTED,
                            "nobody can count the rows that use this backend (%s): it is tried again; to delete it all the same, annotate this resource with blobstore.flynn.io/force-delete=unknown"
                                    .formatted(why))));
        }
        long rows = counts.getAsLong();
        if (rows == 0 || isForced(deletion, Long.toString(rows))) {
            return Optional.empty();
        }
        return Optional.of(BackendStep.held(Obstacle.person(
                Reasons.IN_USE,
                "%d rows use backend \"%s\": move them to another backend, or delete those blobs; to lose them, annotate this resource with blobstore.flynn.io/force-delete=%d"
                        .formatted(rows, wanted.backendName(), rows))));
    }

    private static Optional<BackendStep> withoutEntries(Wanted wanted, Live live) {
        if (live.hash().isEmpty()) {
            return live.isRolledOut("")
                    ? Optional.empty()
                    : Optional.of(BackendDecision.unfinished(wanted, live, "pods with the backend are replaced"));
        }
        if (!live.rivals().isEmpty() && !wanted.takeOwnership()) {
            return Optional.of(held(wanted, live.rivals().getFirst()));
        }
        return Optional.of(removing(new Remove(), "the workload's pods lose the backend"));
    }

    private static boolean isForced(Deletion deletion, String value) {
        return deletion.force().filter(value::equals).isPresent();
    }

    private static BackendStep held(Wanted wanted, Rival rival) {
        return BackendStep.held(
                new None(),
                Obstacle.person(
                        Reasons.FIELD_CONFLICT,
                        "%s in Deployment \"%s\" is held by \"%s\": remove it there, or set spec.workload.takeOwnership to true"
                                .formatted(rival.variable(), wanted.workload(), rival.manager())),
                MINUTE);
    }

    private static BackendStep removing(BackendAction action, String message) {
        return BackendStep.doing(action, Reasons.REMOVING, message);
    }
}
