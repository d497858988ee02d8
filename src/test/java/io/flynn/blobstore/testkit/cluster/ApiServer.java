package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.zjsonpatch.JsonPatch;
import io.fabric8.zjsonpatch.JsonPatchException;
import io.flynn.blobstore.testkit.cluster.ApiFailure.Cause;
import io.flynn.blobstore.testkit.cluster.FieldOwnership.Applied;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/**
 * The verbs of the API on objects in memory, without HTTP: what {@code kube-apiserver} does between decoding a request and answering it.
 *
 * <p>Thread-safe; every call is one transaction. Objects that come back must not be changed.
 */
final class ApiServer {

    private static final Set<String> WITH_GENERATION =
            Set.of("Deployment", "ReplicaSet", "Job", "Pod", "CustomResourceDefinition");
    private static final List<String> KEPT_METADATA = List.of(
            "uid",
            "creationTimestamp",
            "generation",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "managedFields",
            "resourceVersion");

    /**
     * How a write is to be done.
     *
     * @param manager who owns the written fields
     * @param force whether an apply takes fields from other managers
     * @param strict whether unknown fields are refused rather than dropped
     */
    record Write(String manager, boolean force, boolean strict) {

        static Write by(String manager) {
            return new Write(manager, false, true);
        }
    }

    private final ObjectStore store;
    private final ResourceTypes types;
    private final InstantSource clock;

    ApiServer(ObjectStore store, ResourceTypes types, InstantSource clock) {
        this.store = store;
        this.types = types;
        this.clock = clock;
        for (String name : List.of("default", "kube-system")) {
            ObjectNode namespace = Json.object();
            Json.metadata(namespace).put("name", name);
            create(Target.of(ResourceTypes.NAMESPACES, "", ""), namespace, Write.by("kube-apiserver"));
        }
    }

    ObjectStore store() {
        return store;
    }

    ResourceTypes types() {
        return types;
    }

    ObjectNode get(Target target) {
        return find(target).orElseThrow(() -> ApiFailure.notFound(target.type(), target.name()));
    }

    Optional<ObjectNode> find(Target target) {
        return store.get(target.key());
    }

    /** The objects of a collection, and at which version of the store they were read. */
    ObjectNode list(Target target, Selector selector) {
        synchronized (store) {
            ObjectNode list = Json.object()
                    .put("kind", target.type().kind() + "List")
                    .put("apiVersion", target.type().apiVersion());
            Json.metadata(list).put("resourceVersion", String.valueOf(store.revision()));
            ArrayNode items = list.putArray("items");
            store.list(target.type(), target.namespace()).stream()
                    .filter(selector::matches)
                    .forEach(items::add);
            return list;
        }
    }

    /** @param target a collection */
    ObjectNode create(Target target, ObjectNode sent, Write write) {
        synchronized (store) {
            if (sent.path("metadata").hasNonNull("resourceVersion")) {
                throw ApiFailure.badRequest("resourceVersion should not be set on objects to be created");
            }
            ObjectNode next = identified(target, sent);
            Target object = Target.of(target.type(), target.namespace(), Json.text(next.path("metadata"), "name"));
            if (store.get(object.key()).isPresent()) {
                throw ApiFailure.alreadyExists(object.type(), object.name());
            }
            FieldOwnership ownership = new FieldOwnership(object.type(), "");
            next = ownership.writable(Json.object(), next);
            admit(object, next, Json.object(), write.strict());
            checkPodSecurity(object, next);
            ownership.update(Json.object(), next, write.manager()).writeTo(next, clock.instant());
            return commit(object, next);
        }
    }

    /** PUT. */
    ObjectNode replace(Target target, ObjectNode sent, Write write) {
        synchronized (store) {
            ObjectNode live = get(target);
            if (!Json.text(sent.path("metadata"), "name").equals(target.name())) {
                throw ApiFailure.badRequest("the name of the object (%s) does not match the name on the URL (%s)"
                        .formatted(Json.text(sent.path("metadata"), "name"), target.name()));
            }
            return change(target, live, sent, write);
        }
    }

    /** PATCH with {@code application/merge-patch+json}. */
    ObjectNode mergePatch(Target target, JsonNode patch, Write write) {
        synchronized (store) {
            ObjectNode live = get(target);
            if (!(MergePatch.apply(live, patch) instanceof ObjectNode sent)) {
                throw ApiFailure.badRequest("a merge patch must be an object");
            }
            return change(target, live, sent, write);
        }
    }

    /** PATCH with {@code application/json-patch+json}. */
    ObjectNode jsonPatch(Target target, JsonNode patch, Write write) {
        synchronized (store) {
            ObjectNode live = get(target);
            try {
                return change(target, live, (ObjectNode) JsonPatch.apply(patch, live), write);
            } catch (JsonPatchException e) {
                throw ApiFailure.invalid(target.type(), target.name(), List.of(new Cause("", "", e.getMessage())));
            }
        }
    }

    /** PATCH with {@code application/apply-patch+yaml}: server-side apply. */
    ObjectNode apply(Target target, ObjectNode intent, Write write) {
        synchronized (store) {
            JsonNode metadata = intent.path("metadata");
            if (!metadata.path("managedFields").isEmpty()) {
                throw ApiFailure.badRequest("metadata.managedFields must be nil");
            }
            matches(target, intent);
            Optional<ObjectNode> live = find(target);
            if (live.isEmpty() && !target.subresource().isEmpty()) {
                throw ApiFailure.notFound(target.type(), target.name());
            }
            live.ifPresent(object -> checkPreconditions(target, object, metadata));
            refuseUnknownFields(target, intent);

            ObjectNode before = live.orElseGet(Json::object);
            FieldOwnership ownership = new FieldOwnership(target.type(), target.subresource());
            ObjectNode wanted = intent.deepCopy();
            Json.metadata(wanted).remove(KEPT_METADATA);
            if (target.subresource().equals("status")) {
                wanted.retain("apiVersion", "kind", "status");
            } else if (target.type().statusSubresource()) {
                wanted.remove("status");
            }
            Applied applied = ownership.apply(before, wanted, write.manager());
            ObjectNode next = applied.object();
            ownership.takeOver(applied.owners(), applied.applier(), before, next, write.force());
            if (live.isEmpty()) {
                next = identified(target, next);
            }
            admit(target, next, before, write.strict());
            return finish(target, before, next, applied.owners());
        }
    }

    /**
     * DELETE of one object.
     *
     * @param options a {@code DeleteOptions}, maybe empty
     * @return the object if it is still there, terminating; otherwise a {@code Status}
     */
    ObjectNode delete(Target target, JsonNode options) {
        synchronized (store) {
            ObjectNode live = get(target);
            JsonNode preconditions = options.path("preconditions");
            for (String field : List.of("uid", "resourceVersion")) {
                String wanted = Json.text(preconditions, field);
                String actual = Json.text(live.path("metadata"), field);
                if (!wanted.isEmpty() && !wanted.equals(actual)) {
                    throw ApiFailure.conflict(
                            target.type(),
                            target.name(),
                            "the %s in the precondition (%s) does not match the %s in record (%s). The object might have been deleted and then recreated"
                                    .formatted(
                                            field.equals("uid") ? "UID" : "ResourceVersion",
                                            wanted,
                                            field.equals("uid") ? "UID" : "ResourceVersion",
                                            actual));
                }
            }
            switch (Json.text(options, "propagationPolicy")) {
                case "Background" -> {}
                case "Orphan" -> orphanDependents(live);
                case "" -> {
                    // The historical default for Jobs, and only for them; clients that mean it say Background.
                    if (target.type().kind().equals("Job")) {
                        orphanDependents(live);
                    }
                }
                default ->
                    throw ApiFailure.notImplemented("propagationPolicy " + Json.text(options, "propagationPolicy"));
            }
            long grace = grace(target.type(), live, options);
            boolean held = grace > 0
                    || !live.path("metadata").path("finalizers").isEmpty()
                    || target.type().kind().equals("Namespace");
            if (held) {
                return terminate(target, live, grace);
            }
            store.remove(target.key());
            ObjectNode success =
                    Json.object().put("kind", "Status").put("apiVersion", "v1").put("status", "Success");
            success.putObject("details")
                    .put("name", target.name())
                    .put("group", target.type().group())
                    .put("kind", target.type().plural())
                    .put("uid", Json.text(live.path("metadata"), "uid"));
            return success;
        }
    }

    /** Pods that run get time to end; nothing else does. */
    private static long grace(ResourceType type, ObjectNode live, JsonNode options) {
        String phase = Json.text(live.path("status"), "phase");
        if (!type.kind().equals("Pod")
                || Json.text(live.path("spec"), "nodeName").isEmpty()
                || phase.equals("Succeeded")
                || phase.equals("Failed")) {
            return 0;
        }
        return options.hasNonNull("gracePeriodSeconds")
                ? options.get("gracePeriodSeconds").asLong()
                : live.path("spec").path("terminationGracePeriodSeconds").asLong();
    }

    private ObjectNode terminate(Target target, ObjectNode live, long grace) {
        ObjectNode next = live.deepCopy();
        ObjectNode metadata = Json.metadata(next);
        if (!metadata.has("deletionTimestamp")) {
            if (metadata.has("generation")) {
                metadata.put("generation", metadata.get("generation").asLong() + 1);
            }
        } else if (metadata.path("deletionGracePeriodSeconds").asLong() <= grace) {
            return live;
        }
        metadata.put("deletionTimestamp", now().plusSeconds(grace).toString());
        metadata.put("deletionGracePeriodSeconds", grace);
        if (target.type().kind().equals("Namespace")) {
            Json.child(next, "status").put("phase", "Terminating");
        }
        return commit(target, next);
    }

    private void orphanDependents(ObjectNode owner) {
        String uid = Json.text(owner.path("metadata"), "uid");
        for (ObjectStore.Key key : store.keys()) {
            ObjectNode next = store.get(key).orElseThrow().deepCopy();
            if (next.path("metadata").get("ownerReferences") instanceof ArrayNode owners) {
                int before = owners.size();
                for (var it = owners.elements(); it.hasNext(); ) {
                    if (Json.text(it.next(), "uid").equals(uid)) {
                        it.remove();
                    }
                }
                if (owners.size() < before) {
                    store.put(key, next);
                }
            }
        }
    }

    /** Any write but an apply. */
    private ObjectNode change(Target target, ObjectNode live, ObjectNode sent, Write write) {
        matches(target, sent);
        checkPreconditions(target, live, sent.path("metadata"));
        FieldOwnership ownership = new FieldOwnership(target.type(), target.subresource());
        ObjectNode next = ownership.writable(live, sent);
        ObjectNode metadata = Json.metadata(next);
        metadata.remove(KEPT_METADATA);
        for (String field : KEPT_METADATA) {
            if (live.path("metadata").has(field)) {
                metadata.set(field, live.path("metadata").get(field));
            }
        }
        if (target.type().namespaced()) {
            metadata.put("namespace", target.namespace());
        }
        admit(target, next, live, write.strict());
        return finish(target, live, next, ownership.update(live, next, write.manager()));
    }

    /** Stores {@code next} if it differs from {@code before} in anything. */
    private ObjectNode finish(Target target, ObjectNode before, ObjectNode next, ManagedFields owners) {
        if (next.equals(before) && !owners.changed()) {
            return before;
        }
        owners.writeTo(next, clock.instant());
        return commit(target, next);
    }

    private ObjectNode commit(Target target, ObjectNode next) {
        JsonNode metadata = next.path("metadata");
        boolean over = metadata.has("deletionTimestamp")
                && metadata.path("finalizers").isEmpty()
                && metadata.path("deletionGracePeriodSeconds").asLong() == 0
                && !target.type().kind().equals("Namespace");
        if (target.type().kind().equals("CustomResourceDefinition")) {
            types.define(next);
        }
        store.put(target.key(), next);
        if (over) {
            store.remove(target.key());
            if (target.type().kind().equals("CustomResourceDefinition")) {
                types.undefine(next);
            }
        }
        return next;
    }

    /** What the server gives a new object. */
    private ObjectNode identified(Target target, ObjectNode sent) {
        matches(target, sent);
        ObjectNode next = sent.deepCopy();
        next.put("apiVersion", target.type().apiVersion());
        next.put("kind", target.type().kind());
        ObjectNode metadata = Json.metadata(next);
        metadata.remove(KEPT_METADATA);
        String prefix = Json.text(metadata, "generateName");
        if (Json.text(metadata, "name").isEmpty() && !prefix.isEmpty()) {
            metadata.put("name", prefix + UUID.randomUUID().toString().substring(0, 5));
        }
        if (target.type().namespaced()) {
            metadata.put("namespace", target.namespace());
            ObjectNode namespace = store.get(ObjectStore.Key.of(ResourceTypes.NAMESPACES, "", target.namespace()))
                    .orElseThrow(() -> ApiFailure.notFound(ResourceTypes.NAMESPACES, target.namespace()));
            if (namespace.path("metadata").has("deletionTimestamp")) {
                throw ApiFailure.forbidden(
                        target.type(),
                        Json.text(metadata, "name"),
                        "unable to create new content in namespace %s because it is being terminated"
                                .formatted(target.namespace()));
            }
        }
        metadata.put("uid", UUID.randomUUID().toString());
        metadata.put("creationTimestamp", now().toString());
        if (target.type().schema().isPresent()
                || WITH_GENERATION.contains(target.type().kind())) {
            metadata.put("generation", 1);
        }
        return next;
    }

    /** Gives defaults, checks, and counts the generation; in place. */
    private static void admit(Target target, ObjectNode next, ObjectNode live, boolean strict) {
        ResourceType type = target.type();
        if (type.schema().isPresent()) {
            CrdSchema schema = type.schema().get();
            List<String> unknown = schema.prune(next);
            if (strict && !unknown.isEmpty()) {
                throw unknownFields(type, unknown);
            }
            schema.applyDefaults(next);
            List<Cause> causes = schema.validate(next, live);
            if (!causes.isEmpty()) {
                throw ApiFailure.invalid(type, target.name(), causes);
            }
        } else {
            BuiltInDefaults.apply(type, next);
        }
        List<Cause> causes = BuiltInRules.check(type, next, live);
        if (!causes.isEmpty()) {
            throw ApiFailure.invalid(type, target.name(), causes);
        }
        JsonNode generation = live.path("metadata").path("generation");
        if (!generation.isMissingNode() && !sameIntent(type, next, live)) {
            Json.metadata(next).put("generation", generation.asLong() + 1);
        }
    }

    private void checkPodSecurity(Target target, ObjectNode next) {
        if (target.type() == ResourceTypes.PODS
                && PodSecurity.isEnforced(get(Target.of(ResourceTypes.NAMESPACES, "", target.namespace())))) {
            List<String> violations = PodSecurity.violations(next.path("spec"));
            if (!violations.isEmpty()) {
                throw ApiFailure.forbidden(
                        target.type(),
                        target.name(),
                        "violates PodSecurity \"restricted:latest\": " + String.join(", ", violations));
            }
        }
    }

    private static boolean sameIntent(ResourceType type, ObjectNode next, ObjectNode live) {
        if (type.schema().isEmpty()) {
            boolean sameSpec = next.path("spec").equals(live.path("spec"));
            // Deployments count their annotations too: they carry the rollout's history.
            return type.kind().equals("Deployment")
                    ? sameSpec
                            && next.path("metadata")
                                    .path("annotations")
                                    .equals(live.path("metadata").path("annotations"))
                    : sameSpec;
        }
        List<String> uncounted = List.of("metadata", "status");
        return next.deepCopy().remove(uncounted).equals(live.deepCopy().remove(uncounted));
    }

    private static void refuseUnknownFields(Target target, ObjectNode intent) {
        target.type().schema().ifPresent(schema -> {
            List<String> unknown = schema.prune(intent.deepCopy());
            if (!unknown.isEmpty()) {
                throw unknownFields(target.type(), unknown);
            }
        });
    }

    private static ApiFailure unknownFields(ResourceType type, List<String> unknown) {
        return ApiFailure.badRequest("%s in version \"%s\" cannot be handled as a %s: strict decoding error: %s"
                .formatted(
                        type.kind(),
                        type.version(),
                        type.kind(),
                        String.join(
                                ", ",
                                unknown.stream()
                                        .map("unknown field \"%s\""::formatted)
                                        .toList())));
    }

    private static void matches(Target target, JsonNode sent) {
        String namespace = Json.text(sent.path("metadata"), "namespace");
        if (target.type().namespaced() && !namespace.isEmpty() && !namespace.equals(target.namespace())) {
            throw ApiFailure.badRequest("the namespace of the object (%s) does not match the namespace on the URL (%s)"
                    .formatted(namespace, target.namespace()));
        }
        String kind = Json.text(sent, "kind");
        String apiVersion = Json.text(sent, "apiVersion");
        if ((!kind.isEmpty() && !kind.equals(target.type().kind()))
                || (!apiVersion.isEmpty() && !apiVersion.equals(target.type().apiVersion()))) {
            throw ApiFailure.badRequest("%s %s does not match the URL, which is about %s %s"
                    .formatted(
                            apiVersion,
                            kind,
                            target.type().apiVersion(),
                            target.type().kind()));
        }
    }

    private static void checkPreconditions(Target target, ObjectNode live, JsonNode sent) {
        for (String field : List.of("resourceVersion", "uid")) {
            String wanted = Json.text(sent, field);
            if (!wanted.isEmpty() && !wanted.equals(Json.text(live.path("metadata"), field))) {
                throw ApiFailure.modified(target.type(), target.name());
            }
        }
    }

    private Instant now() {
        return clock.instant().truncatedTo(ChronoUnit.SECONDS);
    }
}
