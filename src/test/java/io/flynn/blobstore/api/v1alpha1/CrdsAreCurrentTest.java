package io.flynn.blobstore.api.v1alpha1;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.api.model.apiextensions.v1.JSONSchemaProps;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** {@code crds/} is what the types say, and says everything that a user must know. */
class CrdsAreCurrentTest {

    private static final Map<String, String> GENERATED = generated();

    static Map<String, String> generated() {
        try {
            return Crds.generate();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    @BeforeAll
    static void update() throws IOException {
        if (Boolean.getBoolean("crds.update")) {
            for (Path folder : everyFolder()) {
                Files.createDirectories(folder);
                for (Map.Entry<String, String> file : GENERATED.entrySet()) {
                    Files.writeString(folder.resolve(file.getKey()), file.getValue());
                }
            }
        }
    }

    static Stream<String> files() {
        return GENERATED.keySet().stream();
    }

    static List<Path> everyFolder() {
        return Stream.concat(Stream.of(Crds.FOLDER), Crds.COPIES.stream()).toList();
    }

    @ParameterizedTest
    @MethodSource("files")
    void committedFileIsWhatTheTypesSay(String file) {
        assertThat(everyFolder())
                .allSatisfy(folder -> assertThat(folder.resolve(file))
                        .as("run: mvn test -Dtest=CrdsAreCurrentTest -Dcrds.update=true")
                        .hasContent(GENERATED.get(file)));
    }

    @Test
    void nothingElseIsCommittedThere() throws IOException {
        try (Stream<Path> files = Files.list(Crds.FOLDER)) {
            assertThat(files.map(path -> path.getFileName().toString()))
                    .containsExactlyInAnyOrderElementsOf(GENERATED.keySet());
        }
    }

    @ParameterizedTest
    @MethodSource("files")
    void everyFieldIsDescribed(String file) {
        List<String> silent = new ArrayList<>();
        Schemas.walk(root(file), (name, field) -> {
            if ((field.getDescription() == null || field.getDescription().isBlank())) {
                silent.add(name);
            }
        });
        assertThat(silent).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("files")
    void everyTextOfTheSpecIsConstrained(String file) {
        List<String> free = new ArrayList<>();
        JSONSchemaProps spec = root(file).getProperties().get("spec");
        spec.getProperties().remove("podTemplate");
        Schemas.walk(spec, (name, field) -> {
            boolean limited = field.getPattern() != null
                    || field.getEnum() != null && !field.getEnum().isEmpty();
            if ("string".equals(field.getType()) && !limited) {
                free.add(name);
            }
        });
        assertThat(free).as("a string that could hold a space, a newline or $(").isEmpty();
    }

    @ParameterizedTest
    @MethodSource("files")
    void everyFieldOfTheSpecIsRequiredOrHasADefaultOrAConstraint(String file) {
        List<String> loose = new ArrayList<>();
        JSONSchemaProps spec = root(file).getProperties().get("spec");
        spec.getProperties().remove("podTemplate");
        Schemas.walk(spec, (name, field) -> {
            boolean optionalScalar =
                    field.getProperties() == null || field.getProperties().isEmpty();
            if (optionalScalar && field.getDefault() == null && field.getPattern() == null) {
                loose.add(name);
            }
        });
        assertThat(loose).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("files")
    void statusSaysThatNobodyLookedYet(String file) {
        assertThat(root(file).getProperties().get("status").getDefault().toString())
                .isEqualTo("{\"observedGeneration\":-1}");
    }

    @ParameterizedTest
    @MethodSource("files")
    void conditionsAreAMapByType(String file) {
        JSONSchemaProps conditions =
                root(file).getProperties().get("status").getProperties().get("conditions");
        assertThat(conditions.getXKubernetesListType()).isEqualTo("map");
        assertThat(conditions.getXKubernetesListMapKeys()).containsExactly("type");
    }

    @Test
    void aPodTemplateIsAClosedList() {
        JSONSchemaProps template = root("blobstorebackends.yaml")
                .getProperties()
                .get("spec")
                .getProperties()
                .get("podTemplate");
        assertThat(template.getProperties().keySet()).containsExactlyInAnyOrder("metadata", "spec");
        assertThat(template.getProperties().get("metadata").getProperties().keySet())
                .containsExactlyInAnyOrder("labels", "annotations");
        assertThat(template.getProperties().get("spec").getProperties().keySet())
                .as("no image, command, service account, environment or volume")
                .containsExactlyInAnyOrder("resources", "nodeSelector", "tolerations", "affinity", "priorityClassName");
    }

    private static JSONSchemaProps root(String file) {
        return Serialization.unmarshal(GENERATED.get(file), CustomResourceDefinition.class)
                .getSpec()
                .getVersions()
                .getFirst()
                .getSchema()
                .getOpenAPIV3Schema();
    }
}
