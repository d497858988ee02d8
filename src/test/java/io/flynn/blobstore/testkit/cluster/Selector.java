package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Which objects a list or watch is about, by labels and fields. */
record Selector(List<Predicate<JsonNode>> requirements) {

    static final Selector EVERYTHING = new Selector(List.of());

    private static final Pattern SET_BASED = Pattern.compile("(\\S+)\\s+(in|notin)\\s+\\(([^)]*)\\)");
    private static final Pattern EQUALITY = Pattern.compile("([^=!\\s]+)\\s*(==|=|!=)\\s*(\\S*)");
    private static final Pattern EXISTS = Pattern.compile("!?[^=!\\s()]+");
    private static final Pattern BETWEEN_REQUIREMENTS = Pattern.compile(",(?![^(]*\\))");

    /** Fields that can be selected on, by what the product and kubectl use; every other is refused, as Kubernetes does. */
    private static final Map<String, Set<String>> FIELDS = Map.of(
            "Pod", Set.of("spec.nodeName", "status.phase"),
            "Event", Set.of("involvedObject.uid", "involvedObject.name", "involvedObject.namespace", "regarding.uid"),
            "Secret", Set.of("type"));

    Selector {
        requirements = List.copyOf(requirements);
    }

    boolean matches(JsonNode object) {
        return requirements.stream().allMatch(requirement -> requirement.test(object));
    }

    /** From a request's {@code labelSelector} and {@code fieldSelector}, either may be empty. */
    static Selector of(ResourceType type, String labels, String fields) {
        List<Predicate<JsonNode>> requirements = new ArrayList<>();
        for (String requirement : split(labels)) {
            requirements.add(labelRequirement(requirement));
        }
        for (String requirement : split(fields)) {
            requirements.add(fieldRequirement(type, requirement));
        }
        return new Selector(requirements);
    }

    /** From a {@code LabelSelector} of a workload's spec. */
    static Selector ofLabelSelector(JsonNode selector) {
        List<Predicate<JsonNode>> requirements = new ArrayList<>();
        selector.path("matchLabels")
                .properties()
                .forEach(label ->
                        requirements.add(object -> label.getValue().asText().equals(label(object, label.getKey()))));
        if (!selector.path("matchExpressions").isEmpty()) {
            throw ApiFailure.notImplemented("matchExpressions");
        }
        return new Selector(requirements);
    }

    private static List<String> split(String selector) {
        return BETWEEN_REQUIREMENTS
                .splitAsStream(selector)
                .map(String::strip)
                .filter(requirement -> !requirement.isEmpty())
                .toList();
    }

    private static Predicate<JsonNode> labelRequirement(String requirement) {
        Matcher setBased = SET_BASED.matcher(requirement);
        if (setBased.matches()) {
            String key = setBased.group(1);
            Set<String> values = Arrays.stream(setBased.group(3).split(","))
                    .map(String::strip)
                    .collect(Collectors.toSet());
            boolean in = setBased.group(2).equals("in");
            return object -> has(object, key) && values.contains(label(object, key)) == in || !in && !has(object, key);
        }
        if (EXISTS.matcher(requirement).matches()) {
            boolean absent = requirement.startsWith("!");
            String key = absent ? requirement.substring(1) : requirement;
            return object -> has(object, key) != absent;
        }
        Matcher equality = EQUALITY.matcher(requirement);
        if (!equality.matches()) {
            throw ApiFailure.badRequest("unable to parse requirement: " + requirement);
        }
        String key = equality.group(1);
        String value = equality.group(3);
        boolean same = !equality.group(2).equals("!=");
        return object -> (has(object, key) && label(object, key).equals(value)) == same;
    }

    private static Predicate<JsonNode> fieldRequirement(ResourceType type, String requirement) {
        Matcher equality = EQUALITY.matcher(requirement);
        if (!equality.matches()) {
            throw ApiFailure.badRequest("invalid field selector: " + requirement);
        }
        String field = equality.group(1);
        if (!Set.of("metadata.name", "metadata.namespace").contains(field)
                && !FIELDS.getOrDefault(type.kind(), Set.of()).contains(field)) {
            throw ApiFailure.badRequest("field label not supported: " + field);
        }
        String pointer = "/" + field.replace('.', '/');
        boolean same = !equality.group(2).equals("!=");
        return object -> object.at(pointer).asText("").equals(equality.group(3)) == same;
    }

    private static boolean has(JsonNode object, String key) {
        return object.path("metadata").path("labels").has(key);
    }

    private static String label(JsonNode object, String key) {
        return Json.text(object.path("metadata").path("labels"), key);
    }
}
