package io.flynn.blobstore.decide;

import static io.flynn.blobstore.decide.Condition.isFalse;
import static io.flynn.blobstore.decide.Condition.isTrue;
import static io.flynn.blobstore.decide.Condition.isUnknown;

import io.flynn.blobstore.decide.BackendFacts.Credentials;
import io.flynn.blobstore.decide.BackendFacts.ProbeRun;
import io.flynn.blobstore.decide.BackendFacts.Workload.Live;
import io.flynn.blobstore.decide.BackendFacts.Workload.Missing;
import io.flynn.blobstore.decide.BackendStep.Verdict;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Says each side of a backend by itself, and the whole in the words that kstatus, Flux and Argo CD read. */
final class BackendConditions {

    private BackendConditions() {}

    static List<Condition> of(BackendFacts facts, BackendStep step, boolean suspended) {
        List<Condition> conditions = new ArrayList<>();
        boolean ready = step.verdict() == Verdict.READY;
        if (suspended) {
            // What is suspended is as it should be: without Ready=False, or who waits for it would wait for ever.
            if (ready) {
                conditions.add(isTrue("Ready", Reasons.READY, step.message()));
            }
            conditions.add(
                    isTrue("Suspended", Reasons.SUSPENDED, "spec.suspend is true: nothing is probed or changed"));
            conditions.add(isFalse("Reconciling", Reasons.SUSPENDED, "spec.suspend is true"));
            conditions.add(isFalse("Stalled", Reasons.SUSPENDED, "spec.suspend is true"));
        } else {
            conditions.add(new Condition(
                    "Ready", ready ? Condition.Truth.TRUE : Condition.Truth.FALSE, step.reason(), step.message()));
            conditions.add(whole("Reconciling", step, Verdict.WAITING));
            conditions.add(whole("Stalled", step, Verdict.PERSON));
        }
        conditions.add(credentials(facts));
        conditions.add(storage(facts));
        conditions.add(workload(facts));
        conditions.add(defaultBackend(facts, step));
        conditions.add(inUse(facts));
        return conditions;
    }

    static boolean isDefault(BackendFacts facts) {
        return switch (facts.workload()) {
            case Missing missing -> false;
            case Live live -> live.isDefaultOfEveryPod(facts.wanted().backendName());
        };
    }

    private static Condition whole(String type, BackendStep step, Verdict verdict) {
        return step.verdict() == verdict
                ? isTrue(type, step.reason(), step.message())
                : isFalse(type, step.verdict() == Verdict.READY ? Reasons.READY : step.reason(), "");
    }

    private static Optional<ProbeRun> last(BackendFacts facts) {
        return switch (facts.credentials()) {
            case Credentials.Unavailable unavailable -> Optional.empty();
            case Credentials.Present present -> new BackendProbes(facts.probes(), facts.now()).last(present.hash());
        };
    }

    private static boolean isRemembered(BackendFacts facts) {
        return facts.credentials() instanceof Credentials.Present present
                && facts.memory().verified()
                && facts.memory().applied().equals(present.hash());
    }

    private static Condition credentials(BackendFacts facts) {
        if (facts.credentials() instanceof Credentials.Unavailable unavailable) {
            return isFalse(
                    "CredentialsValid",
                    unavailable.obstacle().reason(),
                    unavailable.obstacle().message());
        }
        Optional<ProbeRun> last = last(facts);
        if (last.isEmpty()) {
            return isRemembered(facts)
                    ? isTrue("CredentialsValid", Reasons.PROBED, "the store accepts the access key")
                    : isUnknown("CredentialsValid", Reasons.NOT_PROBED, "the access key was not tried yet");
        }
        Optional<Obstacle> obstacle = BackendProbes.obstacle(last.get());
        if (obstacle.isEmpty()) {
            return isTrue("CredentialsValid", Reasons.PROBED, "the store accepts the access key");
        }
        return switch (obstacle.get().reason()) {
            case Reasons.CREDENTIALS_REFUSED ->
                isFalse(
                        "CredentialsValid",
                        obstacle.get().reason(),
                        obstacle.get().message());
            case Reasons.ACCESS_DENIED, Reasons.BUCKET_MISSING ->
                isTrue("CredentialsValid", Reasons.PROBED, "the store accepts the access key");
            case String reason -> isUnknown("CredentialsValid", reason, "the probe didn't get that far");
        };
    }

    private static Condition storage(BackendFacts facts) {
        Optional<ProbeRun> last = last(facts);
        if (last.isEmpty()) {
            return isRemembered(facts)
                    ? isTrue("StorageVerified", Reasons.PROBED, "every check of the bucket passed")
                    : isUnknown("StorageVerified", Reasons.NOT_PROBED, "the bucket was not tried yet");
        }
        return BackendProbes.obstacle(last.get())
                .map(obstacle -> isFalse("StorageVerified", obstacle.reason(), obstacle.message()))
                .orElseGet(() -> isTrue("StorageVerified", Reasons.PROBED, "every check of the bucket passed"));
    }

    private static Condition workload(BackendFacts facts) {
        return switch (facts.workload()) {
            case Missing missing ->
                isFalse("WorkloadConfigured", Reasons.WORKLOAD_MISSING, "the Deployment doesn't exist");
            case Live live -> {
                String hash = facts.credentials() instanceof Credentials.Present present
                        ? present.hash()
                        : facts.memory().applied();
                if (live.hash().isEmpty()) {
                    yield isFalse(
                            "WorkloadConfigured", Reasons.NOT_CONFIGURED, "the Deployment doesn't have the backend");
                }
                yield live.isInEveryPod(hash)
                        ? isTrue("WorkloadConfigured", Reasons.CONFIGURED, "every pod has the backend")
                        : isFalse(
                                "WorkloadConfigured",
                                Reasons.ROLLING_OUT,
                                "not every pod has the newest configuration");
            }
        };
    }

    private static Condition defaultBackend(BackendFacts facts, BackendStep step) {
        if (isDefault(facts)) {
            return isTrue("Default", Reasons.DEFAULT, "every pod sends new blobs here");
        }
        if (step.reason().equals(Reasons.DEFAULT_CONFLICT)) {
            return isFalse("Default", Reasons.DEFAULT_CONFLICT, step.message());
        }
        return facts.wanted().isDefault()
                ? isFalse("Default", Reasons.ROLLING_OUT, "not every pod sends new blobs here yet")
                : isFalse("Default", Reasons.NOT_DEFAULT, "new blobs go elsewhere, as is wanted");
    }

    private static Condition inUse(BackendFacts facts) {
        Optional<Obstacle> uncounted = facts.uncounted();
        if (uncounted.isPresent()) {
            return isUnknown("InUse", uncounted.get().reason(), uncounted.get().message());
        }
        return facts.inUse()
                .map(used -> used
                        ? isTrue("InUse", Reasons.IN_USE, "rows in the database use this backend")
                        : isFalse("InUse", Reasons.NOT_IN_USE, "no row in the database uses this backend"))
                .orElseGet(() -> isUnknown("InUse", Reasons.NOT_COUNTED, "the rows were not counted yet"));
    }
}
