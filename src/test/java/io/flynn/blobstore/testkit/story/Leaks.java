package io.flynn.blobstore.testkit.story;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Looks for secrets where none belongs: in every object that is no Secret, and in every pod's log. */
final class Leaks {

    private final World world;
    private final KubernetesClient client;

    private Leaks(World world) {
        this.world = world;
        client = world.kubernetes();
    }

    /** One line for each place that tells a secret; never the secret. */
    static List<String> of(World world) {
        return new Leaks(world).find();
    }

    private List<String> find() {
        List<String> leaks = new ArrayList<>();
        objects()
                .filter(object -> tellsASecret(Serialization.asYaml(object)))
                .forEach(object -> leaks.add("a secret is in %s %s"
                        .formatted(object.getKind(), object.getMetadata().getName())));
        client.pods().inNamespace(world.namespace()).list().getItems().stream()
                .filter(pod -> tellsASecret(log(pod)))
                .forEach(pod -> leaks.add(
                        "a secret is in the log of pod " + pod.getMetadata().getName()));
        world.otherOutput().stream()
                .filter(this::tellsASecret)
                .forEach(output -> leaks.add("a secret is in the output of a process that is no pod"));
        return leaks;
    }

    private Stream<? extends HasMetadata> objects() {
        String namespace = world.namespace();
        return Stream.of(
                        client.pods().inNamespace(namespace).list().getItems(),
                        client.batch().v1().jobs().inNamespace(namespace).list().getItems(),
                        client.apps()
                                .deployments()
                                .inNamespace(namespace)
                                .list()
                                .getItems(),
                        client.genericKubernetesResources("blobstore.flynn.io/v1alpha1", "BlobstoreBackend")
                                .inNamespace(namespace)
                                .list()
                                .getItems(),
                        client.genericKubernetesResources("blobstore.flynn.io/v1alpha1", "BlobMigration")
                                .inNamespace(namespace)
                                .list()
                                .getItems())
                .flatMap(List::stream);
    }

    private String log(Pod pod) {
        try {
            return client.raw("/api/v1/namespaces/%s/pods/%s/log"
                    .formatted(world.namespace(), pod.getMetadata().getName()));
        } catch (KubernetesClientException gone) {
            return "";
        }
    }

    private boolean tellsASecret(String text) {
        return Stream.of(world.bucket().secretAccessKey(), world.database().password())
                .anyMatch(text::contains);
    }
}
