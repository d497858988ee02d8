package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.flynn.blobstore.testkit.cluster.ApiFailure.Cause;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/** What the API server refuses in built-in objects, as far as the product could get it wrong. */
final class BuiltInRules {

    private static final Pattern SUBDOMAIN =
            Pattern.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*");
    private static final Pattern LABEL_VALUE = Pattern.compile("(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?");
    private static final int LABEL_LENGTH_MAX = 63;

    private BuiltInRules() {}

    /** @param old empty on create */
    static List<Cause> check(ResourceType type, ObjectNode next, ObjectNode old) {
        List<Cause> causes = new ArrayList<>();
        metadata(type, next.path("metadata"), causes);
        JsonNode spec = next.path("spec");
        switch (type.kind()) {
            case "Deployment" -> {
                require(spec, "selector", "spec.selector", causes);
                pod(spec.path("template"), "spec.template", causes);
                selects(spec.path("selector"), spec.path("template"), causes);
                immutable(spec, old.path("spec"), "selector", causes);
                if (!Json.text(spec.path("template").path("spec"), "restartPolicy")
                        .equals("Always")) {
                    causes.add(Cause.invalid("spec.template.spec.restartPolicy", "", "must be Always"));
                }
            }
            case "Job" -> job(spec, old.path("spec"), causes);
            case "Pod" -> pod(next, "", causes);
            case "Secret", "ConfigMap" -> unchangedIfImmutable(type, next, old, causes);
            default -> {}
        }
        return causes;
    }

    private static void metadata(ResourceType type, JsonNode metadata, List<Cause> causes) {
        String name = Json.text(metadata, "name");
        int longest = type.kind().equals("Job") || type.kind().equals("Namespace") ? LABEL_LENGTH_MAX : 253;
        if (!SUBDOMAIN.matcher(name).matches() || name.length() > longest) {
            causes.add(Cause.invalid(
                    "metadata.name",
                    "\"%s\"".formatted(name),
                    "a lowercase RFC 1123 subdomain, no longer than " + longest));
        }
        labels(metadata, "metadata.labels", causes);
        for (JsonNode owner : metadata.path("ownerReferences")) {
            for (String field : List.of("apiVersion", "kind", "name", "uid")) {
                require(owner, field, "metadata.ownerReferences." + field, causes);
            }
        }
    }

    private static void labels(JsonNode metadata, String at, List<Cause> causes) {
        metadata.path("labels").properties().forEach(label -> {
            String value = label.getValue().asText();
            if (value.length() > LABEL_LENGTH_MAX || !LABEL_VALUE.matcher(value).matches()) {
                causes.add(Cause.invalid(at, "\"%s\"".formatted(value), "must be a valid label value"));
            }
        });
    }

    private static void job(JsonNode spec, JsonNode old, List<Cause> causes) {
        pod(spec.path("template"), "spec.template", causes);
        String restart = Json.text(spec.path("template").path("spec"), "restartPolicy");
        if (!restart.equals("Never") && !restart.equals("OnFailure")) {
            causes.add(new Cause(
                    "FieldValueRequired",
                    "spec.template.spec.restartPolicy",
                    "Required value: valid values: \"OnFailure\", \"Never\""));
        }
        if (restart.equals("OnFailure") || Json.text(spec, "completionMode").equals("Indexed")) {
            throw ApiFailure.notImplemented("Jobs that restart their pods' containers, or with an index");
        }
        if (spec.has("podFailurePolicy") && !restart.equals("Never")) {
            causes.add(Cause.invalid(
                    "spec.template.spec.restartPolicy",
                    "\"%s\"".formatted(restart),
                    "only \"Never\" is supported when podFailurePolicy is specified"));
        }
        immutable(spec, old, "template", causes);
        immutable(spec, old, "selector", causes);
        immutable(spec, old, "completions", causes);
        immutable(spec, old, "podFailurePolicy", causes);
    }

    private static void pod(JsonNode pod, String path, List<Cause> causes) {
        String at = path.isEmpty() ? "spec" : path + ".spec";
        if (!path.isEmpty()) {
            labels(pod.path("metadata"), path + ".labels", causes);
        }
        JsonNode spec = pod.path("spec");
        Set<String> volumes = new HashSet<>();
        spec.path("volumes").forEach(volume -> volumes.add(Json.text(volume, "name")));
        if (spec.path("containers").isEmpty()) {
            causes.add(Cause.required(at + ".containers"));
        }
        for (String list : List.of("initContainers", "containers")) {
            for (int i = 0; i < spec.path(list).size(); i++) {
                container(spec.path(list).get(i), volumes, "%s.%s[%d]".formatted(at, list, i), causes);
            }
        }
    }

    private static void container(JsonNode container, Set<String> volumes, String at, List<Cause> causes) {
        require(container, "name", at + ".name", causes);
        require(container, "image", at + ".image", causes);
        for (int i = 0; i < container.path("env").size(); i++) {
            JsonNode entry = container.path("env").get(i);
            String entryAt = at + ".env[" + i + "]";
            require(entry, "name", entryAt + ".name", causes);
            if (entry.has("valueFrom") && !Json.text(entry, "value").isEmpty()) {
                causes.add(Cause.invalid(
                        entryAt + ".valueFrom", "\"\"", "may not be specified when `value` is not empty"));
            }
            if (entry.path("valueFrom").size() > 1) {
                causes.add(Cause.invalid(
                        entryAt + ".valueFrom", "\"\"", "may not have more than one field specified at a time"));
            }
        }
        for (int i = 0; i < container.path("volumeMounts").size(); i++) {
            String volume = Json.text(container.path("volumeMounts").get(i), "name");
            if (!volumes.contains(volume)) {
                causes.add(new Cause(
                        "FieldValueNotFound",
                        "%s.volumeMounts[%d].name".formatted(at, i),
                        "Not found: \"%s\"".formatted(volume)));
            }
        }
    }

    private static void selects(JsonNode selector, JsonNode template, List<Cause> causes) {
        if (!Selector.ofLabelSelector(selector).matches(template)) {
            causes.add(Cause.invalid(
                    "spec.template.metadata.labels",
                    template.path("metadata").path("labels").toString(),
                    "`selector` does not match template `labels`"));
        }
    }

    private static void unchangedIfImmutable(ResourceType type, ObjectNode next, ObjectNode old, List<Cause> causes) {
        if (old.path("immutable").asBoolean()) {
            if (!next.path("immutable").asBoolean()) {
                causes.add(Cause.forbidden("immutable", "field is immutable when `immutable` is set"));
            }
            if (!next.path("data").equals(old.path("data"))) {
                causes.add(Cause.forbidden("data", "field is immutable when `immutable` is set"));
            }
        }
        if (type.kind().equals("Secret")
                && old.has("type")
                && !next.path("type").equals(old.path("type"))) {
            causes.add(Cause.invalid("type", next.path("type").toString(), "field is immutable"));
        }
    }

    private static void immutable(JsonNode spec, JsonNode old, String field, List<Cause> causes) {
        if (!old.isMissingNode() && !spec.path(field).equals(old.path(field))) {
            causes.add(Cause.invalid("spec." + field, spec.path(field).toString(), "field is immutable"));
        }
    }

    private static void require(JsonNode object, String field, String at, List<Cause> causes) {
        JsonNode value = object.path(field);
        if (value.isMissingNode()
                || value.isNull()
                || (value.isTextual() && value.asText().isEmpty())) {
            causes.add(Cause.required(at));
        }
    }
}
