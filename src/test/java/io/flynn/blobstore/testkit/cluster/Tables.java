package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/** What {@code kubectl get} shows: the printer columns of a custom resource, name and age of the rest. */
final class Tables {

    private record Column(String name, String type, String path, int priority) {}

    private Tables() {}

    static ObjectNode ofList(ResourceType type, ObjectNode list) {
        List<ObjectNode> objects = new ArrayList<>();
        list.path("items").forEach(item -> objects.add((ObjectNode) item));
        ObjectNode table = of(type, objects);
        table.set("metadata", list.get("metadata"));
        return table;
    }

    static ObjectNode of(ResourceType type, List<ObjectNode> objects) {
        List<Column> columns = columns(type);
        ObjectNode table = Json.object().put("kind", "Table").put("apiVersion", "meta.k8s.io/v1");
        table.putObject("metadata");
        ArrayNode definitions = table.putArray("columnDefinitions");
        for (Column column : columns) {
            definitions
                    .addObject()
                    .put("name", column.name())
                    .put("type", column.type().equals("date") ? "string" : column.type())
                    .put("format", column.path().equals(".metadata.name") ? "name" : "")
                    .put("description", "")
                    .put("priority", column.priority());
        }
        ArrayNode rows = table.putArray("rows");
        for (ObjectNode object : objects) {
            ObjectNode row = rows.addObject();
            ArrayNode cells = row.putArray("cells");
            columns.forEach(column -> cells.add(cell(column, object)));
            ObjectNode partial =
                    row.putObject("object").put("kind", "PartialObjectMetadata").put("apiVersion", "meta.k8s.io/v1");
            partial.set("metadata", object.get("metadata"));
        }
        return table;
    }

    private static List<Column> columns(ResourceType type) {
        List<Column> columns = new ArrayList<>();
        columns.add(new Column("Name", "string", ".metadata.name", 0));
        for (JsonNode column : type.columns()) {
            columns.add(new Column(
                    Json.text(column, "name"),
                    Json.text(column, "type"),
                    Json.text(column, "jsonPath"),
                    column.path("priority").asInt()));
        }
        if (type.columns().isEmpty()) {
            columns.add(new Column("Age", "date", ".metadata.creationTimestamp", 0));
        }
        return columns;
    }

    private static JsonNode cell(Column column, ObjectNode object) {
        JsonNode value = at(object, column.path());
        if (column.type().equals("date") && value.isTextual()) {
            return Json.object().textNode(age(Duration.between(Instant.parse(value.asText()), Instant.now())));
        }
        return value.isMissingNode() ? Json.object().nullNode() : value;
    }

    /** The two forms of JSONPath that printer columns use: fields, and one item of a list by a field's value. */
    private static JsonNode at(JsonNode object, String path) {
        JsonNode value = object;
        for (String step : path.substring(1).split("\\.(?![^\\[]*\\])")) {
            int bracket = step.indexOf("[?(@.");
            value = value.path(bracket < 0 ? step : step.substring(0, bracket));
            if (bracket >= 0) {
                String[] condition =
                        step.substring(bracket + 5, step.length() - 2).split("==", 2);
                String wanted = condition[1].strip().replaceAll("[\"']", "");
                JsonNode hit = Json.object().path("none");
                for (JsonNode item : value) {
                    if (Json.text(item, condition[0].strip()).equals(wanted)) {
                        hit = item;
                    }
                }
                value = hit;
            }
        }
        return value;
    }

    /** As kubectl writes it: the largest unit that leaves more than one, roughly. */
    private static String age(Duration age) {
        if (age.toSeconds() < 120) {
            return Math.max(0, age.toSeconds()) + "s";
        }
        if (age.toMinutes() < 120) {
            return age.toMinutes() + "m";
        }
        return age.toHours() < 48 ? age.toHours() + "h" : age.toDays() + "d";
    }
}
