package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * How the built-in kinds merge, by the names of fields: their lists keep the same keys wherever they occur, with the exceptions that
 * are spelled out here.
 *
 * <p>Source: the {@code x-kubernetes-list-type} and {@code x-kubernetes-map-type} entries of Kubernetes' OpenAPI.
 */
record BuiltInTopology(String kind, String parent, String name) implements Topology {

    private static final Map<String, List<String>> KEYED = Map.ofEntries(
            Map.entry("containers", List.of("name")),
            Map.entry("initContainers", List.of("name")),
            Map.entry("env", List.of("name")),
            Map.entry("volumes", List.of("name")),
            Map.entry("imagePullSecrets", List.of("name")),
            Map.entry("volumeMounts", List.of("mountPath")),
            Map.entry("volumeDevices", List.of("devicePath")),
            Map.entry("hostAliases", List.of("ip")),
            Map.entry("topologySpreadConstraints", List.of("topologyKey", "whenUnsatisfiable")),
            Map.entry("ownerReferences", List.of("uid")),
            Map.entry("conditions", List.of("type")));

    private static final Set<String> ATOMIC_MAPS = Set.of(
            "selector",
            "labelSelector",
            "nodeSelector",
            "secretKeyRef",
            "configMapKeyRef",
            "fieldRef",
            "resourceFieldRef");

    static Topology of(String kind) {
        return new BuiltInTopology(kind, "", "");
    }

    @Override
    public Mode mode(JsonNode value) {
        if (value.isObject()) {
            return isAtomicMap() ? Mode.ATOMIC : Mode.FIELDS;
        }
        if (!value.isArray()) {
            return Mode.ATOMIC;
        }
        if (name.equals("finalizers") && parent.equals("metadata")) {
            return Mode.SET;
        }
        return keys().isEmpty() ? Mode.ATOMIC : Mode.KEYED;
    }

    /** A Service's selector is a granular map; the other selectors are LabelSelectors, which are atomic. */
    private boolean isAtomicMap() {
        return ATOMIC_MAPS.contains(name) && !(kind.equals("Service") && name.equals("selector"));
    }

    @Override
    public List<String> keys() {
        if (name.equals("ports")) {
            return kind.equals("Service") ? List.of("port", "protocol") : List.of("containerPort", "protocol");
        }
        if (name.equals("conditions") && kind.equals("Job")) {
            return List.of();
        }
        return KEYED.getOrDefault(name, List.of());
    }

    @Override
    public Topology field(String field) {
        return new BuiltInTopology(kind, name, field);
    }

    @Override
    public Topology item() {
        return new BuiltInTopology(kind, name, "");
    }
}
