package io.flynn.blobstore.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonClassDescription;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.fabric8.crd.generator.annotation.AdditionalPrinterColumn;
import io.fabric8.crdv2.generator.CRDGenerator;
import io.fabric8.crdv2.generator.CRDPostProcessor;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinitionVersion;
import io.fabric8.kubernetes.api.model.apiextensions.v1.JSONSchemaProps;
import io.fabric8.kubernetes.client.CustomResource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Generates {@code crds/} from the Java types, and adds what the generator has no annotation for. */
final class Crds {

    /** Where they are committed. */
    static final Path FOLDER = Path.of("crds");

    /** Their copies, since neither Helm nor kustomize reads beyond its own folder; updated with them. */
    static final List<Path> COPIES =
            List.of(Path.of("charts/blobstore-operator/files/crds"), Path.of("manifests/crds"));

    private static final List<Class<? extends CustomResource<?, ?>>> KINDS =
            List.of(BlobstoreBackend.class, BlobMigration.class);

    private static final String HEADER =
            "# Generated from io.flynn.blobstore.api.v1alpha1; don't edit: mvn test -Dtest=CrdsAreCurrentTest -Dcrds.update=true\n";

    private Crds() {}

    /** The files' contents, by name. */
    static Map<String, String> generate() throws IOException {
        Path folder = Files.createTempDirectory("crds");
        Map<String, String> files = new TreeMap<>();
        for (Class<? extends CustomResource<?, ?>> kind : KINDS) {
            new CRDGenerator()
                    .customResourceClasses(kind)
                    .inOutputDir(folder.toFile())
                    .withPostProcessor(new Finish(kind))
                    .detailedGenerate();
            String name = CustomResource.getCRDName(kind);
            Path generated = folder.resolve(name + "-v1.yml");
            files.put(
                    name.substring(0, name.indexOf('.')) + ".yaml",
                    HEADER + Files.readString(generated).lines().skip(1).collect(Collectors.joining("\n", "", "\n")));
            Files.delete(generated);
        }
        Files.delete(folder);
        return files;
    }

    private record Finish(Class<?> kind) implements CRDPostProcessor {

        @Override
        public HasMetadata process(HasMetadata generated, String crdSpecVersion) {
            CustomResourceDefinition crd = (CustomResourceDefinition) generated;
            for (CustomResourceDefinitionVersion version : crd.getSpec().getVersions()) {
                JSONSchemaProps root = version.getSchema().getOpenAPIV3Schema();
                root.setDescription(
                        kind.getAnnotation(JsonClassDescription.class).value());
                root.setRequired(List.of("spec"));
                version.getAdditionalPrinterColumns()
                        .sort(Comparator.comparing(column -> columnNames().indexOf(column.getName())));
                JSONSchemaProps status = root.getProperties().get("status");
                status.setDescription("What the operator observed.");
                // On the status itself: a default on the field alone would need a status to be there (kstatus:
                // TOOLCHAIN).
                status.setDefault(JsonNodeFactory.instance.objectNode().put("observedGeneration", -1));
                root.getProperties().get("spec").setDescription("What is wanted.");
                Schemas.walk(root, Finish::withoutDoubles);
                ConditionSchema.apply(status.getProperties().get("conditions"));
                EmbeddedSchemas.apply(
                        root.getProperties().get("spec").getProperties().get("podTemplate"));
            }
            return crd;
        }

        /** The generator finds a record component's rule twice, on the field and on the accessor. */
        private static void withoutDoubles(String name, JSONSchemaProps schema) {
            schema.setXKubernetesValidations(
                    schema.getXKubernetesValidations().stream().distinct().toList());
        }

        private List<String> columnNames() {
            return Arrays.stream(kind.getAnnotationsByType(AdditionalPrinterColumn.class))
                    .map(AdditionalPrinterColumn::name)
                    .toList();
        }
    }
}
