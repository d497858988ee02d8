package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;

/**
 * JSON trees and the typed model of the Kubernetes client, one into the other.
 *
 * <p>Trees always come from text: a tree made from Java values would hold its numbers in other node classes than a parsed one, and
 * equal objects would differ.
 */
final class Json {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final KubernetesSerialization MODEL = new KubernetesSerialization();

    private Json() {}

    /** Reads JSON, or YAML when it isn't JSON: server-side apply is sent as either. */
    static JsonNode read(String text) {
        try {
            return MAPPER.readTree(text);
        } catch (JsonProcessingException notJson) {
            try {
                return MODEL.unmarshal(text, JsonNode.class);
            } catch (RuntimeException notYaml) {
                throw ApiFailure.badRequest("the body is neither JSON nor YAML: " + notYaml.getMessage());
            }
        }
    }

    static String write(JsonNode tree) {
        return tree.toString();
    }

    static ObjectNode object() {
        return JsonNodeFactory.instance.objectNode();
    }

    /** A typed object as a tree. */
    static ObjectNode tree(Object typed) {
        return (ObjectNode) read(MODEL.asJson(typed));
    }

    static <T> T typed(JsonNode tree, Class<T> type) {
        try {
            return MODEL.convertValue(tree, type);
        } catch (IllegalArgumentException e) {
            throw ApiFailure.badRequest("not a valid %s: %s".formatted(type.getSimpleName(), e.getMessage()));
        }
    }

    /** The object at {@code field}, made if it isn't there. */
    static ObjectNode child(ObjectNode parent, String field) {
        return parent.get(field) instanceof ObjectNode there ? there : parent.putObject(field);
    }

    /** The list at {@code field}, made if it isn't there. */
    static ArrayNode array(ObjectNode parent, String field) {
        return parent.get(field) instanceof ArrayNode there ? there : parent.putArray(field);
    }

    static ObjectNode metadata(ObjectNode object) {
        return child(object, "metadata");
    }

    /** The text at {@code field}, empty if there is none. */
    static String text(JsonNode node, String field) {
        return node.path(field).asText("");
    }
}
