package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What server-side apply does to a tree: merge an intent into it, compare two of them, remove places from one.
 *
 * <p>Follows {@code sigs.k8s.io/structured-merge-diff}, including the order in which it puts the items of merged lists: that order is
 * what {@code $(VAR)} expansion in {@code env} depends on.
 */
final class TreeMerge {

    private TreeMerge() {}

    /** {@code live} with everything that {@code intent} says; what it doesn't mention stays. Neither argument is changed. */
    static JsonNode merge(JsonNode live, JsonNode intent, Topology topology) {
        Topology.Mode mode = topology.mode(intent);
        if (mode == Topology.Mode.FIELDS && live instanceof ObjectNode) {
            ObjectNode merged = live.deepCopy();
            intent.properties()
                    .forEach(field -> merged.set(
                            field.getKey(),
                            live.has(field.getKey())
                                    ? merge(live.get(field.getKey()), field.getValue(), topology.field(field.getKey()))
                                    : field.getValue().deepCopy()));
            return merged;
        }
        if ((mode == Topology.Mode.KEYED || mode == Topology.Mode.SET) && live instanceof ArrayNode) {
            return mergeLists(items(live, topology), items(intent, topology), topology);
        }
        return intent.deepCopy();
    }

    /**
     * Items of {@code live} stay in front of the next item that both lists have; items that only {@code intent} has come after the
     * live ones of that stretch; items in both keep the order of {@code intent}.
     */
    private static ArrayNode mergeLists(Map<String, JsonNode> live, Map<String, JsonNode> intent, Topology topology) {
        List<String> left = List.copyOf(live.keySet());
        List<String> right = List.copyOf(intent.keySet());
        List<String> shared = right.stream().filter(live::containsKey).toList();
        ArrayNode merged = JsonNodeFactory.instance.arrayNode();
        int l = 0;
        int r = 0;
        int s = 0;
        while (l < left.size() || r < right.size()) {
            if (l < left.size() && !intent.containsKey(left.get(l))) {
                merged.add(live.get(left.get(l++)).deepCopy());
                continue;
            }
            if (l < left.size() && (s == shared.size() || !shared.get(s).equals(left.get(l)))) {
                l++; // in both, but its turn comes by the intent's order
                continue;
            }
            if (r < right.size()) {
                String element = right.get(r++);
                if (s < shared.size() && shared.get(s).equals(element)) {
                    s++;
                }
                if (l < left.size() && left.get(l).equals(element)) {
                    l++;
                }
                merged.add(
                        live.containsKey(element)
                                ? merge(live.get(element), intent.get(element), topology.item())
                                : intent.get(element).deepCopy());
            }
        }
        return merged;
    }

    /** The places that both trees have, with other values. */
    static FieldSet modified(JsonNode before, JsonNode after, Topology topology) {
        if (before.equals(after)) {
            return FieldSet.EMPTY;
        }
        Topology.Mode mode = topology.mode(after);
        if (mode == Topology.Mode.ATOMIC || mode != topology.mode(before)) {
            return FieldSet.LEAF;
        }
        Map<String, FieldSet> children = new LinkedHashMap<>();
        switch (mode) {
            case FIELDS ->
                after.properties().stream()
                        .filter(field -> before.has(field.getKey()))
                        .forEach(field -> children.put(
                                "f:" + field.getKey(),
                                modified(
                                        before.get(field.getKey()), field.getValue(), topology.field(field.getKey()))));
            case KEYED -> {
                Map<String, JsonNode> old = items(before, topology);
                items(after, topology).forEach((element, item) -> {
                    if (old.containsKey(element)) {
                        children.put(element, modified(old.get(element), item, topology.item()));
                    }
                });
            }
            case SET, ATOMIC -> {}
        }
        return new FieldSet(false, children);
    }

    /** {@code tree} without the members of {@code places}; objects that become empty by it go too. */
    static JsonNode remove(JsonNode tree, FieldSet places, Topology topology) {
        return switch (tree) {
            case ObjectNode object -> {
                ObjectNode rest = Json.object();
                object.properties().forEach(field -> {
                    FieldSet inner = places.child("f:" + field.getKey());
                    if (inner.isEmpty()) {
                        rest.set(field.getKey(), field.getValue());
                    } else if (!inner.member()) {
                        JsonNode kept = remove(field.getValue(), inner, topology.field(field.getKey()));
                        if (!kept.isEmpty()) {
                            rest.set(field.getKey(), kept);
                        }
                    }
                });
                yield rest;
            }
            case ArrayNode list -> {
                ArrayNode rest = JsonNodeFactory.instance.arrayNode();
                items(list, topology).forEach((element, item) -> {
                    FieldSet inner = places.child(element);
                    if (inner.isEmpty()) {
                        rest.add(item);
                    } else if (!inner.member()) {
                        rest.add(remove(item, inner, topology.item()));
                    }
                });
                yield rest;
            }
            default -> tree;
        };
    }

    /** The items of a keyed list or set by their names, in order. */
    private static Map<String, JsonNode> items(JsonNode list, Topology topology) {
        Map<String, JsonNode> items = new LinkedHashMap<>();
        List<String> twice = new ArrayList<>();
        list.forEach(item -> {
            String element = topology.element(item);
            if (items.putIfAbsent(element, item) != null) {
                twice.add(element);
            }
        });
        if (!twice.isEmpty()) {
            throw ApiFailure.badRequest("a list has two items with the same key: " + twice);
        }
        return items;
    }
}
