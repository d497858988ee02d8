package io.flynn.blobstore.operate;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * The JSON patch for what server-side apply can't do: an entry with {@code value} can't get a {@code valueFrom} (422, even
 * forced), and what another manager holds too, stays. It tests the resourceVersion, so it changes only what was looked at. Pure.
 */
final class DeploymentPatch {

    private DeploymentPatch() {}

    /** Puts {@code ours} in the place of entries of the same names; empty if none is there that an apply couldn't change. */
    static Optional<String> replacing(
            Deployment live, String container, List<EnvVar> ours, KubernetesSerialization json) {
        Map<String, EnvVar> byName = ours.stream().collect(Collectors.toMap(EnvVar::getName, Function.identity()));
        return patch(live, container, json, entry -> {
            boolean takes = entry.getValue() != null;
            return Optional.of(Optional.ofNullable(byName.get(entry.getName()))
                    .filter(own -> (own.getValue() != null) != takes)
                    .orElse(entry));
        });
    }

    /** Takes the variables out, whoever holds them; empty if there is none. */
    static Optional<String> removing(
            Deployment live, String container, List<String> variables, KubernetesSerialization json) {
        return patch(
                live,
                container,
                json,
                entry -> variables.contains(entry.getName()) ? Optional.empty() : Optional.of(entry));
    }

    private static Optional<String> patch(
            Deployment live,
            String container,
            KubernetesSerialization json,
            Function<EnvVar, Optional<EnvVar>> change) {
        List<Container> containers = live.getSpec().getTemplate().getSpec().getContainers();
        for (int index = 0; index < containers.size(); index++) {
            if (containers.get(index).getName().equals(container)) {
                List<EnvVar> before = containers.get(index).getEnv();
                List<EnvVar> after = new ArrayList<>();
                before.forEach(entry -> change.apply(entry).ifPresent(after::add));
                return after.equals(before) ? Optional.empty() : Optional.of(patch(live, index, after, json));
            }
        }
        return Optional.empty();
    }

    private static String patch(Deployment live, int index, List<EnvVar> entries, KubernetesSerialization json) {
        ArrayNode patch = JsonNodeFactory.instance.arrayNode();
        patch.add(operation("test", "/metadata/resourceVersion")
                .put("value", live.getMetadata().getResourceVersion()));
        ObjectNode replace = operation("replace", "/spec/template/spec/containers/%d/env".formatted(index));
        replace.set("value", json.convertValue(entries, ArrayNode.class));
        patch.add(replace);
        return patch.toString();
    }

    private static ObjectNode operation(String name, String path) {
        return JsonNodeFactory.instance.objectNode().put("op", name).put("path", path);
    }
}
