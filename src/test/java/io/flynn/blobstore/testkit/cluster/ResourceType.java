package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.util.List;
import java.util.Optional;

/**
 * One resource that the API server serves.
 *
 * @param statusSubresource whether {@code /status} exists, and the main endpoint ignores status
 * @param schema of a custom resource; empty for the built-in ones
 * @param columns the {@code additionalPrinterColumns} of a custom resource
 */
record ResourceType(
        String group,
        String version,
        String plural,
        String singular,
        String kind,
        List<String> shortNames,
        List<String> categories,
        boolean namespaced,
        boolean statusSubresource,
        Optional<CrdSchema> schema,
        JsonNode columns) {

    ResourceType {
        shortNames = List.copyOf(shortNames);
        categories = List.copyOf(categories);
    }

    static ResourceType builtIn(
            String group,
            String version,
            String plural,
            String kind,
            boolean namespaced,
            boolean status,
            String... shortNames) {
        return new ResourceType(
                group,
                version,
                plural,
                kind.toLowerCase(java.util.Locale.ROOT),
                kind,
                List.of(shortNames),
                List.of(),
                namespaced,
                status,
                Optional.empty(),
                JsonNodeFactory.instance.arrayNode());
    }

    String apiVersion() {
        return group.isEmpty() ? version : group + "/" + version;
    }

    /** As messages name it: {@code deployments.apps}. */
    String qualifiedPlural() {
        return group.isEmpty() ? plural : plural + "." + group;
    }

    /** As messages name it: {@code Deployment.apps}. */
    String qualifiedKind() {
        return group.isEmpty() ? kind : kind + "." + group;
    }

    /** Which lists and maps of this resource merge item by item. */
    Topology topology() {
        return schema.map(CrdSchema::topology).orElseGet(() -> BuiltInTopology.of(kind));
    }
}
