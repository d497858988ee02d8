package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.flynn.blobstore.testkit.cluster.ApiServer.Write;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** From an HTTP request to what the API server is to do, and to the answer. */
final class ApiRoutes {

    record Answer(int code, String contentType, String body) {

        static Answer json(int code, JsonNode body) {
            return new Answer(code, "application/json", Json.write(body));
        }
    }

    private final ApiServer api;
    private final PodLogs logs;
    private final Discovery discovery;

    ApiRoutes(ApiServer api, PodLogs logs) {
        this.api = api;
        this.logs = logs;
        discovery = new Discovery(api.types());
    }

    /** The request as RBAC sees it; discovery has the verb get and no resource. */
    ApiCall call(ApiRequest request) {
        Optional<Target> target = target(request);
        return new ApiCall(
                target.map(t -> verb(request, t)).orElse("get"),
                target.map(t -> t.type().group()).orElse(""),
                target.map(Target::resource).orElse(""),
                target.map(Target::namespace).orElse(""),
                target.map(Target::name).orElse(""),
                request.user(),
                request.userAgent(),
                request.query("fieldManager"),
                0);
    }

    Answer answer(ApiRequest request) {
        Optional<Target> found = target(request);
        if (found.isEmpty()) {
            return discovery
                    .answer(request.path())
                    .map(body -> Answer.json(200, body))
                    .orElseThrow(() -> ApiFailure.noSuchPath(request.path()));
        }
        if (!request.query("dryRun").isEmpty()) {
            throw ApiFailure.notImplemented("dryRun");
        }
        Target target = found.get();
        return switch (verb(request, target)) {
            case "get" -> get(request, target);
            case "list" -> {
                ObjectNode list = api.list(target, selector(target, request));
                yield Answer.json(
                        200, request.accept().contains("as=Table") ? Tables.ofList(target.type(), list) : list);
            }
            case "create" -> create(request, target);
            case "update" -> Answer.json(200, api.replace(writable(target), object(request), write(request)));
            case "patch" -> patch(request, writable(target));
            case "delete" -> Answer.json(200, api.delete(target, options(request)));
            case "deletecollection" -> {
                ObjectNode list = api.list(target, selector(target, request));
                for (JsonNode item : list.path("items")) {
                    api.delete(
                            Target.of(target.type(), target.namespace(), Json.text(item.path("metadata"), "name")),
                            options(request));
                }
                yield Answer.json(200, list);
            }
            default -> throw ApiFailure.notImplemented(request.method());
        };
    }

    /** What a path is about; empty for discovery. */
    Optional<Target> target(ApiRequest request) {
        List<String> path = request.segments();
        String group = "";
        List<String> rest;
        if (path.size() >= 3 && path.get(0).equals("api")) {
            rest = path.subList(2, path.size());
        } else if (path.size() >= 4 && path.get(0).equals("apis")) {
            group = path.get(1);
            rest = path.subList(3, path.size());
        } else {
            return Optional.empty();
        }
        String version = path.get(group.isEmpty() ? 1 : 2);
        String namespace = "";
        boolean within = rest.size() >= 3
                && rest.getFirst().equals("namespaces")
                && !List.of("status", "finalize").contains(rest.get(2));
        if (within) {
            namespace = rest.get(1);
            rest = rest.subList(2, rest.size());
        }
        ResourceType type = api.types()
                .find(group, version, rest.getFirst())
                .orElseThrow(() -> ApiFailure.noSuchPath(request.path()));
        return Optional.of(new Target(
                type,
                namespace,
                rest.size() > 1 ? rest.get(1) : "",
                rest.size() > 2 ? String.join("/", rest.subList(2, rest.size())) : ""));
    }

    Selector selector(Target target, ApiRequest request) {
        Selector selector = Selector.of(target.type(), request.query("labelSelector"), request.query("fieldSelector"));
        if (target.name().isEmpty()) {
            return selector;
        }
        return Selector.of(target.type(), "", "metadata.name=" + target.name());
    }

    private static String verb(ApiRequest request, Target target) {
        boolean collection = target.name().isEmpty();
        return switch (request.method()) {
            case "GET" -> request.isWatch() ? "watch" : collection ? "list" : "get";
            case "POST" -> "create";
            case "PUT" -> "update";
            case "PATCH" -> "patch";
            case "DELETE" -> collection ? "deletecollection" : "delete";
            default -> throw ApiFailure.notImplemented(request.method());
        };
    }

    private Answer get(ApiRequest request, Target target) {
        if (target.type() == ResourceTypes.PODS && target.subresource().equals("log")) {
            return log(request, target);
        }
        ObjectNode object = api.get(writable(target));
        return Answer.json(
                200, request.accept().contains("as=Table") ? Tables.of(target.type(), List.of(object)) : object);
    }

    private Answer create(ApiRequest request, Target target) {
        if (!target.subresource().isEmpty()) {
            throw ApiFailure.notImplemented("POST to " + target.resource());
        }
        ObjectNode sent = object(request);
        if (target.type() == ResourceTypes.RULES_REVIEWS) {
            return Answer.json(201, allAllowed(sent));
        }
        return Answer.json(201, api.create(target, sent, write(request)));
    }

    /** Leader election asks what it may do before it tries: here, everything. */
    private static ObjectNode allAllowed(ObjectNode review) {
        ObjectNode answer = review.deepCopy();
        ObjectNode status = Json.child(answer, "status").put("incomplete", false);
        status.putArray("nonResourceRules");
        ObjectNode rule = status.putArray("resourceRules").addObject();
        for (String field : List.of("apiGroups", "resources", "verbs")) {
            rule.putArray(field).add("*");
        }
        return answer;
    }

    private Answer patch(ApiRequest request, Target target) {
        return switch (request.contentType()) {
            case "application/apply-patch+yaml" -> {
                if (request.query("fieldManager").isEmpty()) {
                    throw ApiFailure.badRequest(
                            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch");
                }
                boolean isNew = api.find(target).isEmpty();
                yield Answer.json(isNew ? 201 : 200, api.apply(target, object(request), write(request)));
            }
            case "application/merge-patch+json" ->
                Answer.json(200, api.mergePatch(target, Json.read(request.body()), write(request)));
            case "application/json-patch+json" ->
                Answer.json(200, api.jsonPatch(target, Json.read(request.body()), write(request)));
            default -> throw ApiFailure.unsupportedMediaType(request.contentType());
        };
    }

    private Answer log(ApiRequest request, Target target) {
        ObjectNode pod = api.get(Target.of(target.type(), target.namespace(), target.name()));
        for (String unknown : List.of("follow", "previous", "timestamps", "sinceSeconds", "sinceTime")) {
            if (!request.query(unknown).isEmpty() && !request.query(unknown).equals("false")) {
                throw ApiFailure.notImplemented(unknown + " of logs");
            }
        }
        String container = request.query("container");
        if (container.isEmpty() && pod.path("spec").path("containers").size() > 1) {
            throw ApiFailure.badRequest("a container name must be specified for pod %s".formatted(target.name()));
        }
        String text = logs.read(target.namespace(), target.name(), container)
                .orElseThrow(() -> ApiFailure.badRequest(
                        "container \"%s\" in pod \"%s\" is waiting to start".formatted(container, target.name())));
        if (!request.query("tailLines").isEmpty()) {
            text = lastLines(text, Integer.parseInt(request.query("tailLines")));
        }
        if (!request.query("limitBytes").isEmpty()) {
            text = firstBytes(text, Integer.parseInt(request.query("limitBytes")));
        }
        return new Answer(200, "text/plain", text);
    }

    private static String lastLines(String text, int count) {
        List<String> lines = text.lines().toList();
        List<String> last = lines.subList(Math.max(0, lines.size() - count), lines.size());
        return last.isEmpty() ? "" : String.join("\n", last) + (text.endsWith("\n") ? "\n" : "");
    }

    /** As Kubernetes does it: from the start of what would be sent, cutting wherever the limit is. */
    private static String firstBytes(String text, int limit) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        return new String(bytes, 0, Math.min(limit, bytes.length), StandardCharsets.UTF_8);
    }

    /** @throws ApiFailure for subresources that LocalCluster doesn't have */
    private static Target writable(Target target) {
        boolean known = target.subresource().isEmpty()
                || (target.subresource().equals("status") && target.type().statusSubresource());
        if (!known) {
            throw ApiFailure.noSuchPath(target.resource());
        }
        return target;
    }

    private static Write write(ApiRequest request) {
        String manager = request.query("fieldManager");
        return new Write(
                manager.isEmpty() ? request.userAgent().split("/", 2)[0] : manager,
                Boolean.parseBoolean(request.query("force")),
                request.query("fieldValidation").equals("Strict"));
    }

    private static ObjectNode object(ApiRequest request) {
        if (!Arrays.asList("application/json", "application/apply-patch+yaml", "application/yaml", "")
                .contains(request.contentType())) {
            throw ApiFailure.unsupportedMediaType(request.contentType());
        }
        if (Json.read(request.body()) instanceof ObjectNode object) {
            return object;
        }
        throw ApiFailure.badRequest("the body is not an object");
    }

    private static JsonNode options(ApiRequest request) {
        ObjectNode options = request.body().isBlank() ? Json.object() : object(request);
        if (!options.path("dryRun").isEmpty()) {
            throw ApiFailure.notImplemented("dryRun");
        }
        if (!request.query("propagationPolicy").isEmpty()) {
            options.put("propagationPolicy", request.query("propagationPolicy"));
        }
        if (!request.query("gracePeriodSeconds").isEmpty()) {
            options.put("gracePeriodSeconds", Long.parseLong(request.query("gracePeriodSeconds")));
        }
        return options;
    }
}
