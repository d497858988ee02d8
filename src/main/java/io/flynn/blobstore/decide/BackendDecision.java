package io.flynn.blobstore.decide;

import static io.flynn.blobstore.decide.BackendStep.MINUTE;
import static io.flynn.blobstore.decide.BackendStep.SOON;
import static io.flynn.blobstore.decide.BackendStep.WATCHED;

import io.flynn.blobstore.decide.BackendAction.Configure;
import io.flynn.blobstore.decide.BackendAction.DropDefault;
import io.flynn.blobstore.decide.BackendAction.MakeDefault;
import io.flynn.blobstore.decide.BackendAction.None;
import io.flynn.blobstore.decide.BackendAction.Probe;
import io.flynn.blobstore.decide.BackendAction.Settle;
import io.flynn.blobstore.decide.BackendFacts.Claim;
import io.flynn.blobstore.decide.BackendFacts.Credentials;
import io.flynn.blobstore.decide.BackendFacts.Memory;
import io.flynn.blobstore.decide.BackendFacts.ProbeRun;
import io.flynn.blobstore.decide.BackendFacts.Rival;
import io.flynn.blobstore.decide.BackendFacts.Wanted;
import io.flynn.blobstore.decide.BackendFacts.Workload.Live;
import io.flynn.blobstore.decide.BackendFacts.Workload.Missing;
import io.flynn.blobstore.decide.BackendStep.Verdict;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * What to do next about a backend: probe, add it to every pod, wait for them, make it the default, wait for them. The two
 * rollouts are never merged, since a pod without the backend answers 500 for its rows. Pure; each step is derived from what is
 * there, so an operator that starts again goes on where the last one was.
 *
 * @param action to carry out now
 * @param conditions for the status
 * @param summary one word for people
 * @param isDefault whether every pod sends new blobs here
 * @param memory for the status, once the action is carried out
 * @param next when to look again if nothing happens before
 */
public record BackendDecision(
        BackendAction action,
        List<Condition> conditions,
        String summary,
        boolean isDefault,
        Memory memory,
        Duration next) {

    /** So often within {@link #REVERSAL_WINDOW} may somebody take the entries away before the operator stops rolling pods for it. */
    static final int REVERSALS_MAX = 3;

    static final Duration REVERSAL_WINDOW = Duration.ofMinutes(10);

    public BackendDecision {
        conditions = List.copyOf(conditions);
    }

    public static BackendDecision decide(BackendFacts facts) {
        BackendStep step = facts.deletion()
                .map(deletion -> BackendRemoval.step(facts, deletion))
                .orElseGet(() -> step(facts));
        return of(facts, step);
    }

    /** What is to be said, and remembered, when the action that was decided is refused: nothing was done, and this is why. */
    public static BackendDecision refused(BackendFacts facts, Obstacle refusal) {
        return of(facts, BackendStep.held(refusal));
    }

    private static BackendDecision of(BackendFacts facts, BackendStep step) {
        boolean suspended = facts.wanted().suspended() && facts.deletion().isEmpty();
        BackendAction action = suspended ? new None() : step.action();
        return new BackendDecision(
                action,
                BackendConditions.of(facts, step, suspended),
                suspended ? Reasons.SUSPENDED : step.reason(),
                BackendConditions.isDefault(facts),
                memory(facts, action, step),
                suspended ? MINUTE : step.next());
    }

    private static BackendStep step(BackendFacts facts) {
        Optional<BackendStep> invalid = facts.wanted().problem().map(BackendStep::held);
        return invalid.orElseGet(() -> switch (facts.workload()) {
            case Missing missing -> missing(facts.wanted());
            case Live live -> step(facts, live);
        });
    }

    static BackendStep missing(Wanted wanted) {
        return BackendStep.held(Obstacle.waiting(
                Reasons.WORKLOAD_MISSING,
                "Deployment \"%s\" doesn't exist in this namespace: create it, or make the resource again with another spec.workload.name"
                        .formatted(wanted.workload())));
    }

    private static BackendStep step(BackendFacts facts, Live live) {
        return Stream.<Supplier<Optional<BackendStep>>>of(
                        () -> live.unclear().map(BackendStep::held),
                        () -> conflict(facts.wanted(), live.rivals()),
                        () -> flapping(facts, live),
                        () -> BackendMove.step(facts, live))
                .map(Supplier::get)
                .flatMap(Optional::stream)
                .findFirst()
                .orElseGet(() -> switch (facts.credentials()) {
                    case Credentials.Unavailable unavailable ->
                        BackendStep.held(new None(), unavailable.obstacle(), WATCHED);
                    case Credentials.Present present -> step(facts, live, present.hash());
                });
    }

    private static Optional<BackendStep> conflict(Wanted wanted, List<Rival> rivals) {
        if (rivals.isEmpty() || wanted.takeOwnership()) {
            return Optional.empty();
        }
        Rival rival = rivals.getFirst();
        return Optional.of(BackendStep.held(Obstacle.person(
                Reasons.FIELD_CONFLICT,
                "%s in Deployment \"%s\" is set by \"%s\": remove it there, or set spec.workload.takeOwnership to true"
                        .formatted(rival.variable(), wanted.workload(), rival.manager()))));
    }

    private static Optional<BackendStep> flapping(BackendFacts facts, Live live) {
        if (!isReversed(facts, live)) {
            return Optional.empty();
        }
        boolean tooOften = facts.memory().flapping() || reversals(facts, true).size() >= REVERSALS_MAX;
        return tooOften
                ? Optional.of(BackendStep.held(Obstacle.person(
                        Reasons.OWNERSHIP_FLAPPING,
                        "something takes this backend out of Deployment \"%s\" again and again, as kubectl replace or a GitOps tool does: have it leave the variables of %s and DEFAULT_BACKEND alone, then change this resource's spec"
                                .formatted(
                                        facts.wanted().workload(),
                                        facts.wanted().backendName()))))
                : Optional.empty();
    }

    /** Whether somebody took away, or set back, what the operator had written. */
    private static boolean isReversed(BackendFacts facts, Live live) {
        Memory memory = facts.memory();
        boolean stands = live.complete()
                && (live.hash().equals(memory.applied()) || live.hash().equals(hash(facts)));
        boolean entries = !memory.applied().isEmpty() && !stands;
        boolean preference = memory.defaultGiven()
                && facts.wanted().isDefault()
                && live.defaultBackend().isEmpty();
        return entries || preference;
    }

    /** Of the configuration that is wanted; empty if that is not known. */
    private static String hash(BackendFacts facts) {
        return facts.credentials() instanceof Credentials.Present present ? present.hash() : "";
    }

    private static BackendStep step(BackendFacts facts, Live live, String hash) {
        BackendProbes probes = new BackendProbes(facts.probes(), facts.now());
        Optional<ProbeRun> last = probes.last(hash);
        Optional<ProbeRun> running = probes.running(hash);
        boolean known = last.isPresent()
                || (facts.memory().verified()
                        && facts.memory().applied().equals(hash)
                        && live.hash().equals(hash));
        if (!known) {
            return running.map(BackendDecision::probing)
                    .orElseGet(() -> BackendStep.doing(
                            new Probe(facts.nextAttempt(), false),
                            Reasons.PROBING,
                            "the workload's access to the bucket is tried"));
        }
        Optional<Obstacle> failed = last.flatMap(run -> BackendProbes.obstacle(run, running));
        boolean due = running.isEmpty()
                && last.map(run -> probes.isOlderThan(
                                run,
                                failed.isPresent()
                                        ? BackendProbes.RETRY
                                        : facts.wanted().probeInterval()))
                        .orElse(true);
        BackendAction again = due ? new Probe(facts.nextAttempt(), false) : new None();
        if (failed.isPresent()) {
            return BackendStep.held(again, failed.get(), WATCHED);
        }
        return rollout(facts, live, hash).orElseGet(() -> ready(facts, live, again));
    }

    private static BackendStep probing(ProbeRun run) {
        return BackendProbes.notStarted(run)
                .map(obstacle -> BackendStep.held(new None(), obstacle, WATCHED))
                .orElseGet(() ->
                        BackendStep.waiting(Reasons.PROBING, "the workload's access to the bucket is tried", WATCHED));
    }

    private static Optional<BackendStep> rollout(BackendFacts facts, Live live, String hash) {
        if (!live.hash().equals(hash) || !live.complete()) {
            return Optional.of(BackendStep.doing(
                    new Configure(), Reasons.ROLLING_OUT, "the workload's pods get the backend" + warning(live)));
        }
        if (!live.isRolledOut(hash)) {
            return Optional.of(unfinished(facts.wanted(), live, "pods without the backend are replaced"));
        }
        if (!facts.memory().lastGood().equals(hash)) {
            return Optional.of(
                    BackendStep.doing(new Settle(), Reasons.ROLLING_OUT, "every pod of the workload has the backend"));
        }
        return facts.wanted().isDefault() ? claim(facts, live) : cede(facts, live);
    }

    /** The default is wanted. */
    private static Optional<BackendStep> claim(BackendFacts facts, Live live) {
        Wanted wanted = facts.wanted();
        Optional<Claim> incumbent = incumbent(facts, live);
        if (incumbent.isPresent()) {
            return Optional.of(BackendStep.held(Obstacle.person(
                    Reasons.DEFAULT_CONFLICT,
                    "BlobstoreBackend \"%s\" is the default of Deployment \"%s\": set spec.default to false on one of the two"
                            .formatted(incumbent.get().resource(), wanted.workload()))));
        }
        if (!live.defaultBackend().equals(wanted.backendName())) {
            Optional<BackendStep> conflict =
                    conflict(wanted, live.defaultRival().stream().toList());
            if (conflict.isPresent()) {
                return conflict;
            }
            return Optional.of(
                    live.available()
                            ? BackendStep.doing(
                                    new MakeDefault(),
                                    Reasons.ROLLING_OUT,
                                    "new blobs are to go here: the workload's pods are told" + warning(live))
                            : unfinished(wanted, live, "every pod has the backend; not all of them answer yet"));
        }
        return live.isDefaultRolledOut(wanted.backendName())
                ? Optional.empty()
                : Optional.of(unfinished(wanted, live, "pods that send new blobs elsewhere are replaced"));
    }

    /** Who has the default, if another does: who has it in the Deployment, else the oldest that claims it. */
    private static Optional<Claim> incumbent(BackendFacts facts, Live live) {
        Wanted wanted = facts.wanted();
        if (live.defaultBackend().equals(wanted.backendName())) {
            return Optional.empty();
        }
        List<Claim> others = facts.claims().stream().filter(Claim::wantsDefault).toList();
        return others.stream()
                .filter(claim -> claim.backendName().equals(live.defaultBackend()))
                .findFirst()
                .or(() -> others.stream()
                        .filter(claim -> isOlder(claim, wanted))
                        .min(Comparator.comparing(Claim::created).thenComparing(Claim::resource)));
    }

    private static boolean isOlder(Claim claim, Wanted wanted) {
        return claim.created().isBefore(wanted.created())
                || (claim.created().equals(wanted.created()) && claim.resource().compareTo(wanted.resource()) < 0);
    }

    /** The default is not wanted, or no more. */
    private static Optional<BackendStep> cede(BackendFacts facts, Live live) {
        Wanted wanted = facts.wanted();
        if (live.isNowhereDefault(wanted.backendName())) {
            return Optional.empty();
        }
        if (!live.defaultBackend().equals(wanted.backendName())) {
            return Optional.of(unfinished(wanted, live, "pods that send new blobs here are replaced"));
        }
        if (!live.defaultIsOurs()) {
            // Somebody else's entry says so: it is theirs, and it works.
            return Optional.empty();
        }
        return facts.claims().stream()
                .filter(Claim::wantsDefault)
                .findFirst()
                .map(heir -> BackendStep.waiting(
                        Reasons.ROLLING_OUT,
                        "BlobstoreBackend \"%s\" takes over as the default once it is ready".formatted(heir.resource()),
                        WATCHED))
                .or(() -> Optional.of(BackendStep.doing(
                        new DropDefault(),
                        Reasons.ROLLING_OUT,
                        "new blobs are to go to PostgreSQL: the workload's pods are told" + warning(live))));
    }

    static BackendStep unfinished(Wanted wanted, Live live, String what) {
        if (live.paused()) {
            return BackendStep.held(Obstacle.person(
                    Reasons.WORKLOAD_PAUSED,
                    "Deployment \"%s\" is paused, so its pods stay as they are: resume it (kubectl rollout resume)"
                            .formatted(wanted.workload())));
        }
        return live.stuck()
                .map(message -> BackendStep.held(
                        new None(),
                        Obstacle.person(
                                Reasons.ROLLOUT_STUCK,
                                "the rollout of Deployment \"%s\" makes no progress: %s; see why its new pods don't start"
                                        .formatted(wanted.workload(), message)),
                        WATCHED))
                .orElseGet(() -> BackendStep.waiting(Reasons.ROLLING_OUT, what + warning(live), SOON));
    }

    private static String warning(Live live) {
        return live.recreate()
                ? "; requests fail meanwhile, since the Deployment's strategy is Recreate: change it to RollingUpdate"
                : "";
    }

    private static BackendStep ready(BackendFacts facts, Live live, BackendAction again) {
        String message = live.defaultBackend().equals(facts.wanted().backendName())
                ? "every pod has the backend, and new blobs go there"
                : "every pod has the backend";
        return new BackendStep(again, Verdict.READY, Reasons.READY, message, MINUTE);
    }

    private static Memory memory(BackendFacts facts, BackendAction action, BackendStep step) {
        Memory before = facts.memory();
        boolean reversed = facts.workload() instanceof Live live && isReversed(facts, live);
        boolean flapping = step.reason().equals(Reasons.OWNERSHIP_FLAPPING);
        boolean again = action instanceof Configure || action instanceof MakeDefault;
        // What went in one stroke with the entries, counts with them.
        boolean lost = action instanceof Configure
                && facts.workload() instanceof Live found
                && found.defaultBackend().isEmpty();
        boolean givesDefault = facts.wanted().isDefault() && !(action instanceof DropDefault) && !lost;
        return new Memory(
                applied(facts, action),
                action instanceof Settle ? hash(facts) : before.lastGood(),
                givesDefault && (action instanceof MakeDefault || before.defaultGiven() || isOurDefault(facts)),
                before.verified(),
                facts.inUse(),
                reversals(facts, reversed && (again || (flapping && !before.flapping()))),
                flapping,
                before.removing() || action instanceof BackendAction.Remove);
    }

    /** The status that was to say it may have been lost, together with the operator: what stands in the Deployment says it too. */
    private static String applied(BackendFacts facts, BackendAction action) {
        if (action instanceof Configure) {
            return hash(facts);
        }
        String before = facts.memory().applied();
        if (!(facts.workload() instanceof Live live) || !live.complete()) {
            return before;
        }
        boolean unknownAndGoing = before.isEmpty() && facts.deletion().isPresent();
        return live.hash().equals(hash(facts)) || unknownAndGoing ? live.hash() : before;
    }

    private static boolean isOurDefault(BackendFacts facts) {
        return facts.workload() instanceof Live live
                && live.defaultIsOurs()
                && live.defaultBackend().equals(facts.wanted().backendName());
    }

    private static List<Instant> reversals(BackendFacts facts, boolean another) {
        Instant oldest = facts.now().minus(REVERSAL_WINDOW);
        Stream<Instant> recent = facts.memory().reversals().stream().filter(instant -> instant.isAfter(oldest));
        return Stream.concat(recent, another ? Stream.of(facts.now()) : Stream.empty())
                .toList();
    }
}
