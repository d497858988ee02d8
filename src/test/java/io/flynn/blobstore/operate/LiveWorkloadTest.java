package io.flynn.blobstore.operate;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.flynn.blobstore.blob.BackendName;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class LiveWorkloadTest {

    private static Optional<String> stuck(long observedGeneration) {
        Deployment deployment = new DeploymentBuilder(StageJobs.plainWorkload())
                .editMetadata()
                .withGeneration(2L)
                .endMetadata()
                .withNewStatus()
                .withObservedGeneration(observedGeneration)
                .addNewCondition()
                .withType("Progressing")
                .withStatus("False")
                .withMessage("timed out")
                .endCondition()
                .endStatus()
                .build();
        return new LiveWorkload(new BackendFields("s3main", new BackendName("s3main")), deployment)
                .read(
                        List.of(),
                        "",
                        false,
                        deployment
                                .getSpec()
                                .getTemplate()
                                .getSpec()
                                .getContainers()
                                .getFirst(),
                        Optional.empty(),
                        Optional.empty())
                .stuck();
    }

    @Test
    void aRolloutThatTheControllerHasNotSeenIsNotStuck() {
        assertThat(stuck(1)).isEmpty();
        assertThat(stuck(2)).contains("timed out");
    }
}
