package io.flynn.blobstore.manifest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.marcnuri.helm.Helm;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.LocalObjectReference;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.rbac.ClusterRole;
import io.fabric8.kubernetes.api.model.rbac.Role;
import io.fabric8.kubernetes.api.model.rbac.RoleBinding;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The chart as a person who sets values meets it. */
class ChartTest {
    @Test
    void lintFindsNothing() {
        var result = new Helm(Chart.FOLDER).lint().strict().call();
        assertThat(result.isFailed()).as("%s", result.getMessages()).isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "allowInsecureEndpoint, true", // misspelt
        "image.pullpolicy, Always",
        "image.pullPolicy, Sometimes",
        "image.digest, latest",
        "image.tag, v1:2",
        "replicas, -1",
        "leaderElection, maybe",
        "watchNamespace, Blob_Store",
        "runAsUser, 0",
    })
    void valuesThatTheSchemaDoesNotKnowAreRefused(String key, String value) {
        assertThatThrownBy(() -> Chart.render(Map.of(key, value))).hasMessageContaining(key.replaceFirst("\\..*", ""));
    }

    @Test
    void aSpareNeedsTheLease() {
        assertThatThrownBy(() -> Chart.render(Map.of("replicas", 2, "leaderElection", false)))
                .hasMessageContaining("more than one replica needs leaderElection: true");
        assertThat(surplus(Map.of("replicas", 2))).isEqualTo(1);
        assertThat(surplus(Map.of("leaderElection", false)))
                .as("the old pod goes first")
                .isZero();
        assertThat(names(Chart.render(Role.class, Map.of("leaderElection", false))))
                .as("without a lease nobody may write one")
                .containsExactly("blobstore-operator");
    }

    @Test
    void workerPodsGetTheOperatorsImage() {
        var digest = "sha256:" + "0a".repeat(32);
        var deployment = deployment(Map.of(
                "image.repository", "registry.example/blobstore",
                "image.digest", digest,
                "image.pullPolicy", "Always",
                "imagePullSecrets[0]", "pull-one",
                "imagePullSecrets[1]", "pull-two"));
        var pod = deployment.getSpec().getTemplate().getSpec();
        assertThat(pod.getContainers().getFirst().getImage()).isEqualTo("registry.example/blobstore@" + digest);
        assertThat(pod.getImagePullSecrets())
                .extracting(LocalObjectReference::getName)
                .containsExactly("pull-one", "pull-two");
        assertThat(environment(deployment))
                .containsEntry("BLOBSTORE_IMAGE", "registry.example/blobstore@" + digest)
                .containsEntry("BLOBSTORE_IMAGE_PULL_POLICY", "Always")
                .containsEntry("BLOBSTORE_IMAGE_PULL_SECRETS", "pull-one,pull-two");
    }

    @Test
    void permissionsFollowTheWatchedNamespaceAndTheLeaseStaysWithTheOperator() {
        var values = Map.of("watchNamespace", "files");
        assertThat(environment(deployment(values))).containsEntry("BLOBSTORE_WATCH_NAMESPACE", "files");
        assertThat(namespaces(Chart.render(Role.class, values)))
                .isEqualTo(Map.of("blobstore-operator", "files", "blobstore-operator-lease", "blobstore"));
        assertThat(namespaces(Chart.render(RoleBinding.class, values)))
                .isEqualTo(Map.of("blobstore-operator", "files", "blobstore-operator-lease", "blobstore"));
        assertThat(Chart.render(RoleBinding.class, values))
                .flatExtracting(RoleBinding::getSubjects)
                .allSatisfy(subject -> assertThat(subject.getNamespace()).isEqualTo("blobstore"));
    }

    @Test
    void nothingReachesBeyondItsNamespaceButTheKinds() {
        assertThat(Chart.render(ClusterRole.class, Map.of())).isEmpty();
        assertThat(Chart.render(Map.of()))
                .filteredOn(object -> !(object instanceof CustomResourceDefinition))
                .allSatisfy(object -> assertThat(object.getMetadata().getNamespace())
                        .as("%s", object.getKind())
                        .isEqualTo(Chart.NAMESPACE));
    }

    @Test
    void theKindsOutliveTheRelease() {
        assertThat(Chart.render(CustomResourceDefinition.class, Map.of()))
                .hasSize(2)
                .allSatisfy(kind -> assertThat(kind.getMetadata().getAnnotations())
                        .containsEntry("helm.sh/resource-policy", "keep"));
        assertThat(Chart.render(CustomResourceDefinition.class, Map.of("crds.install", false)))
                .isEmpty();
    }

    @Test
    void theVersionIsThePrograms() throws IOException {
        var properties = new Properties();
        try (var file = ChartTest.class.getResourceAsStream("/version.properties")) {
            properties.load(file);
        }
        var version = properties.getProperty("version");
        var chart = Files.readString(Chart.FOLDER.resolve("Chart.yaml"));
        assertThat(chart).contains("\nversion: " + version + "\n").contains("\nappVersion: \"" + version + "\"\n");
    }

    private static Deployment deployment(Map<String, ?> values) {
        return Chart.render(Deployment.class, values).getFirst();
    }

    private static int surplus(Map<String, ?> values) {
        return deployment(values)
                .getSpec()
                .getStrategy()
                .getRollingUpdate()
                .getMaxSurge()
                .getIntVal();
    }

    private static Map<String, String> environment(Deployment deployment) {
        return deployment.getSpec().getTemplate().getSpec().getContainers().getFirst().getEnv().stream()
                .filter(variable -> variable.getValue() != null)
                .collect(Collectors.toMap(EnvVar::getName, EnvVar::getValue));
    }

    private static List<String> names(List<? extends HasMetadata> objects) {
        return objects.stream().map(object -> object.getMetadata().getName()).toList();
    }

    private static Map<String, String> namespaces(List<? extends HasMetadata> objects) {
        return objects.stream()
                .collect(Collectors.toMap(
                        object -> object.getMetadata().getName(),
                        object -> object.getMetadata().getNamespace()));
    }
}
