package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.ContainerStatusBuilder;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.OwnerReferenceBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.fabric8.kubernetes.api.model.apps.DeploymentStatusBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/**
 * A namespace with a blobstore in it, and the hands that Kubernetes' controllers and nodes would be: nothing happens to pods and
 * Jobs before a test says so. The same on every API server.
 */
final class BackendWorld {

    /** In whatever anybody may read, neither of these may ever stand. */
    static final String KEY_ID = "canary-id-4711";

    static final String KEY = "canary-secret-4711";

    private static int namespaces;

    final KubernetesClient client;
    final String namespace;
    private int pods;

    BackendWorld(KubernetesClient client) {
        this.client = client;
        namespace = "backend-" + namespaces++;
        client.resource(new NamespaceBuilder()
                        .withNewMetadata()
                        .withName(namespace)
                        .endMetadata()
                        .build())
                .create();
    }

    static void installCrds(KubernetesClient client) throws Exception {
        for (String file : List.of("blobstorebackends", "blobmigrations")) {
            try (var text = Files.newInputStream(Path.of("crds", file + ".yaml"))) {
                client.load(text).serverSideApply();
            }
            client.apiextensions()
                    .v1()
                    .customResourceDefinitions()
                    .withName(file + ".blobstore.flynn.io")
                    .waitUntilCondition(
                            crd -> crd != null
                                    && crd.getStatus() != null
                                    && crd.getStatus().getConditions() != null
                                    && crd.getStatus().getConditions().stream()
                                            .anyMatch(condition -> "Established".equals(condition.getType())
                                                    && "True".equals(condition.getStatus())),
                            20,
                            TimeUnit.SECONDS);
        }
    }

    BackendWorld secret() {
        return secret(KEY_ID, KEY);
    }

    BackendWorld secret(String id, String key) {
        client.secrets().inNamespace(namespace).withName("s3main").delete();
        client.resource(new SecretBuilder()
                        .withNewMetadata()
                        .withName("s3main")
                        .withNamespace(namespace)
                        .endMetadata()
                        .withData(Map.of("access-key-id", base64(id), "secret-access-key", base64(key)))
                        .build())
                .create();
        return this;
    }

    private static String base64(String text) {
        return java.util.Base64.getEncoder().encodeToString(text.getBytes(java.nio.charset.StandardCharsets.UTF_8));
    }

    /** Two pods of it run. */
    BackendWorld deployment(EnvVar... more) {
        client.resource(new DeploymentBuilder()
                        .withNewMetadata()
                        .withName("blobstore")
                        .withNamespace(namespace)
                        .endMetadata()
                        .withNewSpec()
                        .withReplicas(2)
                        .withNewSelector()
                        .addToMatchLabels("app", "blobstore")
                        .endSelector()
                        .withNewTemplate()
                        .withNewMetadata()
                        .addToLabels("app", "blobstore")
                        .endMetadata()
                        .withNewSpec()
                        .addNewContainer()
                        .withName("blobstore")
                        .withImage("blobstore:1")
                        .addNewEnv()
                        .withName("PGHOST")
                        .withValue("database")
                        .endEnv()
                        .addToEnv(more)
                        .endContainer()
                        .endSpec()
                        .endTemplate()
                        .endSpec()
                        .build())
                .fieldManager("helm")
                .serverSideApply();
        roll();
        return this;
    }

    BackendWorld backend(String yaml) {
        client.resource(backendOf(yaml)).create();
        return this;
    }

    BlobstoreBackend backendOf(String yaml) {
        BlobstoreBackend backend = Serialization.unmarshal(yaml, BlobstoreBackend.class);
        backend.getMetadata().setNamespace(namespace);
        return backend;
    }

    BackendWorld backend() {
        return backend(spec("s3main", "default: true"));
    }

    static String spec(String name, String... more) {
        return """
                apiVersion: blobstore.flynn.io/v1alpha1
                kind: BlobstoreBackend
                metadata: {name: %s}
                spec:
                  workload: {name: blobstore}
                  s3: {provider: S3Compatible, bucket: flynnblobstore, region: us-east-1, endpoint: "https://s3.example.com"}
                  credentials: {secretRef: {name: s3main}}
                """.formatted(name)
                + String.join(
                        "",
                        java.util.Arrays.stream(more)
                                .map(line -> "  " + line + "\n")
                                .toList());
    }

    Optional<BlobstoreBackend> find(String name) {
        return Optional.ofNullable(client.resources(BlobstoreBackend.class)
                .inNamespace(namespace)
                .withName(name)
                .get());
    }

    Deployment live() {
        return client.apps()
                .deployments()
                .inNamespace(namespace)
                .withName("blobstore")
                .get();
    }

    List<String> environment() {
        return live().getSpec().getTemplate().getSpec().getContainers().getFirst().getEnv().stream()
                .map(BackendWorld::entry)
                .toList();
    }

    private static String entry(EnvVar entry) {
        return entry.getValue() != null
                ? entry.getName() + "=" + entry.getValue()
                : entry.getName()
                        + "<-"
                        + entry.getValueFrom().getSecretKeyRef().getName().replaceFirst("[0-9a-f]{10}$", "HASH");
    }

    /** As the Deployment's controller and the nodes would: pods of the newest template in place of all others. */
    void roll() {
        deletePods();
        addPods(2);
        observed(2);
    }

    boolean isRolledOut() {
        Deployment live = live();
        var wanted = live.getSpec().getTemplate().getSpec().getContainers();
        return Objects.equals(
                        live.getStatus().getObservedGeneration(),
                        live.getMetadata().getGeneration())
                && deploymentPods().stream()
                        .allMatch(pod -> pod.getSpec()
                                .getContainers()
                                .getFirst()
                                .getEnv()
                                .equals(wanted.getFirst().getEnv()));
    }

    /** One pod is new, one is as it was. */
    void rollHalf() {
        client.resource(deploymentPods().getFirst()).withGracePeriod(0).delete();
        addPods(1);
        observed(2);
    }

    /** None runs, though some are wanted. */
    void stopPods() {
        deletePods();
        observed(0);
    }

    /** It won't be gone before it is released. */
    Pod holdOnePod() {
        return client.resource(deploymentPods().getFirst()).edit(pod -> {
            pod.getMetadata().setFinalizers(List.of("blobstore.flynn.io/held-by-a-test"));
            return pod;
        });
    }

    void release(Pod held) {
        client.pods()
                .inNamespace(namespace)
                .withName(held.getMetadata().getName())
                .edit(pod -> {
                    pod.getMetadata().setFinalizers(List.of());
                    return pod;
                });
    }

    private void deletePods() {
        deploymentPods().forEach(pod -> client.resource(pod).withGracePeriod(0).delete());
    }

    private List<Pod> deploymentPods() {
        return client.pods()
                .inNamespace(namespace)
                .withLabel("app", "blobstore")
                .list()
                .getItems();
    }

    private void addPods(int count) {
        var template = live().getSpec().getTemplate();
        IntStream.range(0, count)
                .forEach(i -> client.resource(new PodBuilder()
                                .withNewMetadata()
                                .withName("blobstore-" + pods++)
                                .withNamespace(namespace)
                                .withLabels(template.getMetadata().getLabels())
                                .withAnnotations(template.getMetadata().getAnnotations())
                                .endMetadata()
                                .withSpec(template.getSpec())
                                .build())
                        .create());
    }

    private void observed(int available) {
        Deployment deployment = live();
        deployment.setStatus(new DeploymentStatusBuilder()
                .withObservedGeneration(deployment.getMetadata().getGeneration())
                .withReplicas(2)
                .withUpdatedReplicas(2)
                .withAvailableReplicas(available)
                .withReadyReplicas(available)
                .build());
        client.resource(deployment).updateStatus();
    }

    /** The probe Jobs that run now. */
    List<Job> running() {
        return client.batch().v1().jobs().inNamespace(namespace).list().getItems().stream()
                .filter(job -> job.getStatus() == null
                        || job.getStatus().getConditions() == null
                        || job.getStatus().getConditions().isEmpty())
                .toList();
    }

    static StageReport passed(long rows) {
        return new StageReport(
                Stage.PROBE,
                ExitCode.DONE,
                Reasons.PROBED,
                "every check passed",
                "",
                Map.of(Figure.BLOBS, rows, Figure.BYTES, rows * 1024),
                List.of(new Finding(Level.OK, "s3:PutObject", Reasons.PROBED, "")));
    }

    static StageReport failed(ExitCode outcome, String reason, String message) {
        return new StageReport(
                Stage.PROBE,
                outcome,
                reason,
                message,
                "",
                Map.of(),
                List.of(new Finding(Level.FAILURE, "s3:PutObject", reason, message)));
    }

    /** As the Job's controller and a node would: the pod ended, and said this. */
    void end(Job job, StageReport report) {
        try {
            end(job, report.outcome(), new com.fasterxml.jackson.databind.ObjectMapper().writeValueAsString(report));
        } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    private void end(Job job, ExitCode outcome, String message) {
        var template = job.getSpec().getTemplate();
        String name = job.getMetadata().getName() + "-pod";
        Pod pod = client.resource(new PodBuilder()
                        .withNewMetadata()
                        .withName(name)
                        .withNamespace(namespace)
                        .withLabels(template.getMetadata().getLabels())
                        .withOwnerReferences(owner(job))
                        .endMetadata()
                        .withSpec(template.getSpec())
                        .build())
                .create();
        boolean done = outcome == ExitCode.DONE;
        pod.setStatus(new io.fabric8.kubernetes.api.model.PodStatusBuilder()
                .withPhase(done ? "Succeeded" : "Failed")
                .withContainerStatuses(new ContainerStatusBuilder()
                        .withName("blobstore")
                        .withImage("blobstore:1")
                        .withImageID("")
                        .withReady(false)
                        .withRestartCount(0)
                        .withNewState()
                        .withNewTerminated()
                        .withExitCode(outcome.value())
                        .withMessage(message)
                        .endTerminated()
                        .endState()
                        .build())
                .build());
        client.resource(pod).updateStatus();
        String now = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
        JobBuilder ended = new JobBuilder(
                        Objects.requireNonNull(client.resource(job).get()))
                .editOrNewStatus()
                .withStartTime(now)
                .addNewCondition()
                .withType(done ? "SuccessCriteriaMet" : "FailureTarget")
                .withStatus("True")
                .withLastTransitionTime(now)
                .endCondition()
                .addNewCondition()
                .withType(done ? "Complete" : "Failed")
                .withStatus("True")
                .withLastTransitionTime(now)
                .endCondition()
                .endStatus();
        if (done) {
            ended.editStatus().withSucceeded(1).withCompletionTime(now).endStatus();
        } else {
            ended.editStatus().withFailed(1).endStatus();
        }
        client.resource(ended.build()).updateStatus();
    }

    private static io.fabric8.kubernetes.api.model.OwnerReference owner(HasMetadata owner) {
        return new OwnerReferenceBuilder()
                .withApiVersion(owner.getApiVersion())
                .withKind(owner.getKind())
                .withName(owner.getMetadata().getName())
                .withUid(owner.getMetadata().getUid())
                .withController(true)
                .build();
    }

    List<String> configSecrets(KubernetesClient reader) {
        return reader.secrets().inNamespace(namespace).withLabel(Labels.BACKEND).list().getItems().stream()
                .map(secret -> secret.getMetadata().getName())
                .toList();
    }
}
