package io.flynn.blobstore.api.v1alpha1;

import io.fabric8.kubernetes.api.model.apiextensions.v1.JSONSchemaProps;
import java.util.function.BiConsumer;

/** Visits every schema within a schema. */
final class Schemas {

    private Schemas() {}

    /** Calls {@code visitor} with each field's name and schema, at any depth, from the outside in. */
    static void walk(JSONSchemaProps schema, BiConsumer<String, JSONSchemaProps> visitor) {
        if (schema.getProperties() != null) {
            schema.getProperties().forEach((name, field) -> {
                visitor.accept(name, field);
                walk(field, visitor);
            });
        }
        if (schema.getItems() != null && schema.getItems().getSchema() != null) {
            walk(schema.getItems().getSchema(), visitor);
        }
        if (schema.getAdditionalProperties() != null
                && schema.getAdditionalProperties().getSchema() != null) {
            walk(schema.getAdditionalProperties().getSchema(), visitor);
        }
    }
}
