package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Optional;

/** What is served, as kubectl and the Kubernetes client ask for it. */
final class Discovery {

    private static final List<String> VERBS =
            List.of("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch");

    private final ResourceTypes types;

    Discovery(ResourceTypes types) {
        this.types = types;
    }

    Optional<ObjectNode> answer(String path) {
        String[] parts = path.split("/", -1);
        return switch (path) {
            case "/version" ->
                Optional.of(Json.object().put("major", "1").put("minor", "36").put("gitVersion", "v1.36.0-local"));
            case "/healthz", "/readyz", "/livez" -> Optional.of(Json.object().put("status", "ok"));
            case "/api" -> {
                ObjectNode versions = Json.object().put("kind", "APIVersions");
                versions.putArray("versions").add("v1");
                yield Optional.of(versions);
            }
            case "/api/v1" -> Optional.of(resources("", "v1"));
            case "/apis" -> Optional.of(groups());
            case "/openapi/v3" -> Optional.of(openApiIndex());
            default -> {
                if (parts.length == 4 && parts[1].equals("apis")) {
                    yield known(parts[2], parts[3]) ? Optional.of(resources(parts[2], parts[3])) : Optional.empty();
                }
                if (path.startsWith("/openapi/v3/api")) {
                    yield Optional.of(openApi());
                }
                yield Optional.empty();
            }
        };
    }

    private boolean known(String group, String version) {
        return types.all().stream()
                .anyMatch(type -> type.group().equals(group) && type.version().equals(version));
    }

    private ObjectNode groups() {
        ObjectNode list = Json.object().put("kind", "APIGroupList").put("apiVersion", "v1");
        ArrayNode groups = list.putArray("groups");
        types.all().stream()
                .filter(type -> !type.group().isEmpty())
                .map(type -> List.of(type.group(), type.version()))
                .distinct()
                .forEach(pair -> {
                    ObjectNode group = groups.addObject().put("name", pair.getFirst());
                    ObjectNode version = Json.object()
                            .put("groupVersion", String.join("/", pair))
                            .put("version", pair.getLast());
                    group.putArray("versions").add(version);
                    group.set("preferredVersion", version);
                });
        return list;
    }

    private ObjectNode resources(String group, String version) {
        ObjectNode list = Json.object()
                .put("kind", "APIResourceList")
                .put("apiVersion", "v1")
                .put("groupVersion", group.isEmpty() ? version : group + "/" + version);
        ArrayNode resources = list.putArray("resources");
        for (ResourceType type : types.all()) {
            if (type.group().equals(group) && type.version().equals(version)) {
                ObjectNode resource = resource(resources, type, type.plural());
                type.shortNames().forEach(Json.array(resource, "shortNames")::add);
                type.categories().forEach(Json.array(resource, "categories")::add);
                if (type.statusSubresource()) {
                    resource(resources, type, type.plural() + "/status");
                }
            }
        }
        return list;
    }

    private static ObjectNode resource(ArrayNode into, ResourceType type, String name) {
        ObjectNode resource = into.addObject()
                .put("name", name)
                .put("singularName", type.singular())
                .put("namespaced", type.namespaced())
                .put("kind", type.kind());
        VERBS.forEach(Json.array(resource, "verbs")::add);
        return resource;
    }

    /** kubectl looks here whether the server validates fields by itself, and then leaves it to the server. */
    private ObjectNode openApiIndex() {
        ObjectNode index = Json.object();
        ObjectNode paths = index.putObject("paths");
        for (ResourceType type : types.all()) {
            String path = type.group().isEmpty() ? "api/v1" : "apis/" + type.apiVersion();
            paths.putObject(path).put("serverRelativeURL", "/openapi/v3/" + path);
        }
        return index;
    }

    private ObjectNode openApi() {
        ObjectNode document = Json.object().put("openapi", "3.0.0");
        document.putObject("info").put("title", "LocalCluster").put("version", "1");
        ObjectNode paths = document.putObject("paths");
        for (ResourceType type : types.all()) {
            ObjectNode patch =
                    paths.putObject("/" + type.qualifiedPlural() + "/{name}").putObject("patch");
            patch.putArray("parameters")
                    .addObject()
                    .put("name", "fieldValidation")
                    .put("in", "query");
            patch.putObject("x-kubernetes-group-version-kind")
                    .put("group", type.group())
                    .put("version", type.version())
                    .put("kind", type.kind());
        }
        return document;
    }
}
