package io.flynn.blobstore.testkit.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.ContainerBuilder;
import io.fabric8.kubernetes.api.model.ContainerStateTerminated;
import io.fabric8.kubernetes.api.model.ContainerStateWaiting;
import io.fabric8.kubernetes.api.model.ContainerStatus;
import io.fabric8.kubernetes.api.model.IntOrString;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import io.fabric8.kubernetes.api.model.VolumeBuilder;
import io.fabric8.kubernetes.api.model.VolumeMountBuilder;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a node does for pods, on the node that runs them as processes. */
class LocalNodeTest {

    private static final String NAMESPACE = "default";

    private static final Map<String, List<String>> IMAGES = Map.of(
            "shell:1",
            List.of("/bin/sh", "-c"),
            "echo:1",
            List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-XX:+UseSerialGC",
                    "-cp",
                    System.getProperty("java.class.path"),
                    EchoServer.class.getName()));

    private LocalCluster cluster;
    private LocalNode node;
    private KubernetesClient client;

    @BeforeEach
    void start() throws Exception {
        cluster = LocalCluster.start(Duration.ofMillis(50));
        node = cluster.startNode(IMAGES);
        client = cluster.client("tester", NAMESPACE);
    }

    @AfterEach
    void stop() {
        client.close();
        node.close();
        cluster.close();
    }

    @Test
    void aPodEndsAsItsProcessDoes() {
        create(pod(shell("echo out; echo err >&2; printf done > $BLOBSTORE_REPORT; exit 75")));

        ContainerStateTerminated end = terminated();

        assertThat(end.getExitCode()).isEqualTo(75);
        assertThat(end.getReason()).isEqualTo("Error");
        assertThat(end.getMessage()).isEqualTo("done");
        assertThat(live().getStatus().getPhase()).isEqualTo("Failed");
        assertThat(client.pods().withName("pod").getLog().lines()).containsExactly("out", "err");
    }

    @Test
    void aPodThatReturnsZeroSucceeded() {
        create(pod(shell("exit 0")));

        assertThat(terminated().getReason()).isEqualTo("Completed");
        assertThat(live().getStatus().getPhase()).isEqualTo("Succeeded");
    }

    @Test
    void aNodeThatIsClosedLeavesNoProcess(@TempDir Path directory) throws Exception {
        Path starts = directory.resolve("starts");
        Pod pod = pod(shell("echo $$$$ >> %s; exec sleep 60".formatted(starts)));
        pod.getSpec().setRestartPolicy("Always");
        create(pod);
        await().until(() -> Files.exists(starts) && !Files.readString(starts).isEmpty());

        node.close();

        // Longer than a killed container waits before it is started again.
        await().during(Duration.ofMillis(600))
                .until(() -> Files.readAllLines(starts).size() == 1);
        assertThat(ProcessHandle.of(Long.parseLong(Files.readString(starts).strip())))
                .isEmpty();
    }

    @Test
    void theEndOfALogIsCutByLinesAndBytes() {
        create(pod(shell("echo first; echo second; echo third")));
        terminated();

        assertThat(client.pods().withName("pod").tailingLines(2).getLog()).isEqualTo("second\nthird\n");
        assertThat(client.pods().withName("pod").limitBytes(8).getLog()).isEqualTo("first\nse");
    }

    @Test
    void theLogIsTheMessageOfAFailureThatLeftNone() {
        Container container = shell("echo why >&2; exit 1");
        container.setTerminationMessagePolicy("FallbackToLogsOnError");
        create(pod(container));

        assertThat(terminated().getMessage()).isEqualTo("why\n");
    }

    @Test
    void aMountedConfigMapChangesInAPodThatRuns() {
        client.resource(config("first")).create();
        Container container = shell("until grep -q second $0; do sleep 0.1; done; cat $0");
        container.setArgs(List.of(container.getArgs().getFirst(), "/etc/config/key"));
        Pod pod = pod(container);
        pod.getSpec()
                .setVolumes(List.of(new VolumeBuilder()
                        .withName("config")
                        .withNewConfigMap()
                        .withName("config")
                        .endConfigMap()
                        .build()));
        pod.getSpec()
                .getContainers()
                .getFirst()
                .setVolumeMounts(List.of(new VolumeMountBuilder()
                        .withName("config")
                        .withMountPath("/etc/config")
                        .build()));
        create(pod);
        await().until(() ->
                "Running".equals(client.pods().withName("pod").get().getStatus().getPhase()));

        client.resource(config("second")).update();

        terminated();
        assertThat(client.pods().withName("pod").getLog()).isEqualTo("second");
    }

    private static ConfigMap config(String value) {
        return new ConfigMapBuilder()
                .withNewMetadata()
                .withName("config")
                .endMetadata()
                .addToData("key", value)
                .build();
    }

    @Test
    void theEnvironmentIsExactlyWhatThePodSays() {
        client.resource(new SecretBuilder()
                        .withNewMetadata()
                        .withName("secret")
                        .endMetadata()
                        .addToStringData("key", "$(NOT_EXPANDED)")
                        .addToStringData("user", "u")
                        .build())
                .create();
        client.resource(new ConfigMapBuilder()
                        .withNewMetadata()
                        .withName("config")
                        .endMetadata()
                        .addToData("A", "from config")
                        .addToData("B", "from config")
                        .build())
                .create();
        Container container = new ContainerBuilder(shell("env"))
                .addNewEnvFrom()
                .withNewConfigMapRef("config", false)
                .endEnvFrom()
                .addNewEnvFrom()
                .withPrefix("S_")
                .withNewSecretRef("secret", false)
                .endEnvFrom()
                .addNewEnvFrom()
                .withNewSecretRef("absent", true)
                .endEnvFrom()
                .addNewEnv()
                .withName("B")
                .withValue("own, after $(A)")
                .endEnv()
                .addNewEnv()
                .withName("KEY")
                .withNewValueFrom()
                .withNewSecretKeyRef("key", "secret", false)
                .endValueFrom()
                .endEnv()
                .addNewEnv()
                .withName("OPTIONAL")
                .withNewValueFrom()
                .withNewSecretKeyRef("absent", "secret", true)
                .endValueFrom()
                .endEnv()
                .addNewEnv()
                .withName("POD")
                .withNewValueFrom()
                .withNewFieldRef("v1", "metadata.name")
                .endValueFrom()
                .endEnv()
                .addNewEnv()
                .withName("LATER")
                .withValue("$(KEY) $(NEVER) $$(KEY)")
                .endEnv()
                .build();
        create(pod(container));
        terminated();

        assertThat(client.pods().withName("pod").getLog().lines())
                .filteredOn(line -> !line.startsWith("PWD=")
                        && !line.startsWith("_=")
                        && !line.startsWith("SHLVL=")
                        && !line.startsWith("BLOBSTORE_REPORT="))
                .containsExactlyInAnyOrder(
                        "A=from config",
                        "B=own, after from config",
                        "S_key=$(NOT_EXPANDED)",
                        "S_user=u",
                        "KEY=$(NOT_EXPANDED)",
                        "POD=pod",
                        "LATER=$(NOT_EXPANDED) $(NEVER) $(KEY)",
                        "HOSTNAME=pod");
    }

    @Test
    void aMissingSecretIsWaitedFor() {
        Container container = new ContainerBuilder(shell("exit 0"))
                .addNewEnv()
                .withName("KEY")
                .withNewValueFrom()
                .withNewSecretKeyRef("key", "secret", false)
                .endValueFrom()
                .endEnv()
                .build();
        create(pod(container));
        assertThat(waiting("CreateContainerConfigError").getMessage()).isEqualTo("secret \"secret\" not found");

        client.resource(new SecretBuilder()
                        .withNewMetadata()
                        .withName("secret")
                        .endMetadata()
                        .addToStringData("other", "x")
                        .build())
                .create();
        until(() -> waiting("CreateContainerConfigError")
                .getMessage()
                .equals("couldn't find key key in Secret default/secret"));

        client.secrets()
                .withName("secret")
                .edit(s -> new SecretBuilder(s).addToStringData("key", "x").build());
        assertThat(terminated().getExitCode()).isZero();
    }

    @Test
    void anUnknownImageIsNotPulled() {
        Container container = shell("exit 0");
        container.setImage("nowhere:1");
        create(pod(container));

        assertThat(waiting("ImagePullBackOff").getMessage()).isEqualTo("Back-off pulling image \"nowhere:1\"");

        client.pods().withName("pod").delete();
        until(() -> live() == null);
    }

    @Test
    void whatIsNotImplementedIsSaid() {
        Pod two = pod(shell("exit 0"));
        two.getSpec()
                .setContainers(List.of(
                        shell("exit 0"),
                        new ContainerBuilder(shell("exit 0")).withName("other").build()));
        create(two);

        assertThat(waiting("CreateContainerError").getMessage()).contains("more than one container");
    }

    @Test
    void aMountedSecretIsReadThroughThePathInTheEnvironment() {
        client.resource(new SecretBuilder()
                        .withNewMetadata()
                        .withName("secret")
                        .endMetadata()
                        .addToStringData("ca.crt", "certificate")
                        .build())
                .create();
        Pod pod = new PodBuilder(pod(new ContainerBuilder(shell("read line < $CA || true; echo $line"))
                        .addNewEnv()
                        .withName("CA")
                        .withValue("/etc/tls/ca.crt")
                        .endEnv()
                        .addNewVolumeMount()
                        .withName("tls")
                        .withMountPath("/etc/tls")
                        .endVolumeMount()
                        .build()))
                .editSpec()
                .addNewVolume()
                .withName("tls")
                .withNewSecret()
                .withSecretName("secret")
                .endSecret()
                .endVolume()
                .endSpec()
                .build();
        create(pod);
        terminated();

        assertThat(client.pods().withName("pod").getLog()).isEqualTo("certificate\n");
    }

    @Test
    void aDeletedPodIsAskedToEnd() {
        client.resource(job(shell("trap 'exit 75' TERM; echo up; while :; do sleep 0.05; done")))
                .create();
        Pod pod = runningPod();

        client.resource(pod).delete();

        until(() -> Integer.valueOf(1)
                .equals(client.resource(job(shell(""))).get().getStatus().getFailed()));
        until(() -> client.pods().withName(pod.getMetadata().getName()).get() == null);
    }

    @Test
    void aPodThatWillNotEndIsKilledWhenItsGraceIsOver() {
        Pod pod = pod(shell("trap '' TERM; echo up; while :; do sleep 0.05; done"));
        pod.getSpec().setTerminationGracePeriodSeconds(1L);
        create(pod);
        until(() -> client.pods().withName("pod").get().getStatus() != null && "up\n".equals(logOrNothing("pod")));

        long before = System.nanoTime();
        client.pods().withName("pod").delete();
        until(() -> live() == null);

        assertThat(Duration.ofNanos(System.nanoTime() - before)).isGreaterThan(Duration.ofMillis(900));
    }

    @Test
    void aKilledPodOfAJobIsCountedAndReplaced() {
        client.resource(job(shell("echo up; while :; do sleep 0.05; done"))).create();
        Pod first = runningPod();

        node.kill(NAMESPACE, first.getMetadata().getName());

        until(() -> client.pods().list().getItems().size() == 2);
        assertThat(client.pods()
                        .withName(first.getMetadata().getName())
                        .get()
                        .getStatus()
                        .getContainerStatuses()
                        .getFirst()
                        .getState()
                        .getTerminated()
                        .getExitCode())
                .isEqualTo(137);
        until(() -> Integer.valueOf(1)
                .equals(client.resource(job(shell(""))).get().getStatus().getFailed()));
    }

    @Test
    void anEvictedPodOfAJobIsReplacedAndNotCounted() {
        client.resource(job(shell("echo up; exec sleep 60"))).create();
        Pod first = runningPod();

        node.evict(NAMESPACE, first.getMetadata().getName());

        until(() -> client.pods().list().getItems().stream()
                .anyMatch(pod ->
                        !pod.getMetadata().getName().equals(first.getMetadata().getName())));
        assertThat(client.resource(job(shell(""))).get().getStatus().getFailed())
                .isNull();
    }

    @Test
    void aNamespaceThatIsRestrictedTakesNoOtherPods() {
        client.resource(new NamespaceBuilder()
                        .withNewMetadata()
                        .withName("restricted")
                        .addToLabels("pod-security.kubernetes.io/enforce", "restricted")
                        .endMetadata()
                        .build())
                .create();
        Pod pod = pod(shell("exit 0"));
        pod.getMetadata().setNamespace("restricted");

        var e = org.assertj.core.api.Assertions.catchThrowableOfType(
                io.fabric8.kubernetes.client.KubernetesClientException.class,
                () -> client.resource(pod).create());

        assertThat(e.getCode()).isEqualTo(403);
        assertThat(e.getStatus().getMessage())
                .contains("violates PodSecurity \"restricted:latest\"")
                .contains("runAsNonRoot != true");
    }

    @Test
    void aRolloutBehindAServiceFailsNoRequest() throws Exception {
        client.resource(web("one")).create();
        until(() -> Objects.equals(2, available()));
        Set<String> answers = ConcurrentHashMap.newKeySet();
        AtomicInteger failures = new AtomicInteger();
        AtomicBoolean done = new AtomicBoolean();
        try (LocalService service = cluster.startService(node, NAMESPACE, Map.of("app", "web"), 0);
                HttpClient http = HttpClient.newHttpClient()) {
            Thread asking = Thread.ofVirtual().start(() -> {
                while (!done.get()) {
                    try {
                        answers.add(http.send(
                                        HttpRequest.newBuilder(URI.create(service.url() + "/"))
                                                .build(),
                                        HttpResponse.BodyHandlers.ofString())
                                .body());
                        Thread.sleep(5);
                    } catch (IOException | InterruptedException e) {
                        failures.incrementAndGet();
                    }
                }
            });
            until(() -> answers.contains("one"));

            client.resource(web("two")).forceConflicts().serverSideApply();
            until(() -> client.pods().withLabel("app", "web").list().getItems().stream()
                            .allMatch(pod -> "two"
                                    .equals(pod.getMetadata().getAnnotations().get("answer")))
                    && Objects.equals(2, available()));
            until(() -> answers.contains("two"));
            done.set(true);
            asking.join();
        }

        assertThat(failures).hasValue(0);
        assertThat(answers).containsExactlyInAnyOrder("one", "two");
    }

    private Integer available() {
        Deployment web = client.apps().deployments().withName("web").get();
        return web.getStatus() == null ? null : web.getStatus().getAvailableReplicas();
    }

    private static void until(BooleanSupplier condition) {
        await().atMost(Duration.ofSeconds(30))
                .pollInterval(Duration.ofMillis(25))
                .until(condition::getAsBoolean);
    }

    private void create(Pod pod) {
        client.resource(pod).create();
    }

    private Pod live() {
        return client.pods().withName("pod").get();
    }

    private ContainerStateTerminated terminated() {
        until(() -> status() != null && status().getState().getTerminated() != null);
        return status().getState().getTerminated();
    }

    private ContainerStateWaiting waiting(String reason) {
        until(() -> status() != null
                && status().getState().getWaiting() != null
                && reason.equals(status().getState().getWaiting().getReason()));
        return status().getState().getWaiting();
    }

    /** Null before there is one. */
    private ContainerStatus status() {
        Pod pod = live();
        return pod.getStatus() == null || pod.getStatus().getContainerStatuses().isEmpty()
                ? null
                : pod.getStatus().getContainerStatuses().getFirst();
    }

    /** The Job's pod, which has said that it is up. */
    private Pod runningPod() {
        until(() -> client.pods().list().getItems().size() == 1
                && "up\n"
                        .equals(logOrNothing(client.pods()
                                .list()
                                .getItems()
                                .getFirst()
                                .getMetadata()
                                .getName())));
        return client.pods().list().getItems().getFirst();
    }

    private String logOrNothing(String pod) {
        return node.read(NAMESPACE, pod, "").orElse("");
    }

    private static Container shell(String script) {
        return new ContainerBuilder()
                .withName("worker")
                .withImage("shell:1")
                .withArgs(script)
                .build();
    }

    private static Pod pod(Container container) {
        return new PodBuilder()
                .withNewMetadata()
                .withName("pod")
                .withNamespace(NAMESPACE)
                .endMetadata()
                .withNewSpec()
                .withRestartPolicy("Never")
                .withContainers(container)
                .endSpec()
                .build();
    }

    private static Job job(Container container) {
        return new JobBuilder()
                .withNewMetadata()
                .withName("job")
                .withNamespace(NAMESPACE)
                .endMetadata()
                .withNewSpec()
                .withNewPodFailurePolicy()
                .addNewRule()
                .withAction("Ignore")
                .addNewOnPodCondition()
                .withType("DisruptionTarget")
                .withStatus("True")
                .endOnPodCondition()
                .endRule()
                .endPodFailurePolicy()
                .withNewTemplate()
                .withNewSpec()
                .withRestartPolicy("Never")
                .withTerminationGracePeriodSeconds(5L)
                .withContainers(container)
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();
    }

    private static Deployment web(String answer) {
        return new DeploymentBuilder()
                .withNewMetadata()
                .withName("web")
                .withNamespace(NAMESPACE)
                .endMetadata()
                .withNewSpec()
                .withReplicas(2)
                .withNewSelector()
                .addToMatchLabels("app", "web")
                .endSelector()
                .withNewTemplate()
                .withNewMetadata()
                .addToLabels("app", "web")
                .addToAnnotations("answer", answer)
                .endMetadata()
                .withNewSpec()
                .addNewContainer()
                .withName("web")
                .withImage("echo:1")
                .addNewEnv()
                .withName("ANSWER")
                .withValue(answer)
                .endEnv()
                .addNewPort()
                .withContainerPort(8080)
                .endPort()
                .withNewReadinessProbe()
                .withPeriodSeconds(1)
                .withNewHttpGet()
                .withPort(new IntOrString(8080))
                .withPath("/")
                .endHttpGet()
                .endReadinessProbe()
                .endContainer()
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();
    }
}
