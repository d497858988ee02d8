package io.flynn.blobstore.api.v1alpha1;

import io.fabric8.kubernetes.api.model.apiextensions.v1.JSONSchemaProps;
import java.util.List;
import java.util.Map;

/** Makes a list of conditions what {@code metav1.Condition} prescribes: a map by type, with its required fields. */
final class ConditionSchema {

    private static final Map<String, String> DESCRIPTIONS = Map.of(
            "type", "What is meant.",
            "status", "True, False or Unknown.",
            "reason", "Why, as a constant.",
            "message", "Why, and what to do.",
            "lastTransitionTime", "When the status last changed.",
            "observedGeneration", "The generation of the spec that this condition is about.");

    private ConditionSchema() {}

    static void apply(JSONSchemaProps conditions) {
        conditions.setXKubernetesListType("map");
        conditions.setXKubernetesListMapKeys(List.of("type"));
        JSONSchemaProps condition = conditions.getItems().getSchema();
        condition.setRequired(List.of("lastTransitionTime", "message", "reason", "status", "type"));
        condition.getProperties().forEach((name, field) -> field.setDescription(DESCRIPTIONS.get(name)));
        condition.getProperties().get("reason").setMinLength(1L);
    }
}
