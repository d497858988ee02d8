package io.flynn.blobstore.testkit.story;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceColumnDefinition;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The columns that {@code kubectl get} shows of a custom resource, from its definition's {@code additionalPrinterColumns}: those
 * of priority 0, evaluated and padded as kubectl does. Knows of JSONPath what columns use: fields, {@code \.} within a field's
 * name, and {@code [?(@.type=="…")]}.
 */
final class Columns {

    private static final Pattern STEP =
            Pattern.compile("\\.((?:[^.\\[\\\\]|\\\\.)+)|\\[\\?\\(@\\.(\\w+)\\s*==\\s*[\"']([^\"']*)[\"']\\)\\]");

    /** What kubectl leaves between two columns. */
    private static final int GAP = 3;

    private final List<CustomResourceColumnDefinition> columns;
    private final List<Integer> widths = new ArrayList<>();

    Columns(CustomResourceDefinition definition) {
        columns = definition.getSpec().getVersions().getFirst().getAdditionalPrinterColumns().stream()
                .filter(column -> column.getPriority() == null || column.getPriority() == 0)
                .toList();
    }

    /** The cells of one resource, its name first. */
    List<String> cells(JsonNode resource, Instant now) {
        List<String> cells = new ArrayList<>();
        cells.add(resource.path("metadata").path("name").asText());
        for (CustomResourceColumnDefinition column : columns) {
            String value = evaluate(resource, column.getJsonPath());
            cells.add(column.getType().equals("date") ? age(value, now) : value);
        }
        return cells;
    }

    List<String> header() {
        List<String> cells = new ArrayList<>(List.of("NAME"));
        columns.forEach(column -> cells.add(column.getName().toUpperCase(Locale.ROOT)));
        return cells;
    }

    /** Makes room for these cells in every line from now on. */
    void widen(List<String> cells) {
        for (int i = 0; i < cells.size(); i++) {
            if (widths.size() <= i) {
                widths.add(0);
            }
            widths.set(i, Math.max(widths.get(i), cells.get(i).length()));
        }
    }

    /** One line; columns grow with what was seen so far and never shrink, as in {@code kubectl get -w}. */
    String line(List<String> cells) {
        widen(cells);
        StringBuilder line = new StringBuilder();
        for (int i = 0; i < cells.size(); i++) {
            line.append(cells.get(i)).repeat(' ', widths.get(i) - cells.get(i).length() + GAP);
        }
        return line.toString().stripTrailing();
    }

    /** As text; nothing when any step leads nowhere. */
    static String evaluate(JsonNode resource, String path) {
        JsonNode at = resource;
        Matcher step = STEP.matcher(path);
        int end = 0;
        while (step.find() && step.start() == end) {
            end = step.end();
            at = step.group(1) != null
                    ? at.path(step.group(1).replace("\\", ""))
                    : element(at, step.group(2), step.group(3));
        }
        if (end != path.length()) {
            throw new IllegalArgumentException("a JSONPath that columns don't use: " + path);
        }
        return at.isMissingNode() || at.isNull() ? "" : at.isValueNode() ? at.asText() : at.toString();
    }

    private static JsonNode element(JsonNode list, String key, String value) {
        for (JsonNode element : list) {
            if (element.path(key).asText().equals(value)) {
                return element;
            }
        }
        return MissingNode.getInstance();
    }

    /** As kubectl tells ages: two units while small, one when large. */
    static String age(String timestamp, Instant now) {
        if (timestamp.isEmpty()) {
            return "<unknown>";
        }
        Duration age = Duration.between(Instant.parse(timestamp), now);
        long seconds = Math.max(0, age.toSeconds());
        if (seconds < 120) {
            return seconds + "s";
        }
        if (seconds < 600) {
            return seconds % 60 == 0 ? seconds / 60 + "m" : "%dm%ds".formatted(seconds / 60, seconds % 60);
        }
        if (seconds < 3 * 3600) {
            return seconds / 60 + "m";
        }
        return seconds < 48 * 3600 ? seconds / 3600 + "h" : seconds / 86_400 + "d";
    }
}
