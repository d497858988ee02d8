package io.flynn.blobstore.testkit.story;

import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.client.KubernetesClient;
import java.net.URI;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What the story runs on: a cluster with our operator in it, a database, a bucket. It happens the same in every world; only how it
 * came about differs.
 */
public interface World {

    KubernetesClient kubernetes();

    String namespace();

    /** The blobstore's database as this process reaches it; empty until the story fills it. */
    Database database();

    /** An empty database on the same server. */
    Database scratch(String name) throws SQLException;

    /** The bucket, which exists and is empty, as this process reaches it. */
    Bucket.Location bucket();

    /** The bucket's endpoint as pods reach it. */
    URI endpointForPods();

    /** Starts the Deployment {@code blobstore}, two replicas, on PostgreSQL alone; returns its address once they are ready. */
    URI startBlobstore() throws Exception;

    /** What processes that are no pods of this world have written so far: the operator's, where it is none. */
    default List<String> otherOutput() {
        return List.of();
    }

    /** As {@code kubectl apply --server-side -f}. */
    default void apply(String yaml) throws Exception {
        kubernetes()
                .resourceList(yaml)
                .inNamespace(namespace())
                .resources()
                .forEach(resource -> resource.fieldManager("kubectl").serverSideApply());
    }

    /**
     * As {@code kubectl wait --for=condition=…}: returns when the condition is True.
     *
     * @param resource as kubectl takes it: {@code bsb/NAME} or {@code bm/NAME}
     * @throws IllegalStateException naming the resource's conditions, if it isn't in time, or needs a person
     */
    default void await(String resource, String condition, Duration timeout) throws Exception {
        long deadline = System.nanoTime() + timeout.toNanos();
        while (!isTrue(resource, condition)) {
            if (isTrue(resource, "Stalled")) {
                throw new IllegalStateException("%s needs a person: %s".formatted(resource, conditions(resource)));
            }
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException(
                        "%s is not %s after %s: %s".formatted(resource, condition, timeout, conditions(resource)));
            }
            Thread.sleep(Duration.ofMillis(100));
        }
    }

    private boolean isTrue(String resource, String type) {
        return conditions(resource).stream()
                .anyMatch(condition -> type.equals(condition.get("type")) && "True".equals(condition.get("status")));
    }

    private List<Map<String, Object>> conditions(String resource) {
        String[] kindAndName = resource.split("/", 2);
        String kind = switch (kindAndName[0]) {
            case "bsb" -> "BlobstoreBackend";
            case "bm" -> "BlobMigration";
            default -> throw new IllegalArgumentException(resource);
        };
        GenericKubernetesResource found = kubernetes()
                .genericKubernetesResources("blobstore.flynn.io/v1alpha1", kind)
                .inNamespace(namespace())
                .withName(kindAndName[1])
                .get();
        return Optional.ofNullable(found)
                .map(present -> present.<List<Map<String, Object>>>get("status", "conditions"))
                .orElse(List.of());
    }
}
