package io.flynn.blobstore.api.v1alpha1;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.fabric8.kubernetes.api.model.apiextensions.v1.JSONSchemaProps;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Adds to Kubernetes' own types within a {@code podTemplate} what the generator doesn't know of them: descriptions, required
 * fields, allowed values. Takes away what we don't pass on.
 */
final class EmbeddedSchemas {

    /** As the API server parses it ({@code resource.Quantity}). */
    private static final String QUANTITY =
            "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTP]i)|[numkMGTPE]|([eE](\\+|-)?[0-9]+))?$";

    private static final Map<String, String> DESCRIPTIONS = Map.ofEntries(
            Map.entry("nodeAffinity", "Nodes to be on."),
            Map.entry("podAffinity", "Pods to be near to."),
            Map.entry("podAntiAffinity", "Pods to be far from."),
            Map.entry("preferredDuringSchedulingIgnoredDuringExecution", "What is preferred."),
            Map.entry("requiredDuringSchedulingIgnoredDuringExecution", "What must be."),
            Map.entry("nodeSelectorTerms", "Of these, one must be met."),
            Map.entry("preference", "What is preferred of a node."),
            Map.entry("podAffinityTerm", "Which pods, and how near."),
            Map.entry("weight", "How much it counts, 1 to 100."),
            Map.entry("matchExpressions", "What must be true of the labels; all of it."),
            Map.entry("matchFields", "What must be true of the fields; all of it."),
            Map.entry("matchLabels", "Labels that must be there, with these values."),
            Map.entry("matchLabelKeys", "Labels whose values must be those of the pod."),
            Map.entry("mismatchLabelKeys", "Labels whose values must not be those of the pod."),
            Map.entry("labelSelector", "Which pods, by their labels."),
            Map.entry("namespaceSelector", "In which namespaces, by their labels."),
            Map.entry("namespaces", "In which namespaces."),
            Map.entry("topologyKey", "The node label that says what near is."),
            Map.entry("key", "The label, field or taint."),
            Map.entry("operator", "How it is compared."),
            Map.entry("values", "With what it is compared."),
            Map.entry("value", "The taint's value."),
            Map.entry("effect", "The taint's effect; if unset, any."),
            Map.entry("tolerationSeconds", "How long a NoExecute taint is tolerated; if unset, for ever."),
            Map.entry("limits", "What may be used at most."),
            Map.entry("requests", "What is asked for."));

    private EmbeddedSchemas() {}

    static void apply(JSONSchemaProps podTemplate) {
        JSONSchemaProps spec = podTemplate.getProperties().get("spec");
        // Claims name entries of a pod's resourceClaims, which a podTemplate doesn't have.
        spec.getProperties().get("resources").getProperties().remove("claims");
        Schemas.walk(spec, EmbeddedSchemas::finish);
        Schemas.walk(spec.getProperties().get("affinity"), (name, field) -> expressions(field));
        limit(spec.getProperties().get("tolerations").getItems().getSchema(), "operator", "Equal", "Exists");
        limit(
                spec.getProperties().get("tolerations").getItems().getSchema(),
                "effect",
                "NoSchedule",
                "PreferNoSchedule",
                "NoExecute");
    }

    private static void finish(String name, JSONSchemaProps field) {
        if (field.getDescription() == null) {
            field.setDescription(DESCRIPTIONS.get(name));
        }
        switch (name) {
            case "weight" -> {
                field.setMinimum(1.0);
                field.setMaximum(100.0);
            }
            case "limits", "requests" ->
                field.getAdditionalProperties().getSchema().setPattern(QUANTITY);
            case "preferredDuringSchedulingIgnoredDuringExecution" -> {
                JSONSchemaProps term = field.getItems().getSchema();
                term.setRequired(term.getProperties().keySet().stream().sorted().toList());
                requireTopologyKey(term.getProperties().get("podAffinityTerm"));
            }
            case "requiredDuringSchedulingIgnoredDuringExecution" -> {
                if (field.getItems() == null) {
                    field.setRequired(List.of("nodeSelectorTerms"));
                } else {
                    requireTopologyKey(field.getItems().getSchema());
                }
            }
            default -> {}
        }
    }

    private static void requireTopologyKey(JSONSchemaProps term) {
        if (term != null) {
            term.setRequired(List.of("topologyKey"));
        }
    }

    private static void expressions(JSONSchemaProps field) {
        JSONSchemaProps item =
                field.getItems() == null ? null : field.getItems().getSchema();
        if (item != null && item.getProperties() != null && item.getProperties().containsKey("operator")) {
            item.setRequired(List.of("key", "operator"));
            limit(item, "operator", "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt");
        }
    }

    private static void limit(JSONSchemaProps schema, String field, String... values) {
        List<JsonNode> allowed = Stream.of(values)
                .map(value -> (JsonNode) JsonNodeFactory.instance.textNode(value))
                .toList();
        schema.getProperties().get(field).setEnum(allowed);
    }
}
