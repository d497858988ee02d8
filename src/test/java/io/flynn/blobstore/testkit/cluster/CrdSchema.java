package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.flynn.blobstore.testkit.cluster.ApiFailure.Cause;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.StreamSupport;

/**
 * The schema of a custom resource: gives defaults, finds and prunes unknown fields, validates.
 *
 * <p>A keyword that is not implemented is refused when the CustomResourceDefinition is created, so that no rule is silently not
 * checked. CEL rules are evaluated by {@link CelRules}.
 */
final class CrdSchema {

    private static final Set<String> KEYWORDS = Set.of(
            "type",
            "description",
            "properties",
            "additionalProperties",
            "items",
            "required",
            "enum",
            "pattern",
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "maxProperties",
            "format",
            "default",
            "nullable",
            "anyOf", // only beside x-kubernetes-int-or-string, where Kubernetes demands exactly one form of it
            "x-kubernetes-int-or-string",
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-list-type",
            "x-kubernetes-list-map-keys",
            "x-kubernetes-map-type",
            "x-kubernetes-validations");

    private static final Set<String> FORMATS = Set.of("date-time", "int32", "int64", "");

    private final JsonNode root;
    private final CelRules rules;

    CrdSchema(JsonNode root) {
        this.root = root;
        refuseUnknownKeywords(root, "openAPIV3Schema");
        rules = new CelRules(root);
    }

    Topology topology() {
        return SchemaTopology.of(root);
    }

    /** Adds the defaults, in place. */
    void applyDefaults(ObjectNode object) {
        applyDefaults(object, root);
    }

    /** Removes fields that the schema doesn't know, in place, and names them. */
    List<String> prune(ObjectNode object) {
        List<String> unknown = new ArrayList<>();
        Set<String> always = Set.of("apiVersion", "kind", "metadata");
        for (String name : fieldNames(object)) {
            if (!always.contains(name)) {
                pruneField(object, name, root, name, unknown);
            }
        }
        return unknown;
    }

    /** What is wrong with {@code object}; transition rules compare it with {@code old}, which is empty on create. */
    List<Cause> validate(ObjectNode object, ObjectNode old) {
        List<Cause> causes = new ArrayList<>();
        validate(object, root, "", causes);
        if (causes.isEmpty()) {
            // As in Kubernetes, which doesn't run rules over values of the wrong shape.
            rules.check(object, old, causes);
        }
        return causes;
    }

    private static void refuseUnknownKeywords(JsonNode schema, String path) {
        for (String keyword : fieldNames(schema)) {
            if (!KEYWORDS.contains(keyword)) {
                throw ApiFailure.notImplemented("the schema keyword \"%s\" at %s".formatted(keyword, path));
            }
        }
        if (!FORMATS.contains(Json.text(schema, "format"))) {
            throw ApiFailure.notImplemented("format \"%s\" at %s".formatted(Json.text(schema, "format"), path));
        }
        if (schema.has("anyOf") && !schema.path("x-kubernetes-int-or-string").asBoolean()) {
            throw ApiFailure.notImplemented("anyOf at " + path);
        }
        schema.path("properties")
                .properties()
                .forEach(property -> refuseUnknownKeywords(property.getValue(), path + "." + property.getKey()));
        if (schema.path("additionalProperties").isObject()) {
            refuseUnknownKeywords(schema.get("additionalProperties"), path + ".*");
        }
        if (schema.has("items")) {
            refuseUnknownKeywords(schema.get("items"), path + "[]");
        }
    }

    private static void applyDefaults(JsonNode value, JsonNode schema) {
        if (value instanceof ObjectNode object) {
            schema.path("properties").properties().forEach(property -> {
                JsonNode there = object.get(property.getKey());
                boolean absent = there == null
                        || (there.isNull()
                                && !property.getValue().path("nullable").asBoolean());
                if (absent && property.getValue().has("default")) {
                    object.set(
                            property.getKey(),
                            property.getValue().get("default").deepCopy());
                }
                if (object.has(property.getKey())) {
                    applyDefaults(object.get(property.getKey()), property.getValue());
                }
            });
            if (schema.path("additionalProperties").isObject()) {
                object.forEach(item -> applyDefaults(item, schema.get("additionalProperties")));
            }
        } else if (value.isArray()) {
            value.forEach(item -> applyDefaults(item, schema.path("items")));
        }
    }

    private static void pruneField(
            ObjectNode parent, String name, JsonNode parentSchema, String path, List<String> unknown) {
        JsonNode schema = parentSchema.path("properties").path(name);
        if (schema.isMissingNode() && parentSchema.path("additionalProperties").isObject()) {
            schema = parentSchema.get("additionalProperties");
        }
        if (schema.isMissingNode()) {
            if (!parentSchema.path("x-kubernetes-preserve-unknown-fields").asBoolean()) {
                parent.remove(name);
                unknown.add(path);
            }
            return;
        }
        if (parent.get(name).isNull() && !schema.path("nullable").asBoolean()) {
            parent.remove(name); // as Kubernetes does: null means absent
            return;
        }
        pruneValue(parent.get(name), schema, path, unknown);
    }

    private static void pruneValue(JsonNode value, JsonNode schema, String path, List<String> unknown) {
        if (value instanceof ObjectNode object) {
            for (String name : fieldNames(object)) {
                pruneField(object, name, schema, path + "." + name, unknown);
            }
        } else if (value.isArray()) {
            for (int i = 0; i < value.size(); i++) {
                pruneValue(value.get(i), schema.path("items"), path + "[" + i + "]", unknown);
            }
        }
    }

    private static void validate(JsonNode value, JsonNode schema, String path, List<Cause> causes) {
        if (!hasType(value, schema)) {
            causes.add(Cause.invalid(
                    path,
                    "\"%s\"".formatted(typeOf(value)),
                    "%s in body must be of type %s: \"%s\"".formatted(path, Json.text(schema, "type"), typeOf(value))));
            return;
        }
        if (schema.has("enum")
                && StreamSupport.stream(schema.get("enum").spliterator(), false).noneMatch(value::equals)) {
            List<String> supported = StreamSupport.stream(schema.get("enum").spliterator(), false)
                    .map(JsonNode::toString)
                    .toList();
            causes.add(new Cause(
                    "FieldValueNotSupported",
                    path,
                    "Unsupported value: %s: supported values: %s".formatted(value, String.join(", ", supported))));
        }
        if (value.isTextual()) {
            validateText(value.asText(), schema, path, causes);
        } else if (value.isNumber()) {
            validateNumber(value, schema, path, causes);
        } else if (value.isArray()) {
            validateSize(value, "Items", "items", schema, path, causes);
            for (int i = 0; i < value.size(); i++) {
                validate(value.get(i), schema.path("items"), path + "[" + i + "]", causes);
            }
        } else if (value.isObject()) {
            validateSize(value, "Properties", "properties", schema, path, causes);
            validateFields(value, schema, path, causes);
        }
    }

    private static void validateFields(JsonNode value, JsonNode schema, String path, List<Cause> causes) {
        for (JsonNode required : schema.path("required")) {
            if (!value.has(required.asText())) {
                causes.add(Cause.required(join(path, required.asText())));
            }
        }
        value.properties().forEach(field -> {
            JsonNode inner = schema.path("properties").path(field.getKey());
            if (inner.isMissingNode()) {
                inner = schema.path("additionalProperties");
            }
            if (inner.isObject()) {
                validate(field.getValue(), inner, join(path, field.getKey()), causes);
            }
        });
    }

    private static void validateText(String value, JsonNode schema, String path, List<Cause> causes) {
        int length = value.codePointCount(0, value.length());
        if (schema.has("maxLength") && length > schema.get("maxLength").asInt()) {
            causes.add(new Cause(
                    "FieldValueTooLong",
                    path,
                    "Too long: may not be more than %d bytes"
                            .formatted(schema.get("maxLength").asInt())));
        }
        if (schema.has("minLength") && length < schema.get("minLength").asInt()) {
            causes.add(Cause.invalid(
                    path,
                    "\"%s\"".formatted(value),
                    "%s in body should be at least %d chars long"
                            .formatted(path, schema.get("minLength").asInt())));
        }
        if (schema.has("pattern")
                && !pattern(Json.text(schema, "pattern")).matcher(value).find()) {
            causes.add(Cause.invalid(
                    path,
                    "\"%s\"".formatted(value),
                    "%s in body should match '%s'".formatted(path, Json.text(schema, "pattern"))));
        }
        if (Json.text(schema, "format").equals("date-time") && !isDateTime(value)) {
            causes.add(Cause.invalid(
                    path,
                    "\"%s\"".formatted(value),
                    "%s in body must be of type date-time: \"%s\"".formatted(path, value)));
        }
    }

    private static boolean isDateTime(String value) {
        try {
            java.time.OffsetDateTime.parse(value);
            return true;
        } catch (java.time.format.DateTimeParseException e) {
            return false;
        }
    }

    private static void validateNumber(JsonNode value, JsonNode schema, String path, List<Cause> causes) {
        if (schema.has("maximum")
                && value.decimalValue().compareTo(schema.get("maximum").decimalValue()) > 0) {
            causes.add(Cause.invalid(
                    path,
                    value.toString(),
                    "%s in body should be less than or equal to %s".formatted(path, whole(schema.get("maximum")))));
        }
        if (schema.has("minimum")
                && value.decimalValue().compareTo(schema.get("minimum").decimalValue()) < 0) {
            causes.add(Cause.invalid(
                    path,
                    value.toString(),
                    "%s in body should be greater than or equal to %s".formatted(path, whole(schema.get("minimum")))));
        }
    }

    /** The API server's {@code $} is the very end of the text; Java's is before a last newline, too. */
    private static Pattern pattern(String regex) {
        return Pattern.compile(regex.endsWith("$") ? regex.substring(0, regex.length() - 1) + "\\z" : regex);
    }

    /** Generated schemas write bounds as {@code 1.0}; messages don't. */
    private static String whole(JsonNode number) {
        return number.decimalValue().stripTrailingZeros().toPlainString();
    }

    private static void validateSize(
            JsonNode value, String keyword, String word, JsonNode schema, String path, List<Cause> causes) {
        if (schema.has("max" + keyword)
                && value.size() > schema.get("max" + keyword).asInt()) {
            causes.add(new Cause(
                    "FieldValueTooMany",
                    path,
                    "Too many: %d: must have at most %d %s"
                            .formatted(value.size(), schema.get("max" + keyword).asInt(), word)));
        }
        if (schema.has("min" + keyword)
                && value.size() < schema.get("min" + keyword).asInt()) {
            causes.add(Cause.invalid(
                    path,
                    String.valueOf(value.size()),
                    "%s in body should have at least %d %s"
                            .formatted(path, schema.get("min" + keyword).asInt(), word)));
        }
    }

    private static boolean hasType(JsonNode value, JsonNode schema) {
        if (schema.path("x-kubernetes-int-or-string").asBoolean()) {
            return value.isTextual() || value.isIntegralNumber();
        }
        if (value.isNull()) {
            return schema.path("nullable").asBoolean();
        }
        return switch (Json.text(schema, "type")) {
            case "object" -> value.isObject();
            case "array" -> value.isArray();
            case "string" -> value.isTextual();
            case "boolean" -> value.isBoolean();
            case "integer" -> value.isIntegralNumber();
            case "number" -> value.isNumber();
            default -> true;
        };
    }

    private static String typeOf(JsonNode value) {
        return value.isIntegralNumber() ? "integer" : value.getNodeType().name().toLowerCase(java.util.Locale.ROOT);
    }

    private static String join(String path, String field) {
        return path.isEmpty() ? field : path + "." + field;
    }

    private static List<String> fieldNames(JsonNode object) {
        return object.properties().stream().map(java.util.Map.Entry::getKey).toList();
    }
}
