package io.flynn.blobstore.manifest;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentSpec;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * What Pod Security {@code restricted} asks for, and what it doesn't but we do: a read-only root, no volumes, memory bounded.
 * <a href="https://kubernetes.io/docs/concepts/security/pod-security-standards/">Pod Security Standards</a>.
 */
class PodsAreRestrictedTest {
    private final DeploymentSpec operator =
            Chart.render(Deployment.class, Map.of()).getFirst().getSpec();

    @Test
    void thePodRunsAsANumberedUserUnderSeccomp() {
        var context = operator.getTemplate().getSpec().getSecurityContext();
        assertThat(context.getRunAsNonRoot()).isTrue();
        assertThat(context.getRunAsUser()).isPositive();
        assertThat(context.getSeccompProfile().getType()).isEqualTo("RuntimeDefault");
    }

    @Test
    void thePodSharesNothingWithItsNode() {
        var pod = operator.getTemplate().getSpec();
        assertThat(pod.getHostNetwork()).isNull();
        assertThat(pod.getHostPID()).isNull();
        assertThat(pod.getHostIPC()).isNull();
        assertThat(pod.getVolumes()).isEmpty();
    }

    @Test
    void everyContainerIsBounded() {
        assertThat(operator.getTemplate().getSpec().getInitContainers()).isEmpty();
        assertThat(operator.getTemplate().getSpec().getContainers())
                .isNotEmpty()
                .allSatisfy(container -> {
                    var context = container.getSecurityContext();
                    assertThat(context.getAllowPrivilegeEscalation()).isFalse();
                    assertThat(context.getPrivileged()).isNull();
                    assertThat(context.getReadOnlyRootFilesystem()).isTrue();
                    assertThat(context.getCapabilities().getDrop()).containsExactly("ALL");
                    assertThat(context.getCapabilities().getAdd()).isEmpty();
                    assertThat(container.getResources().getLimits()).containsKey("memory");
                    assertThat(container.getResources().getRequests()).containsKeys("memory", "cpu");
                    assertThat(container.getStartupProbe()).isNotNull();
                    assertThat(container.getReadinessProbe()).isNotNull();
                    assertThat(container.getLivenessProbe()).isNotNull();
                });
    }
}
