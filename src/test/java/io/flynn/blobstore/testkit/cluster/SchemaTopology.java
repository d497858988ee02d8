package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.stream.StreamSupport;

/** How a custom resource merges: by the list and map types in its schema; a list without one is atomic. */
record SchemaTopology(JsonNode schema) implements Topology {

    private static final Topology METADATA = BuiltInTopology.of("").field("metadata");

    /** The whole object's: its metadata merges as that of the built-in kinds. */
    static Topology of(JsonNode root) {
        SchemaTopology fields = new SchemaTopology(root);
        return new Topology() {
            @Override
            public Mode mode(JsonNode value) {
                return fields.mode(value);
            }

            @Override
            public List<String> keys() {
                return List.of();
            }

            @Override
            public Topology field(String name) {
                return name.equals("metadata") ? METADATA : fields.field(name);
            }

            @Override
            public Topology item() {
                return fields.item();
            }
        };
    }

    @Override
    public Mode mode(JsonNode value) {
        if (value.isObject()) {
            return Json.text(schema, "x-kubernetes-map-type").equals("atomic") ? Mode.ATOMIC : Mode.FIELDS;
        }
        if (!value.isArray()) {
            return Mode.ATOMIC;
        }
        return switch (Json.text(schema, "x-kubernetes-list-type")) {
            case "map" -> Mode.KEYED;
            case "set" -> Mode.SET;
            default -> Mode.ATOMIC;
        };
    }

    @Override
    public List<String> keys() {
        return StreamSupport.stream(schema.path("x-kubernetes-list-map-keys").spliterator(), false)
                .map(JsonNode::asText)
                .toList();
    }

    @Override
    public Topology field(String name) {
        JsonNode property = schema.path("properties").path(name);
        return new SchemaTopology(property.isMissingNode() ? schema.path("additionalProperties") : property);
    }

    @Override
    public Topology item() {
        return new SchemaTopology(schema.path("items"));
    }
}
