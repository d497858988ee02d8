package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A set of places in an object, as {@code managedFields} records them ({@code fieldsV1}). Immutable.
 *
 * <p>Each node is one place; it is in the set if it is a {@link #member}; its children are named {@code f:field},
 * {@code k:{keys of a list item}} or {@code v:value}.
 */
record FieldSet(boolean member, Map<String, FieldSet> children) {

    static final FieldSet EMPTY = new FieldSet(false, Map.of());
    static final FieldSet LEAF = new FieldSet(true, Map.of());

    FieldSet {
        TreeMap<String, FieldSet> kept = new TreeMap<>(children);
        kept.values().removeIf(FieldSet::isEmpty);
        children = kept;
    }

    /** All places of {@code value} that can have an owner. */
    static FieldSet of(JsonNode value, Topology topology) {
        Map<String, FieldSet> children = new TreeMap<>();
        switch (topology.mode(value)) {
            case ATOMIC -> {
                return LEAF;
            }
            case FIELDS ->
                value.properties().forEach(field -> {
                    FieldSet inner = of(field.getValue(), topology.field(field.getKey()));
                    boolean bare = field.getValue().isNull()
                            || (field.getValue().isObject() && field.getValue().isEmpty());
                    children.put("f:" + field.getKey(), bare ? inner.asMember() : inner);
                });
            case KEYED ->
                value.forEach(item -> children.put(
                        topology.element(item), of(item, topology.item()).asMember()));
            case SET -> value.forEach(item -> children.put("v:" + Json.write(item), LEAF));
        }
        return new FieldSet(false, children);
    }

    static FieldSet fromJson(JsonNode fieldsV1) {
        Map<String, FieldSet> children = new TreeMap<>();
        fieldsV1.properties().forEach(entry -> {
            if (!entry.getKey().equals(".")) {
                FieldSet inner = fromJson(entry.getValue());
                children.put(entry.getKey(), entry.getValue().isEmpty() ? LEAF : inner);
            }
        });
        return new FieldSet(fieldsV1.has("."), children);
    }

    ObjectNode toJson() {
        ObjectNode json = Json.object();
        if (member && !children.isEmpty()) {
            json.set(".", Json.object());
        }
        children.forEach((name, child) -> json.set(name, child.toJson()));
        return json;
    }

    boolean isEmpty() {
        return !member && children.isEmpty();
    }

    FieldSet child(String name) {
        return children.getOrDefault(name, EMPTY);
    }

    FieldSet union(FieldSet other) {
        Map<String, FieldSet> all = new TreeMap<>(children);
        other.children.forEach((name, child) -> all.merge(name, child, FieldSet::union));
        return new FieldSet(member || other.member, all);
    }

    FieldSet intersect(FieldSet other) {
        Map<String, FieldSet> both = new TreeMap<>();
        children.forEach((name, child) -> both.put(name, child.intersect(other.child(name))));
        return new FieldSet(member && other.member, both);
    }

    FieldSet minus(FieldSet other) {
        Map<String, FieldSet> rest = new TreeMap<>();
        children.forEach((name, child) -> rest.put(name, child.minus(other.child(name))));
        return new FieldSet(member && !other.member, rest);
    }

    /** Without the places at and below {@code names}, which start at the root. */
    FieldSet without(List<String> names) {
        Map<String, FieldSet> rest = new TreeMap<>(children);
        if (names.size() == 1) {
            rest.remove(names.getFirst());
        } else {
            rest.computeIfPresent(names.getFirst(), (name, child) -> child.without(names.subList(1, names.size())));
        }
        return new FieldSet(member, rest);
    }

    /** The members, as messages write them: {@code .spec.containers[name="web"].image}. */
    List<String> paths() {
        List<String> paths = new ArrayList<>();
        collect("", paths);
        return paths;
    }

    private void collect(String path, List<String> into) {
        if (member) {
            into.add(path);
        }
        children.forEach((name, child) -> child.collect(path + step(name), into));
    }

    private static String step(String element) {
        String rest = element.substring(2);
        if (element.startsWith("f:")) {
            return "." + rest;
        }
        if (element.startsWith("v:")) {
            return "[=%s]".formatted(rest);
        }
        List<String> keys = new ArrayList<>();
        Json.read(rest).properties().forEach(key -> keys.add(key.getKey() + "=" + key.getValue()));
        return "[" + String.join(",", keys) + "]";
    }

    private FieldSet asMember() {
        return new FieldSet(true, children);
    }
}
