package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Locale;

/**
 * What the API server fills into built-in objects: the defaults that are seen when an object is read back, which the product copies
 * and compares. Source: {@code pkg/apis/.../defaults.go} of Kubernetes.
 */
final class BuiltInDefaults {

    private BuiltInDefaults() {}

    /** In place. */
    static void apply(ResourceType type, ObjectNode object) {
        ObjectNode spec = object.get("spec") instanceof ObjectNode there ? there : Json.object();
        switch (type.kind()) {
            case "Deployment" -> deployment(spec);
            case "Job" -> job(object, spec);
            case "Pod" -> podSpec(spec);
            case "Secret" -> secret(object);
            case "Namespace" -> namespace(object);
            case "Service" -> service(spec);
            case "CustomResourceDefinition" -> definition(object, spec);
            default -> {}
        }
    }

    private static void deployment(ObjectNode spec) {
        absent(spec, "replicas", 1);
        absent(spec, "revisionHistoryLimit", 10);
        absent(spec, "progressDeadlineSeconds", 600);
        ObjectNode strategy = Json.child(spec, "strategy");
        absent(strategy, "type", "RollingUpdate");
        if (Json.text(strategy, "type").equals("RollingUpdate")) {
            ObjectNode rolling = Json.child(strategy, "rollingUpdate");
            absent(rolling, "maxSurge", "25%");
            absent(rolling, "maxUnavailable", "25%");
        }
        if (spec.path("template").path("spec") instanceof ObjectNode pod) {
            podSpec(pod);
        }
    }

    private static void job(ObjectNode job, ObjectNode spec) {
        absent(spec, "backoffLimit", 6);
        if (!spec.has("parallelism")) {
            absent(spec, "completions", 1); // a work queue names its parallelism and no completions
        }
        absent(spec, "parallelism", 1);
        absent(spec, "completionMode", "NonIndexed");
        absent(spec, "suspend", false);
        absent(spec, "manualSelector", false);
        absent(spec, "podReplacementPolicy", spec.has("podFailurePolicy") ? "Failed" : "TerminatingOrFailed");
        if (spec.path("template").path("spec") instanceof ObjectNode pod) {
            podSpec(pod);
        }
        String uid = Json.text(job.path("metadata"), "uid");
        if (!spec.has("selector") && !uid.isEmpty()) {
            String name = Json.text(job.path("metadata"), "name");
            Json.child(Json.child(spec, "selector"), "matchLabels").put("batch.kubernetes.io/controller-uid", uid);
            Json.child(Json.metadata(Json.child(spec, "template")), "labels")
                    .put("batch.kubernetes.io/controller-uid", uid)
                    .put("batch.kubernetes.io/job-name", name)
                    .put("controller-uid", uid)
                    .put("job-name", name);
        }
    }

    private static void podSpec(ObjectNode pod) {
        absent(pod, "restartPolicy", "Always");
        absent(pod, "terminationGracePeriodSeconds", 30);
        absent(pod, "dnsPolicy", "ClusterFirst");
        absent(pod, "schedulerName", "default-scheduler");
        Json.child(pod, "securityContext");
        pod.path("containers").forEach(container -> container((ObjectNode) container));
        pod.path("initContainers").forEach(container -> container((ObjectNode) container));
        for (JsonNode volume : pod.path("volumes")) {
            for (String source : new String[] {"secret", "configMap", "downwardAPI", "projected"}) {
                if (volume.get(source) instanceof ObjectNode reference) {
                    absent(reference, "defaultMode", 420);
                }
            }
        }
    }

    private static void container(ObjectNode container) {
        absent(container, "terminationMessagePath", "/dev/termination-log");
        absent(container, "terminationMessagePolicy", "File");
        String image = Json.text(container, "image");
        boolean latest = image.endsWith(":latest")
                || !image.substring(image.lastIndexOf('/') + 1).contains(":");
        absent(container, "imagePullPolicy", latest ? "Always" : "IfNotPresent");
        Json.child(container, "resources");
        container.path("ports").forEach(port -> absent((ObjectNode) port, "protocol", "TCP"));
        for (JsonNode entry : container.path("env")) {
            if (entry.path("valueFrom").get("fieldRef") instanceof ObjectNode reference) {
                absent(reference, "apiVersion", "v1");
            }
        }
        for (String probe : new String[] {"readinessProbe", "livenessProbe", "startupProbe"}) {
            if (container.get(probe) instanceof ObjectNode there) {
                absent(there, "timeoutSeconds", 1);
                absent(there, "periodSeconds", 10);
                absent(there, "successThreshold", 1);
                absent(there, "failureThreshold", 3);
                if (there.get("httpGet") instanceof ObjectNode get) {
                    absent(get, "scheme", "HTTP");
                    absent(get, "path", "/");
                }
            }
        }
    }

    /** {@code stringData} is write-only: it overwrites entries of {@code data} and is never read back. */
    private static void secret(ObjectNode secret) {
        absent(secret, "type", "Opaque");
        secret.path("stringData")
                .properties()
                .forEach(entry -> Json.child(secret, "data")
                        .put(
                                entry.getKey(),
                                Base64.getEncoder()
                                        .encodeToString(
                                                entry.getValue().asText().getBytes(StandardCharsets.UTF_8))));
        secret.remove("stringData");
    }

    private static void namespace(ObjectNode namespace) {
        Json.child(Json.metadata(namespace), "labels")
                .put("kubernetes.io/metadata.name", Json.text(namespace.path("metadata"), "name"));
        absent(Json.child(namespace, "status"), "phase", "Active");
    }

    private static void service(ObjectNode spec) {
        absent(spec, "type", "ClusterIP");
        absent(spec, "sessionAffinity", "None");
        absent(spec, "clusterIP", "10.96.0.10"); // for the environment of pods alone: nothing listens there
        for (JsonNode port : spec.path("ports")) {
            absent((ObjectNode) port, "protocol", "TCP");
            if (!port.has("targetPort")) {
                ((ObjectNode) port).set("targetPort", port.get("port"));
            }
        }
    }

    /** Served at once: what Kubernetes' controllers answer a moment later. */
    private static void definition(ObjectNode definition, ObjectNode spec) {
        ObjectNode names = Json.child(spec, "names");
        String kind = Json.text(names, "kind");
        absent(names, "singular", kind.toLowerCase(Locale.ROOT));
        absent(names, "listKind", kind + "List");
        ObjectNode status = Json.child(definition, "status");
        status.set("acceptedNames", names.deepCopy());
        ArrayNode conditions = status.putArray("conditions");
        for (String type : List.of("NamesAccepted", "Established")) {
            conditions
                    .addObject()
                    .put("type", type)
                    .put("status", "True")
                    .put("reason", type)
                    .put("lastTransitionTime", Json.text(definition.path("metadata"), "creationTimestamp"));
        }
    }

    private static void absent(ObjectNode object, String field, String value) {
        if (!object.hasNonNull(field)) {
            object.put(field, value);
        }
    }

    private static void absent(ObjectNode object, String field, int value) {
        if (!object.hasNonNull(field)) {
            object.put(field, value);
        }
    }

    private static void absent(ObjectNode object, String field, boolean value) {
        if (!object.hasNonNull(field)) {
            object.put(field, value);
        }
    }
}
