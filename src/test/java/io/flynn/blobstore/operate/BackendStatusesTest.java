package io.flynn.blobstore.operate;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.ConditionBuilder;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendStatus;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendStatus.WorkloadState;
import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.BackendFacts.Memory;
import io.flynn.blobstore.decide.Obstacle;
import io.flynn.blobstore.decide.Reasons;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;

class BackendStatusesTest {

    private static final BackendFields FIELDS = new BackendFields("s3main", new BackendName("s3main"));
    private static final Instant NOW = Instant.parse("2026-01-01T12:00:00Z");
    private static final Obstacle FAILURE = Obstacle.waiting(Reasons.API_FAILURE, "etcdserver: request timed out");

    /** It has been stopped for having to roll pods again and again. */
    private static BlobstoreBackend flapping() {
        BlobstoreBackend backend = Serialization.unmarshal(BackendWorld.spec("s3main"), BlobstoreBackend.class);
        backend.getMetadata().setGeneration(1L);
        backend.setStatus(new BlobstoreBackendStatus(
                1L,
                List.of(new ConditionBuilder()
                        .withType("Stalled")
                        .withStatus("True")
                        .withReason(Reasons.OWNERSHIP_FLAPPING)
                        .withLastTransitionTime(NOW.toString())
                        .build()),
                "s3main",
                null,
                null,
                null,
                "s3main-config-0123456789",
                null,
                new WorkloadState("blobstore", 0, 2, "Configured", List.of(), List.of(NOW.toString())),
                null,
                Reasons.OWNERSHIP_FLAPPING));
        return backend;
    }

    private static Memory memoryAfterFailure(BlobstoreBackend backend) {
        backend.setStatus(BackendStatuses.failing(backend, FAILURE, NOW));
        return BackendMemory.of(backend, FIELDS);
    }

    @Test
    void aFailureOfTheApiServerDoesNotStartTheRollingAgain() {
        assertThat(memoryAfterFailure(flapping()).flapping()).isTrue();
    }

    @Test
    void aFailureAfterAChangeOfTheSpecDoesNotBringOldReversalsBack() {
        BlobstoreBackend backend = flapping();
        backend.getMetadata().setGeneration(2L);

        Memory memory = memoryAfterFailure(backend);

        assertThat(memory.flapping()).isFalse();
        assertThat(memory.reversals()).isEmpty();
        assertThat(memory.applied()).isEqualTo("0123456789");
    }
}
