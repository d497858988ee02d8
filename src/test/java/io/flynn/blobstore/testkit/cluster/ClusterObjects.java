package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.OwnerReference;
import io.fabric8.kubernetes.api.model.Pod;
import io.flynn.blobstore.testkit.cluster.ApiServer.Write;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.StreamSupport;

/** Typed access for the controllers and the node, past HTTP: what they do is not among the recorded calls. */
final class ClusterObjects {

    private final ApiServer api;
    private final String manager;

    /** @param manager who owns the fields that are written */
    ClusterObjects(ApiServer api, String manager) {
        this.api = api;
        this.manager = manager;
    }

    <T> Optional<T> find(ResourceType type, Class<T> model, String namespace, String name) {
        return api.find(Target.of(type, namespace, name)).map(object -> Json.typed(object, model));
    }

    <T> List<T> list(ResourceType type, Class<T> model, String namespace) {
        return StreamSupport.stream(
                        api.list(Target.of(type, namespace, ""), Selector.EVERYTHING)
                                .path("items")
                                .spliterator(),
                        false)
                .map(object -> Json.typed(object, model))
                .toList();
    }

    /** The pods that {@code owner} controls, those that are going too. */
    List<Pod> podsOf(HasMetadata owner) {
        String uid = owner.getMetadata().getUid();
        return list(ResourceTypes.PODS, Pod.class, owner.getMetadata().getNamespace()).stream()
                .filter(pod -> controllerUid(pod).equals(Optional.of(uid)))
                .toList();
    }

    static Optional<String> controllerUid(HasMetadata object) {
        return object.getMetadata().getOwnerReferences().stream()
                .filter(owner -> Boolean.TRUE.equals(owner.getController()))
                .map(OwnerReference::getUid)
                .findFirst();
    }

    void create(ResourceType type, HasMetadata object) {
        api.create(Target.of(type, object.getMetadata().getNamespace(), ""), Json.tree(object), Write.by(manager));
    }

    /** Replaces the status as a whole; nothing happens if the object is gone or already says so. */
    void writeStatus(ResourceType type, HasMetadata object, Object status) {
        edit(
                new Target(
                        type,
                        object.getMetadata().getNamespace(),
                        object.getMetadata().getName(),
                        "status"),
                tree -> tree.set("status", Json.tree(status)));
    }

    /** Changes an object as it is now, in one transaction; nothing happens if it is gone. */
    void edit(Target target, Consumer<ObjectNode> change) {
        synchronized (api.store()) {
            api.find(target).ifPresent(live -> {
                ObjectNode next = live.deepCopy();
                change.accept(next);
                api.replace(target, next, Write.by(manager));
            });
        }
    }

    /** Nothing happens if it is gone. */
    void delete(ResourceType type, HasMetadata object) {
        delete(type, object, Json.object().put("propagationPolicy", "Background"));
    }

    /** For the node, which has ended the pod's processes. */
    void deleteAtOnce(Pod pod) {
        delete(ResourceTypes.PODS, pod, Json.object().put("gracePeriodSeconds", 0));
    }

    private void delete(ResourceType type, HasMetadata object, ObjectNode options) {
        synchronized (api.store()) {
            Target target = Target.of(
                    type,
                    object.getMetadata().getNamespace(),
                    object.getMetadata().getName());
            boolean same = api.find(target)
                    .map(live -> Json.text(live.path("metadata"), "uid")
                            .equals(object.getMetadata().getUid()))
                    .orElse(false);
            if (same) {
                api.delete(target, options);
            }
        }
    }
}
