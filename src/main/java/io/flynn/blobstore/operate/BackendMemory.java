package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Condition;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendStatus;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendStatus.WorkloadState;
import io.flynn.blobstore.decide.BackendFacts.Memory;
import io.flynn.blobstore.decide.Reasons;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Reads from a status what can't be seen anywhere else. Pure. */
final class BackendMemory {

    private BackendMemory() {}

    static Memory of(BlobstoreBackend resource, BackendFields fields) {
        BlobstoreBackendStatus status = resource.getStatus();
        if (status == null) {
            return Memory.NONE;
        }
        boolean sameSpec = isOfSpec(resource, status);
        String phase =
                Optional.ofNullable(status.workload()).map(WorkloadState::phase).orElse("");
        return new Memory(
                hash(status.configSecret(), fields),
                hash(status.lastGoodConfigSecret(), fields),
                WorkloadPhase.DEFAULT_ROLLING_OUT.word().equals(phase)
                        || WorkloadPhase.DEFAULT.word().equals(phase),
                truth(status, "StorageVerified").orElse(false),
                truth(status, "InUse"),
                sameSpec ? reversals(status) : List.of(),
                isFlapping(resource, status),
                WorkloadPhase.REMOVING.word().equals(phase));
    }

    /** Whether it was written about the spec that is there now: a change of the spec starts the count of reversals anew. */
    static boolean isOfSpec(BlobstoreBackend resource, BlobstoreBackendStatus status) {
        return Objects.equals(
                status.observedGeneration(), resource.getMetadata().getGeneration());
    }

    static boolean isFlapping(BlobstoreBackend resource, BlobstoreBackendStatus status) {
        return isOfSpec(resource, status)
                && condition(status, "Stalled")
                        .filter(stalled -> Reasons.OWNERSHIP_FLAPPING.equals(stalled.getReason()))
                        .isPresent();
    }

    private static String hash(@Nullable String secret, BackendFields fields) {
        return Optional.ofNullable(secret).flatMap(fields::hash).orElse("");
    }

    private static List<Instant> reversals(BlobstoreBackendStatus status) {
        return Optional.ofNullable(status.workload()).map(WorkloadState::reversals).stream()
                .flatMap(List::stream)
                .map(Instant::parse)
                .toList();
    }

    private static Optional<Boolean> truth(BlobstoreBackendStatus status, String type) {
        return condition(status, type)
                .filter(condition -> !"Unknown".equals(condition.getStatus()))
                .map(condition -> "True".equals(condition.getStatus()));
    }

    private static Optional<Condition> condition(BlobstoreBackendStatus status, String type) {
        return Optional.ofNullable(status.conditions()).stream()
                .flatMap(List::stream)
                .filter(condition -> type.equals(condition.getType()))
                .findFirst();
    }
}
