package io.flynn.blobstore.testkit.story;

import com.fasterxml.jackson.databind.JsonNode;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.Watch;
import io.fabric8.kubernetes.client.Watcher;
import io.fabric8.kubernetes.client.WatcherException;
import io.fabric8.kubernetes.client.dsl.base.CustomResourceDefinitionContext;
import java.time.Instant;
import java.time.InstantSource;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Tells what {@code kubectl get KIND -w} would print, live: the header, then a line for each change that a user would see. A
 * change of nothing but the age is none.
 */
public final class KubectlWatch implements AutoCloseable {

    private final Columns columns;
    private final Consumer<String> lines;
    private final InstantSource clock;
    private final Map<String, List<String>> lastCells = new HashMap<>();
    private final Watch watch;

    public KubectlWatch(
            KubernetesClient kubernetes,
            String namespace,
            CustomResourceDefinition definition,
            InstantSource clock,
            Consumer<String> lines) {
        columns = new Columns(definition);
        this.lines = lines;
        this.clock = clock;
        watch = kubernetes
                .genericKubernetesResources(CustomResourceDefinitionContext.fromCrd(definition))
                .inNamespace(namespace)
                .watch(new Watcher<>() {
                    @Override
                    public void eventReceived(Action action, GenericKubernetesResource resource) {
                        changed(json(kubernetes, resource));
                    }

                    @Override
                    public void onClose(WatcherException cause) {
                        lines.accept("(watch ended: " + cause.getMessage() + ")");
                    }
                });
    }

    private static JsonNode json(KubernetesClient kubernetes, GenericKubernetesResource resource) {
        return kubernetes.getKubernetesSerialization().convertValue(resource, JsonNode.class);
    }

    private synchronized void changed(JsonNode resource) {
        List<String> withoutAge = columns.cells(resource, Instant.EPOCH);
        boolean isFirst = lastCells.isEmpty();
        if (withoutAge.equals(lastCells.put(withoutAge.getFirst(), withoutAge))) {
            return;
        }
        List<String> cells = columns.cells(resource, clock.instant());
        if (isFirst) {
            columns.widen(cells);
            lines.accept(columns.line(columns.header()));
        }
        lines.accept(columns.line(cells));
    }

    @Override
    public void close() {
        watch.close();
    }
}
