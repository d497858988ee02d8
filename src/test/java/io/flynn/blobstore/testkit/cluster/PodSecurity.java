package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Pod Security {@code restricted}, in namespaces whose label asks for it
 * (<a href="https://kubernetes.io/docs/concepts/security/pod-security-standards/">the standard</a>).
 */
final class PodSecurity {

    private static final String LABEL = "pod-security.kubernetes.io/enforce";
    private static final Set<String> VOLUMES = Set.of(
            "name",
            "configMap",
            "csi",
            "downwardAPI",
            "emptyDir",
            "ephemeral",
            "persistentVolumeClaim",
            "projected",
            "secret");

    private PodSecurity() {}

    static boolean isEnforced(JsonNode namespace) {
        return Json.text(namespace.path("metadata").path("labels"), LABEL).equals("restricted");
    }

    /** What {@code restricted} forbids in this pod. */
    static List<String> violations(JsonNode podSpec) {
        List<String> found = new ArrayList<>();
        for (String field : List.of("hostNetwork", "hostPID", "hostIPC")) {
            if (podSpec.path(field).asBoolean()) {
                found.add(field + "=true");
            }
        }
        for (JsonNode volume : podSpec.path("volumes")) {
            volume.properties().stream()
                    .filter(field -> !VOLUMES.contains(field.getKey()))
                    .forEach(field -> found.add("restricted volume type " + field.getKey()));
        }
        for (String list : List.of("initContainers", "containers")) {
            podSpec.path(list).forEach(container -> check(podSpec.path("securityContext"), container, found));
        }
        return found;
    }

    private static void check(JsonNode pod, JsonNode container, List<String> found) {
        String name = "container \"%s\": ".formatted(Json.text(container, "name"));
        JsonNode own = container.path("securityContext");
        JsonNode escalation = own.path("allowPrivilegeEscalation");
        if (!escalation.isBoolean()
                || escalation.asBoolean()
                || own.path("privileged").asBoolean()) {
            found.add(name + "allowPrivilegeEscalation != false or privileged");
        }
        boolean dropsAll = false;
        for (JsonNode dropped : own.path("capabilities").path("drop")) {
            dropsAll |= dropped.asText().equals("ALL");
        }
        boolean adds = false;
        for (JsonNode added : own.path("capabilities").path("add")) {
            adds |= !added.asText().equals("NET_BIND_SERVICE");
        }
        if (!dropsAll || adds) {
            found.add(name + "unrestricted capabilities");
        }
        if (!own.path("runAsNonRoot").asBoolean(pod.path("runAsNonRoot").asBoolean())) {
            found.add(name + "runAsNonRoot != true");
        }
        if (own.path("runAsUser").asInt(pod.path("runAsUser").asInt(1)) == 0) {
            found.add(name + "runAsUser=0");
        }
        JsonNode seccomp = own.has("seccompProfile") ? own.path("seccompProfile") : pod.path("seccompProfile");
        if (!Set.of("RuntimeDefault", "Localhost").contains(Json.text(seccomp, "type"))) {
            found.add(name + "seccompProfile");
        }
    }
}
