package io.flynn.blobstore.manifest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.rbac.RoleBinding;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two ways to install, one thing that is installed; with the same kinds. */
class ChartMatchesManifestsTest {
    private static final KubernetesSerialization YAML = new KubernetesSerialization();
    private static final Path MANIFESTS = Path.of("manifests");

    @Test
    void theManifestsAreTheChartsDefaults() throws IOException {
        var chart = Chart.render(Map.of()).stream()
                .filter(object -> !(object instanceof CustomResourceDefinition))
                .toList();
        var manifests = Chart.parse(Files.readString(MANIFESTS.resolve("operator.yaml")));
        assertThat(plain(manifests)).isEqualTo(plain(chart));
    }

    @Test
    void bothInstallEveryKind() throws IOException {
        var kinds = names(Path.of("crds"));
        assertThat(names(Chart.FOLDER.resolve("files/crds"))).isEqualTo(kinds);
        assertThat(names(MANIFESTS.resolve("crds"))).isEqualTo(kinds);
        var kustomization = YAML.unmarshal(Files.readString(MANIFESTS.resolve("kustomization.yaml")), JsonNode.class);
        assertThat(kustomization.path("resources"))
                .extracting(JsonNode::asText)
                .containsAll(kinds.stream().map("crds/"::concat).toList());
    }

    @Test
    void anOverlayChangesNamespaceAndImage(@TempDir Path folder) throws Exception {
        var kubectl = kubectl();
        assumeTrue(kubectl != null, "kubectl is not on the PATH");
        Files.writeString(
                folder.resolve("kustomization.yaml"), """
                namespace: elsewhere
                resources: [%s]
                images: [{name: blobstore-operator, newName: registry.example/blobstore, newTag: "9"}]
                patches:
                  - patch: |-
                      apiVersion: apps/v1
                      kind: Deployment
                      metadata: {name: blobstore-operator}
                      spec:
                        template:
                          spec:
                            containers:
                              - name: operator
                                env: [{name: BLOBSTORE_IMAGE, value: "registry.example/blobstore:9"}]
                """.formatted(folder.relativize(MANIFESTS.toAbsolutePath())));
        var process = new ProcessBuilder(kubectl, "kustomize", folder.toString())
                .redirectErrorStream(true)
                .start();
        var output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(output).isZero();
        var objects = Chart.parse(output);
        assertThat(objects)
                .filteredOn(CustomResourceDefinition.class::isInstance)
                .hasSize(2);
        var deployment = objects.stream()
                .filter(Deployment.class::isInstance)
                .map(Deployment.class::cast)
                .findFirst()
                .orElseThrow();
        assertThat(deployment.getMetadata().getNamespace()).isEqualTo("elsewhere");
        var container =
                deployment.getSpec().getTemplate().getSpec().getContainers().getFirst();
        assertThat(container.getImage()).isEqualTo("registry.example/blobstore:9");
        assertThat(container.getEnv())
                .filteredOn(variable -> variable.getName().equals("BLOBSTORE_IMAGE"))
                .singleElement()
                .satisfies(variable -> assertThat(variable.getValue()).isEqualTo("registry.example/blobstore:9"));
        assertThat(objects)
                .filteredOn(RoleBinding.class::isInstance)
                .flatExtracting(object -> ((RoleBinding) object).getSubjects())
                .allSatisfy(subject -> assertThat(subject.getNamespace()).isEqualTo("elsewhere"));
    }

    private static String kubectl() {
        return Stream.of(System.getenv().getOrDefault("PATH", "").split(":"))
                .map(folder -> Path.of(folder, "kubectl"))
                .filter(Files::isExecutable)
                .map(Path::toString)
                .findFirst()
                .orElse(null);
    }

    /** Each object by kind and name, without what Helm adds and what kustomization.yaml sets. */
    private static Map<String, String> plain(List<HasMetadata> objects) {
        var plain = new TreeMap<String, String>();
        for (var object : objects) {
            var metadata = object.getMetadata();
            metadata.setNamespace(null);
            if (object instanceof RoleBinding binding) {
                binding.getSubjects().forEach(subject -> subject.setNamespace(null));
            }
            metadata.getLabels().keySet().removeAll(List.of("helm.sh/chart", "app.kubernetes.io/managed-by"));
            plain.put(object.getKind() + " " + metadata.getName(), YAML.asYaml(object));
        }
        return plain;
    }

    private static List<String> names(Path folder) throws IOException {
        try (var files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }
}
