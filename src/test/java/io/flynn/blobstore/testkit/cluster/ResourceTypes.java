package io.flynn.blobstore.testkit.cluster;

import static io.flynn.blobstore.testkit.cluster.ResourceType.builtIn;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.StreamSupport;

/** The resources that are served: the built-in ones that the product uses, and those of the CustomResourceDefinitions created so far. */
final class ResourceTypes {

    static final ResourceType NAMESPACES = builtIn("", "v1", "namespaces", "Namespace", false, true, "ns");
    static final ResourceType PODS = builtIn("", "v1", "pods", "Pod", true, true, "po");
    static final ResourceType SECRETS = builtIn("", "v1", "secrets", "Secret", true, false);
    static final ResourceType CONFIG_MAPS = builtIn("", "v1", "configmaps", "ConfigMap", true, false, "cm");
    static final ResourceType SERVICES = builtIn("", "v1", "services", "Service", true, true, "svc");
    static final ResourceType DEPLOYMENTS = builtIn("apps", "v1", "deployments", "Deployment", true, true, "deploy");
    static final ResourceType REPLICA_SETS = builtIn("apps", "v1", "replicasets", "ReplicaSet", true, true, "rs");
    static final ResourceType JOBS = builtIn("batch", "v1", "jobs", "Job", true, true);
    static final ResourceType RULES_REVIEWS =
            builtIn("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false, false);
    static final ResourceType CRDS = builtIn(
            "apiextensions.k8s.io",
            "v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            false,
            true,
            "crd",
            "crds");

    private static final List<ResourceType> BUILT_IN = List.of(
            NAMESPACES,
            PODS,
            SECRETS,
            CONFIG_MAPS,
            SERVICES,
            builtIn("", "v1", "serviceaccounts", "ServiceAccount", true, false, "sa"),
            builtIn("", "v1", "events", "Event", true, false, "ev"),
            builtIn("events.k8s.io", "v1", "events", "Event", true, false, "ev"),
            DEPLOYMENTS,
            REPLICA_SETS,
            JOBS,
            builtIn("coordination.k8s.io", "v1", "leases", "Lease", true, false),
            RULES_REVIEWS,
            CRDS);

    private final Map<String, ResourceType> byPath = new LinkedHashMap<>();

    ResourceTypes() {
        BUILT_IN.forEach(this::add);
    }

    Optional<ResourceType> find(String group, String version, String plural) {
        return Optional.ofNullable(byPath.get(path(group, version, plural)));
    }

    Optional<ResourceType> ofKind(String apiVersion, String kind) {
        return byPath.values().stream()
                .filter(type ->
                        type.apiVersion().equals(apiVersion) && type.kind().equals(kind))
                .findFirst();
    }

    Collection<ResourceType> all() {
        return List.copyOf(byPath.values());
    }

    /**
     * Serves what a CustomResourceDefinition defines, from now on by its present schema.
     *
     * @throws ApiFailure if the schema asks for something that LocalCluster would silently not check
     */
    void define(ObjectNode definition) {
        JsonNode spec = definition.path("spec");
        JsonNode names = spec.path("names");
        for (JsonNode version : spec.path("versions")) {
            add(new ResourceType(
                    Json.text(spec, "group"),
                    Json.text(version, "name"),
                    Json.text(names, "plural"),
                    Json.text(names, "singular"),
                    Json.text(names, "kind"),
                    texts(names.path("shortNames")),
                    texts(names.path("categories")),
                    "Namespaced".equals(Json.text(spec, "scope")),
                    version.path("subresources").has("status"),
                    Optional.of(new CrdSchema(version.path("schema").path("openAPIV3Schema"))),
                    version.has("additionalPrinterColumns")
                            ? version.get("additionalPrinterColumns")
                            : JsonNodeFactory.instance.arrayNode()));
        }
    }

    void undefine(ObjectNode definition) {
        JsonNode spec = definition.path("spec");
        for (JsonNode version : spec.path("versions")) {
            byPath.remove(path(
                    Json.text(spec, "group"), Json.text(version, "name"), Json.text(spec.path("names"), "plural")));
        }
    }

    private void add(ResourceType type) {
        byPath.put(path(type.group(), type.version(), type.plural()), type);
    }

    private static String path(String group, String version, String plural) {
        return group + "/" + version + "/" + plural;
    }

    private static List<String> texts(JsonNode array) {
        return StreamSupport.stream(array.spliterator(), false)
                .map(JsonNode::asText)
                .toList();
    }
}
