package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;

/**
 * Deletes what depends on something that is gone: objects none of whose owners exist, and what is in a namespace that is going, which then
 * goes itself.
 */
final class GarbageCollector {

    private final ApiServer api;
    private final WorkQueue queue;

    GarbageCollector(ApiServer api) {
        this.api = api;
        queue = new WorkQueue("local-garbage", this::collect);
    }

    WorkQueue queue() {
        return queue;
    }

    /** Whether a change can leave something behind. */
    static boolean concerns(ObjectStore.Change change) {
        return change.removed()
                || change.key().resource().equals("namespaces")
                || (change.added()
                        && !change.after()
                                .path("metadata")
                                .path("ownerReferences")
                                .isEmpty());
    }

    private void collect(ObjectStore.Key unused) {
        ObjectStore store = api.store();
        Set<String> alive = new HashSet<>();
        for (ObjectStore.Key key : store.keys()) {
            store.get(key).ifPresent(object -> alive.add(Json.text(object.path("metadata"), "uid")));
        }
        for (ObjectStore.Key key : store.keys()) {
            store.get(key)
                    .filter(object -> isLeftBehind(object, alive) || isInTerminatingNamespace(key))
                    .filter(object -> !object.path("metadata").has("deletionTimestamp"))
                    .flatMap(this::target)
                    .ifPresent(target -> api.delete(target, Json.object().put("propagationPolicy", "Background")));
        }
        finishNamespaces();
    }

    private static boolean isLeftBehind(ObjectNode object, Set<String> alive) {
        JsonNode owners = object.path("metadata").path("ownerReferences");
        for (JsonNode owner : owners) {
            if (alive.contains(Json.text(owner, "uid"))) {
                return false;
            }
        }
        return !owners.isEmpty();
    }

    private boolean isInTerminatingNamespace(ObjectStore.Key key) {
        return !key.namespace().isEmpty() && isTerminating(key.namespace());
    }

    private boolean isTerminating(String namespace) {
        return api.find(Target.of(ResourceTypes.NAMESPACES, "", namespace))
                .filter(object -> object.path("metadata").has("deletionTimestamp"))
                .isPresent();
    }

    private void finishNamespaces() {
        synchronized (api.store()) {
            for (ObjectNode namespace : api.store().list(ResourceTypes.NAMESPACES, "")) {
                String name = Json.text(namespace.path("metadata"), "name");
                boolean empty = api.store().keys().stream()
                        .noneMatch(key -> key.namespace().equals(name));
                if (isTerminating(name) && empty) {
                    api.store().remove(ObjectStore.Key.of(ResourceTypes.NAMESPACES, "", name));
                }
            }
        }
    }

    private Optional<Target> target(ObjectNode object) {
        JsonNode metadata = object.path("metadata");
        return api.types()
                .ofKind(Json.text(object, "apiVersion"), Json.text(object, "kind"))
                .map(type -> Target.of(type, Json.text(metadata, "namespace"), Json.text(metadata, "name")));
    }
}
