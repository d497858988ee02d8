package io.flynn.blobstore.testkit.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.fabric8.kubernetes.api.model.ContainerStatusBuilder;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.OwnerReferenceBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.PodConditionBuilder;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.JobCondition;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What the operator relies on of the controllers, without nodes: the tests say themselves what became of pods. They run on
 * {@link LocalCluster} and on {@code kube-controller-manager} alike: a difference is a bug in LocalCluster.
 */
abstract class ControllerContract {

    /** The real Job controller waits ten seconds before it makes another pod. */
    private static final Duration AT_MOST = Duration.ofSeconds(40);

    private String namespace;
    private KubernetesClient client;

    abstract KubernetesClient connect();

    @BeforeEach
    void newNamespace() {
        client = connect();
        namespace = "controllers-" + UUID.randomUUID().toString().substring(0, 8);
        client.resource(new NamespaceBuilder()
                        .withNewMetadata()
                        .withName(namespace)
                        .endMetadata()
                        .build())
                .create();
    }

    // Deployments

    @Test
    void aDeploymentIsAvailableWhenItsPodsAreReady() {
        client.resource(deployment("1")).create();
        until(() -> pods().size() == 2 && status() != null && Integer.valueOf(2).equals(status().getReplicas()));
        assertThat(condition("Available")).isEqualTo("False");

        pods().forEach(this::markReady);

        until(() -> Integer.valueOf(2).equals(status().getReadyReplicas()));
        until(() -> condition("Available").equals("True"));
        assertThat(status().getUpdatedReplicas()).isEqualTo(2);
        assertThat(status().getAvailableReplicas()).isEqualTo(2);
        assertThat(status().getObservedGeneration()).isEqualTo(1);
    }

    @Test
    void aRolloutReplacesAPodOnlyWhenAnotherIsReady() {
        client.resource(deployment("1")).create();
        until(() -> pods().size() == 2);
        pods().forEach(this::markReady);
        until(() -> status() != null && Integer.valueOf(2).equals(status().getAvailableReplicas()));

        client.resource(deployment("2")).forceConflicts().serverSideApply();
        until(() -> pods("2").size() == 1 && pods("1").size() == 2);
        until(() -> status().getObservedGeneration() == 2 && Integer.valueOf(1).equals(status().getUpdatedReplicas()));

        markReady(pods("2").getFirst());
        until(() -> pods("2").size() == 2 && pods("1").size() == 1);

        pods("2").forEach(this::markReady);
        until(() -> pods("1").isEmpty()
                && Integer.valueOf(2).equals(status().getUpdatedReplicas())
                && Integer.valueOf(2).equals(status().getReplicas()));
    }

    @Test
    void deletingADeploymentDeletesItsPods() {
        client.resource(deployment("1")).create();
        until(() -> pods().size() == 2);

        client.resource(deployment("1")).delete();

        until(() -> pods().isEmpty());
    }

    // Jobs

    @Test
    void aJobIsCompleteWhenItsPodSucceeded() {
        client.resource(job()).create();
        finish(onlyPod(), "Succeeded", 0);

        until(() -> job("Complete") != null);
        assertThat(job("SuccessCriteriaMet").getReason()).isEqualTo("CompletionsReached");
        assertThat(job("Complete").getReason()).isEqualTo("CompletionsReached");
        Job job = client.resource(job()).get();
        assertThat(job.getStatus().getSucceeded()).isEqualTo(1);
        assertThat(job.getStatus().getFailed()).isNull();
        assertThat(job.getStatus().getActive()).isNull();
        assertThat(job.getStatus().getCompletionTime()).isNotNull();
    }

    @Test
    void aJobFailsWhenItsPodsFailedTooOften() {
        client.resource(job()).create();
        finish(onlyPod(), "Failed", 75);
        until(() -> pods().size() == 2);
        until(() -> Integer.valueOf(1)
                .equals(client.resource(job()).get().getStatus().getFailed()));

        pods().stream().filter(pod -> !PodFacts.isFinished(pod)).forEach(pod -> finish(pod, "Failed", 75));

        until(() -> job("Failed") != null);
        assertThat(job("Failed").getReason()).isEqualTo("BackoffLimitExceeded");
        assertThat(job("Failed").getMessage()).isEqualTo("Job has reached the specified backoff limit");
        assertThat(job("FailureTarget").getReason()).isEqualTo("BackoffLimitExceeded");
        assertThat(client.resource(job()).get().getStatus().getFailed()).isEqualTo(2);
        assertThat(client.resource(job()).get().getStatus().getCompletionTime()).isNull();
    }

    @Test
    void anExitCodeOfThePolicyFailsTheJobAtOnce() {
        client.resource(job()).create();
        Pod pod = onlyPod();
        finish(pod, "Failed", 1);

        until(() -> job("Failed") != null);

        assertThat(job("Failed").getReason()).isEqualTo("PodFailurePolicy");
        assertThat(job("Failed").getMessage())
                .isEqualTo("Container worker for pod %s/%s failed with exit code 1 matching FailJob rule at index 0"
                        .formatted(namespace, pod.getMetadata().getName()));
        assertThat(pods()).hasSize(1);
    }

    @Test
    void aWorkQueueIsCompleteWhenOnePodSucceededAndTheOthersEnded() {
        client.resource(workQueue(3)).create();
        until(() -> pods().size() == 3);
        finish(pods().getFirst(), "Succeeded", 0);
        until(() -> Integer.valueOf(1)
                .equals(client.resource(job()).get().getStatus().getSucceeded()));

        finish(
                pods().stream()
                        .filter(pod -> !PodFacts.isFinished(pod))
                        .findFirst()
                        .orElseThrow(),
                "Failed",
                75);
        until(() -> Integer.valueOf(1)
                .equals(client.resource(job()).get().getStatus().getFailed()));
        assertThat(job("Complete")).as("one still works").isNull();
        assertThat(pods()).as("none is made once one has succeeded").hasSize(3);

        finish(
                pods().stream()
                        .filter(pod -> !PodFacts.isFinished(pod))
                        .findFirst()
                        .orElseThrow(),
                "Succeeded",
                0);
        until(() -> job("Complete") != null);
        assertThat(client.resource(job()).get().getStatus().getSucceeded()).isEqualTo(2);
    }

    @Test
    void aWorkQueueThatIsMadeSmallerCountsNoneOfThosePodsAsFailed() {
        client.resource(workQueue(1)).create();
        onlyPod();

        resize(4);
        until(() -> pods().size() == 4);
        resize(1);
        until(() -> pods().size() == 1);

        Job job = client.resource(job()).get();
        assertThat(job.getSpec().getCompletions()).isNull();
        assertThat(job.getStatus().getFailed()).isNull();
        assertThat(job("Failed")).isNull();
        finish(onlyPod(), "Succeeded", 0);
        until(() -> job("Complete") != null);
    }

    @Test
    void aPodThatFindsNoPlaceKeepsAWorkQueueFromBeingComplete() {
        client.resource(workQueue(2)).create();
        until(() -> pods().size() == 2);
        finish(pods().getFirst(), "Succeeded", 0);
        until(() -> Integer.valueOf(1)
                .equals(client.resource(job()).get().getStatus().getSucceeded()));

        resize(1);

        assertThat(job("Complete")).isNull();
        assertThat(pods()).as("nor is it taken away").hasSize(2);
    }

    @Test
    void aDisruptedPodIsReplacedAndNotCounted() {
        client.resource(job()).create();
        Pod pod = onlyPod();
        client.resource(pod)
                .editStatus(p -> new PodBuilder(p)
                        .editOrNewStatus()
                        .addToConditions(new PodConditionBuilder()
                                .withType("DisruptionTarget")
                                .withStatus("True")
                                .withReason("TerminationByKubelet")
                                .build())
                        .endStatus()
                        .build());
        finish(onlyPod(), "Failed", 137);

        until(() -> pods().size() == 2);
        assertThat(client.resource(job()).get().getStatus().getFailed()).isNull();
    }

    @Test
    void aSuspendedJobHasNoPodsUntilItIsResumed() {
        Job job = job();
        job.getSpec().setSuspend(true);
        client.resource(job).create();
        until(() -> job("Suspended") != null);
        assertThat(job("Suspended").getStatus()).isEqualTo("True");
        assertThat(pods()).isEmpty();

        suspend(false);
        until(() -> pods().size() == 1);
        until(() -> job("Suspended").getStatus().equals("False"));

        suspend(true);
        until(() -> pods().isEmpty());
    }

    @Test
    void aJobThatTakesTooLongFails() {
        Job job = job();
        job.getSpec().setActiveDeadlineSeconds(1L);
        client.resource(job).create();

        until(() -> job("Failed") != null);

        assertThat(job("Failed").getReason()).isEqualTo("DeadlineExceeded");
        assertThat(job("Failed").getMessage()).isEqualTo("Job was active longer than specified deadline");
        until(() -> pods().isEmpty());
    }

    @Test
    void aFinishedJobGoesAfterItsTimeToLive() {
        Job job = job();
        job.getSpec().setTtlSecondsAfterFinished(1);
        client.resource(job).create();
        finish(onlyPod(), "Succeeded", 0);

        until(() -> client.resource(job()).get() == null);
        until(() -> pods().isEmpty());
    }

    @Test
    void deletingAJobInTheBackgroundDeletesItsPods() {
        client.resource(job()).create();
        onlyPod();

        client.resource(job())
                .withPropagationPolicy(io.fabric8.kubernetes.api.model.DeletionPropagation.BACKGROUND)
                .delete();

        until(() -> pods().isEmpty());
    }

    // Owners and namespaces

    @Test
    void whatIsOwnedGoesWithItsOwner() {
        Secret owner = client.resource(secret("owner")).create();
        Secret owned = secret("owned");
        owned.getMetadata()
                .setOwnerReferences(List.of(new OwnerReferenceBuilder()
                        .withApiVersion("v1")
                        .withKind("Secret")
                        .withName("owner")
                        .withUid(owner.getMetadata().getUid())
                        .build()));
        client.resource(owned).create();

        client.resource(owner).delete();

        until(() -> client.resource(secret("owned")).get() == null);
    }

    @Test
    void whatClaimsAnOwnerThatNeverWasGoes() {
        Secret owned = secret("stray");
        owned.getMetadata()
                .setOwnerReferences(List.of(new OwnerReferenceBuilder()
                        .withApiVersion("v1")
                        .withKind("Secret")
                        .withName("nobody")
                        .withUid(UUID.randomUUID().toString())
                        .build()));
        client.resource(owned).create();

        until(() -> client.resource(secret("stray")).get() == null);
    }

    @Test
    void aNamespaceGoesWithAllThatIsInIt() {
        client.resource(secret("content")).create();

        client.namespaces().withName(namespace).delete();

        until(() -> client.namespaces().withName(namespace).get() == null);
        assertThat(client.secrets().inNamespace(namespace).list().getItems()).isEmpty();
    }

    // What the tests are made of

    private static void until(BooleanSupplier condition) {
        await().atMost(AT_MOST).pollInterval(Duration.ofMillis(25)).until(condition::getAsBoolean);
    }

    private List<Pod> pods() {
        return client.pods().inNamespace(namespace).list().getItems();
    }

    private List<Pod> pods(String revision) {
        return client.pods()
                .inNamespace(namespace)
                .withLabel("revision", revision)
                .list()
                .getItems();
    }

    private Pod onlyPod() {
        until(() -> pods().size() == 1);
        return pods().getFirst();
    }

    private void markReady(Pod pod) {
        client.resource(pod)
                .editStatus(p -> new PodBuilder(p)
                        .editOrNewStatus()
                        .withPhase("Running")
                        .withConditions(new PodConditionBuilder()
                                .withType("Ready")
                                .withStatus("True")
                                .withLastTransitionTime("2026-01-01T00:00:00Z")
                                .build())
                        .endStatus()
                        .build());
    }

    private void finish(Pod pod, String phase, int exitCode) {
        client.resource(pod)
                .editStatus(p -> new PodBuilder(p)
                        .editOrNewStatus()
                        .withPhase(phase)
                        .withContainerStatuses(new ContainerStatusBuilder()
                                .withName("worker")
                                .withImage("worker:1")
                                .withImageID("")
                                .withReady(false)
                                .withRestartCount(0)
                                .withNewState()
                                .withNewTerminated()
                                .withExitCode(exitCode)
                                .withFinishedAt("2026-01-01T00:00:00Z")
                                .endTerminated()
                                .endState()
                                .build())
                        .endStatus()
                        .build());
    }

    private io.fabric8.kubernetes.api.model.apps.DeploymentStatus status() {
        return client.resource(deployment("1")).get().getStatus();
    }

    private String condition(String type) {
        return status().getConditions().stream()
                .filter(condition -> condition.getType().equals(type))
                .map(io.fabric8.kubernetes.api.model.apps.DeploymentCondition::getStatus)
                .findFirst()
                .orElse("");
    }

    /** Null if the Job does not have it. */
    private JobCondition job(String condition) {
        Job job = client.batch()
                .v1()
                .jobs()
                .inNamespace(namespace)
                .withName("job")
                .get();
        return job.getStatus() == null
                ? null
                : job.getStatus().getConditions().stream()
                        .filter(c -> c.getType().equals(condition))
                        .findFirst()
                        .orElse(null);
    }

    private void resize(int parallelism) {
        client.batch()
                .v1()
                .jobs()
                .inNamespace(namespace)
                .withName("job")
                .patch(PatchContext.of(PatchType.JSON_MERGE), "{\"spec\":{\"parallelism\":%d}}".formatted(parallelism));
    }

    private void suspend(boolean suspended) {
        client.batch()
                .v1()
                .jobs()
                .inNamespace(namespace)
                .withName("job")
                .edit(job -> new JobBuilder(job)
                        .editSpec()
                        .withSuspend(suspended)
                        .endSpec()
                        .build());
    }

    private Secret secret(String name) {
        return new SecretBuilder()
                .withNewMetadata()
                .withName(name)
                .withNamespace(namespace)
                .endMetadata()
                .build();
    }

    private Deployment deployment(String revision) {
        return new DeploymentBuilder()
                .withNewMetadata()
                .withName("web")
                .withNamespace(namespace)
                .endMetadata()
                .withNewSpec()
                .withReplicas(2)
                .withNewStrategy()
                .withType("RollingUpdate")
                .withNewRollingUpdate()
                .withNewMaxSurge(1)
                .withNewMaxUnavailable(0)
                .endRollingUpdate()
                .endStrategy()
                .withNewSelector()
                .addToMatchLabels("app", "web")
                .endSelector()
                .withNewTemplate()
                .withNewMetadata()
                .addToLabels("app", "web")
                .addToLabels("revision", revision)
                .endMetadata()
                .withNewSpec()
                .addNewContainer()
                .withName("web")
                .withImage("web:1")
                .endContainer()
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();
    }

    private Job workQueue(int parallelism) {
        return new JobBuilder(job())
                .editSpec()
                .withParallelism(parallelism)
                .endSpec()
                .build();
    }

    /** As the operator's: one retry, no retry for a failure that no retry mends. */
    private Job job() {
        return new JobBuilder()
                .withNewMetadata()
                .withName("job")
                .withNamespace(namespace)
                .endMetadata()
                .withNewSpec()
                .withBackoffLimit(1)
                .withNewPodFailurePolicy()
                .addNewRule()
                .withAction("FailJob")
                .withNewOnExitCodes()
                .withOperator("In")
                .withValues(1, 2)
                .endOnExitCodes()
                .endRule()
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
                .addNewContainer()
                .withName("worker")
                .withImage("worker:1")
                .endContainer()
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();
    }
}
