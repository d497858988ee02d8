package io.flynn.blobstore.testkit.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.JobStatus;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.Watch;
import io.fabric8.kubernetes.client.Watcher;
import io.fabric8.kubernetes.client.WatcherException;
import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What LocalCluster has besides Kubernetes' own behaviour: who called what, ordered failures, a kubeconfig. */
class LocalClusterTest {

    private LocalCluster cluster;
    private KubernetesClient client;

    @BeforeEach
    void start() throws Exception {
        cluster = LocalCluster.start();
        client = cluster.client("tester", "default");
    }

    @AfterEach
    void stop() {
        client.close();
        cluster.close();
    }

    @Test
    void recordsWhoAskedForWhat() {
        client.resource(configMap("seen")).create();
        client.configMaps().withName("absent").get();

        assertThat(cluster.calls().all())
                .extracting(call ->
                        "%s %s %s/%s %d".formatted(call.user(), call.verb(), call.resource(), call.name(), call.code()))
                .containsExactly("tester create configmaps/ 201", "tester get configmaps/absent 404");
    }

    @Test
    void anOrderedFailureHitsOnceAndChangesNothing() {
        cluster.calls().failNext(1, 409, call -> call.verb().equals("create"));

        assertThatThrownBy(() -> client.resource(configMap("refused")).create())
                .isInstanceOfSatisfying(
                        KubernetesClientException.class,
                        e -> assertThat(e.getCode()).isEqualTo(409));
        assertThat(client.configMaps().withName("refused").get()).isNull();

        client.resource(configMap("refused")).create();
        assertThat(client.configMaps().withName("refused").get()).isNotNull();
    }

    @Test
    void anOrderedLossLeavesTheWorkDone() {
        cluster.calls().loseNextAnswer(call -> call.verb().equals("create"));

        assertThatThrownBy(() -> client.resource(configMap("done")).create())
                .isInstanceOf(KubernetesClientException.class);

        assertThat(client.configMaps().withName("done").get()).isNotNull();
    }

    @Test
    void aWatchWorksWithoutWebsockets() throws Exception {
        LinkedBlockingQueue<String> events = new LinkedBlockingQueue<>();
        client.resource(configMap("before")).create();
        Watch watch = client.configMaps().watch(new Watcher<ConfigMap>() {
            @Override
            public void eventReceived(Action action, ConfigMap object) {
                events.add(action + " " + object.getMetadata().getName());
            }

            @Override
            public void onClose(WatcherException cause) {}
        });

        assertThat(events.poll(5, TimeUnit.SECONDS)).isEqualTo("ADDED before");
        client.resource(configMap("after")).create();
        assertThat(events.poll(5, TimeUnit.SECONDS)).isEqualTo("ADDED after");
        client.configMaps().withName("before").delete();
        assertThat(events.poll(5, TimeUnit.SECONDS)).isEqualTo("DELETED before");
        watch.close();
    }

    /** A refused upgrade that counts as a failure is tried again for twenty seconds, and whoever waits for the watch with it. */
    @Test
    void aClientThatRetriesWatchesAtOnce(@TempDir Path directory) throws Exception {
        Path file = cluster.kubeconfig(directory.resolve("config"), "operator", "default");
        Config config = Config.fromKubeconfig(Files.readString(file));
        try (KubernetesClient operator =
                new KubernetesClientBuilder().withConfig(config).build()) {
            CompletableFuture<Void> started =
                    operator.configMaps().runnableInformer(0).start().toCompletableFuture();

            assertThat(started).succeedsWithin(Duration.ofSeconds(10));
        }
    }

    @Test
    void theKubeconfigNamesServerUserAndNamespace(@TempDir Path directory) throws Exception {
        Path file = cluster.kubeconfig(directory.resolve("config"), "operator", "default");

        Config config = Config.fromKubeconfig(Files.readString(file));
        try (KubernetesClient operator =
                new KubernetesClientBuilder().withConfig(config).build()) {
            operator.resource(configMap("theirs")).create();
        }

        assertThat(config.getNamespace()).isEqualTo("default");
        assertThat(cluster.calls().all()).extracting(ApiCall::user).containsExactly("operator");
    }

    /** A pod that ended between two looks of the Job controller was taken for missing, and another was made. */
    @Test
    void aPodThatEndsAtOnceIsNotTakenForMissing() {
        int count = 50;
        client.pods().inform(new ResourceEventHandler<>() {
            @Override
            public void onAdd(Pod pod) {
                client.resource(pod)
                        .editStatus(live -> new PodBuilder(live)
                                .withNewStatus()
                                .withPhase("Succeeded")
                                .endStatus()
                                .build());
            }

            @Override
            public void onUpdate(Pod before, Pod after) {}

            @Override
            public void onDelete(Pod pod, boolean unknown) {}
        });

        for (int i = 0; i < count; i++) {
            Job job = client.resource(job("job-" + i)).create();
            await().pollInterval(Duration.ofMillis(5))
                    .until(() -> Optional.ofNullable(client.resource(job).get().getStatus())
                            .map(JobStatus::getCompletionTime)
                            .isPresent());
        }
        assertThat(client.pods().list().getItems()).hasSize(count);
    }

    private static Job job(String name) {
        return new JobBuilder()
                .withNewMetadata()
                .withName(name)
                .withNamespace("default")
                .endMetadata()
                .withNewSpec()
                .withNewTemplate()
                .withNewSpec()
                .withRestartPolicy("Never")
                .addNewContainer()
                .withName("work")
                .withImage("work")
                .endContainer()
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();
    }

    private static ConfigMap configMap(String name) {
        return new ConfigMapBuilder()
                .withNewMetadata()
                .withName(name)
                .withNamespace("default")
                .endMetadata()
                .addToData("key", "value")
                .build();
    }
}
