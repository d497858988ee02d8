package io.flynn.blobstore.operate;

import static io.flynn.blobstore.operate.StageJobs.OWNER;
import static io.flynn.blobstore.operate.StageJobs.UID;
import static io.flynn.blobstore.operate.StageJobs.job;
import static io.flynn.blobstore.operate.StageJobs.plainWorkload;
import static io.flynn.blobstore.operate.StageJobs.request;
import static io.flynn.blobstore.operate.StageJobs.workload;
import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.AffinityBuilder;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.LabelSelectorRequirementBuilder;
import io.fabric8.kubernetes.api.model.PodSpec;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.ResourceRequirements;
import io.fabric8.kubernetes.api.model.ResourceRequirementsBuilder;
import io.fabric8.kubernetes.api.model.Toleration;
import io.fabric8.kubernetes.api.model.TolerationBuilder;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.flynn.blobstore.api.v1alpha1.PodTemplate;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.testkit.Golden;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** "How a pod of ours is made from the workload's", sentence by sentence; the golden files show the whole. */
class StageJobTest {

    private static final PodTemplate TEMPLATE = new PodTemplate(
            new PodTemplate.Metadata(Map.of("team", "storage"), Map.of("sidecar.istio.io/inject", "false")),
            new PodTemplate.Spec(
                    new ResourceRequirementsBuilder()
                            .addToLimits("memory", new Quantity("2Gi"))
                            .addToRequests("cpu", new Quantity("3"))
                            .build(),
                    Map.of("disk", "nvme", "arch", "arm64"),
                    List.of(new TolerationBuilder()
                            .withKey("batch")
                            .withOperator("Exists")
                            .build()),
                    new AffinityBuilder()
                            .withNewNodeAffinity()
                            .endNodeAffinity()
                            .build(),
                    "batch"));

    @Test
    void wholeJobOfAPlainWorkload() {
        Golden.assertMatches("operate/stagejob/plain.yaml", Serialization.asYaml(job()));
    }

    @Test
    void wholeJobOfAWorkloadThatHasEverything() {
        Golden.assertMatches("operate/stagejob/full.yaml", Serialization.asYaml(job(workload(), TEMPLATE)));
    }

    @Test
    void wholeJobOfAStageThatSeveralPodsShare() {
        StageJob.Request one = request(plainWorkload(), Optional.empty(), PodTemplate.EMPTY);
        StageJob shared = StageJob.of(new StageJob.Request(
                one.owner(),
                one.subject(),
                one.stage(),
                one.attempt(),
                one.arguments(),
                one.environment(),
                one.limits(),
                one.workload(),
                one.container(),
                one.template(),
                one.image(),
                OptionalInt.of(3),
                one.deadline(),
                one.backoffLimit(),
                one.keepFor()));

        Golden.assertMatches("operate/stagejob/shared.yaml", Serialization.asYaml(((StageJob.Built) shared).job()));
    }

    @Test
    void environmentComesVerbatimAndInOrderThenOurs() {
        Container theirs =
                workload().getSpec().getTemplate().getSpec().getContainers().get(1);
        Container ours = worker(job(workload(), PodTemplate.EMPTY));

        assertThat(ours.getEnvFrom()).isEqualTo(theirs.getEnvFrom());
        assertThat(ours.getEnv())
                .extracting(EnvVar::getName)
                .containsExactly(
                        "PGHOST",
                        "PGPASSWORD",
                        "GREETING",
                        "MEMORY",
                        "BACKEND_S3MAIN",
                        "BACKEND_S3MAIN_SECRET_ACCESS_KEY");
        assertThat(ours.getEnv().subList(0, 3)).isEqualTo(theirs.getEnv().subList(0, 3));
    }

    @Test
    void dollarsAreEscapedOnlyInWhatWeAdd() {
        Container worker = worker(job(workload(), PodTemplate.EMPTY));

        assertThat(value(worker, "GREETING")).isEqualTo("$(PGHOST) costs $$5");
        assertThat(value(worker, "BACKEND_S3MAIN"))
                .isEqualTo("backend=s3 region=eu-central-1 bucket=a$$(PGPASSWORD)b$$c");
        assertThat(worker.getArgs()).endsWith("--to", "a$$(PGPASSWORD)");
    }

    @Test
    void secretsStayReferences() {
        EnvVar secret = worker(job(workload(), PodTemplate.EMPTY)).getEnv().getLast();

        assertThat(secret.getValue()).isNull();
        assertThat(secret.getValueFrom().getSecretKeyRef().getName()).isEqualTo("s3main");
    }

    @Test
    void containersNameIsKeptAndItsImageAndCommandAreNot() {
        Container worker = worker(job(workload(), PodTemplate.EMPTY));

        assertThat(worker.getName()).isEqualTo("blobstore");
        assertThat(worker.getImage()).isEqualTo("registry/blobstore:1");
        assertThat(worker.getImagePullPolicy()).isEqualTo("IfNotPresent");
        assertThat(worker.getCommand()).isEmpty();
        assertThat(worker.getArgs()).startsWith("worker", "copy");
        assertThat(worker.getPorts()).isEmpty();
        assertThat(worker.getReadinessProbe()).isNull();
        assertThat(pod(job(workload(), PodTemplate.EMPTY)).getImagePullSecrets())
                .extracting("name")
                .containsExactly("pull");
    }

    @Test
    void onlyMountedVolumesThatHoldConfigurationComeAlong() {
        PodSpec pod = pod(job(workload(), PodTemplate.EMPTY));

        assertThat(pod.getVolumes())
                .extracting(Volume::getName)
                .containsExactly("ca", "settings", "identity", "about", "vault", "tmp", "limits");
        assertThat(pod.getContainers().getFirst().getVolumeMounts())
                .extracting(VolumeMount::getMountPath)
                .containsExactly(
                        "/etc/ca",
                        "/etc/blobstore/settings.conf",
                        "/var/run/identity",
                        "/etc/about",
                        "/mnt/vault",
                        "/tmp",
                        "/etc/blobstore-limits");
    }

    @Test
    void noTokenOfTheClusterComesAlong() {
        PodSpec pod = pod(job(workload(), PodTemplate.EMPTY));

        assertThat(pod.getAutomountServiceAccountToken()).isFalse();
        assertThat(pod.getVolumes().get(2).getProjected().getSources())
                .extracting(source -> source.getServiceAccountToken().getAudience())
                .containsExactly("sts.amazonaws.com");
    }

    @Test
    void accountGroupAndSchedulingAreTheWorkloads() {
        PodSpec pod = pod(job(workload(), PodTemplate.EMPTY));

        assertThat(pod.getServiceAccountName()).isEqualTo("blobstore");
        assertThat(pod.getSecurityContext().getFsGroup()).isEqualTo(2000);
        assertThat(pod.getEnableServiceLinks()).isFalse();
        assertThat(pod.getNodeSelector()).isEqualTo(Map.of("disk", "ssd"));
        assertThat(pod.getPriorityClassName()).isEqualTo("storage");
        assertThat(pod.getHostAliases()).hasSize(1);
        assertThat(pod.getHostNetwork()).isNull();
        assertThat(pod.getInitContainers()).isEmpty();
    }

    @Test
    void affinityToOtherPodsIsNotTaken() {
        PodSpec pod = pod(job(workload(), PodTemplate.EMPTY));

        assertThat(pod.getAffinity().getNodeAffinity()).isNotNull();
        assertThat(pod.getAffinity().getPodAntiAffinity()).isNull();
    }

    @Test
    void templateGoesBeforeTheWorkload() {
        Job job = job(workload(), TEMPLATE);
        PodSpec pod = pod(job);

        assertThat(job.getSpec().getTemplate().getMetadata().getLabels())
                .containsEntry("team", "storage")
                .containsEntry(Labels.COMPONENT, "worker")
                .containsEntry(Labels.MIGRATION, "pg-to-s3");
        assertThat(pod.getNodeSelector()).isEqualTo(Map.of("disk", "nvme", "arch", "arm64"));
        assertThat(pod.getTolerations()).extracting(Toleration::getKey).containsExactly("batch");
        assertThat(pod.getPriorityClassName()).isEqualTo("batch");
        assertThat(pod.getAffinity()).isEqualTo(TEMPLATE.spec().affinity());
    }

    @Test
    void whoGivesOneSideOfAResourceGetsAValidPair() {
        ResourceRequirements resources = worker(job(workload(), TEMPLATE)).getResources();

        assertThat(resources.getLimits())
                .containsEntry("memory", new Quantity("2Gi"))
                .containsEntry("cpu", new Quantity("3"))
                .containsKey("ephemeral-storage");
        assertThat(resources.getRequests())
                .containsEntry("memory", new Quantity("256Mi"))
                .containsEntry("cpu", new Quantity("3"));
    }

    @Test
    void limitBelowOurRequestMovesTheRequest() {
        ResourceRequirements resources = PodResources.of(new ResourceRequirementsBuilder()
                .addToLimits("memory", new Quantity("128Mi"))
                .build());

        assertThat(resources.getRequests()).containsEntry("memory", new Quantity("128Mi"));
    }

    @Test
    void neverTheWorkloadsLabels() {
        assertThat(job(workload(), PodTemplate.EMPTY)
                        .getSpec()
                        .getTemplate()
                        .getMetadata()
                        .getLabels())
                .isEqualTo(Map.of(
                        Labels.MANAGED_BY, "blobstore-operator",
                        Labels.COMPONENT, "worker",
                        Labels.MIGRATION, "pg-to-s3",
                        Labels.STAGE, "copy"));
    }

    @Test
    void labelOfTheSelectorIsRefused() {
        assertRefused(
                workload(),
                labels(Map.of("app", "blobstore")),
                Reasons.POD_TEMPLATE_REFUSED,
                "app=blobstore is a selector label of Deployment blobstore");
    }

    @Test
    void labelsThatMatchTheSelectorsExpressionsAreRefused() {
        Deployment byExpression = new DeploymentBuilder(plainWorkload())
                .editSpec()
                .withNewSelector()
                .addToMatchExpressions(new LabelSelectorRequirementBuilder()
                        .withKey("app")
                        .withOperator("In")
                        .withValues("blobstore", "files")
                        .build())
                .endSelector()
                .endSpec()
                .build();

        assertRefused(
                byExpression,
                labels(Map.of("app", "files")),
                Reasons.POD_TEMPLATE_REFUSED,
                "the selector of Deployment");
        assertThat(StageJob.of(request(byExpression, Optional.empty(), labels(Map.of("app", "other")))))
                .isInstanceOf(StageJob.Built.class);
    }

    @Test
    void labelsThatAreOursAreRefused() {
        for (String label : List.of(Labels.STAGE, Labels.COMPONENT, "job-name", "batch.kubernetes.io/job-name")) {
            assertRefused(
                    plainWorkload(),
                    labels(Map.of(label, "x")),
                    Reasons.POD_TEMPLATE_REFUSED,
                    "spec.podTemplate.metadata.labels: " + label);
        }
    }

    @Test
    void containerThatIsNotNamedOrNotThereIsRefused() {
        assertThat(StageJob.of(request(workload(), Optional.empty(), PodTemplate.EMPTY)))
                .isEqualTo(
                        new StageJob.Refused(
                                Reasons.CONTAINER_AMBIGUOUS,
                                "Deployment blobstore has the containers proxy, blobstore: name the blobstore's in spec.workload.container"));
        assertThat(StageJob.of(request(workload(), Optional.of("web"), PodTemplate.EMPTY)))
                .isEqualTo(
                        new StageJob.Refused(
                                Reasons.CONTAINER_UNKNOWN,
                                "Deployment blobstore has no container web; it has proxy, blobstore: name one of them in spec.workload.container"));
    }

    @Test
    void podIsRestricted() {
        for (Job job : List.of(job(workload(), TEMPLATE), job())) {
            PodSpec pod = pod(job);
            Container worker = worker(job);

            assertThat(pod.getSecurityContext().getRunAsNonRoot()).isTrue();
            assertThat(pod.getSecurityContext().getRunAsUser()).isPositive();
            assertThat(pod.getSecurityContext().getSeccompProfile().getType()).isEqualTo("RuntimeDefault");
            assertThat(worker.getSecurityContext().getAllowPrivilegeEscalation())
                    .isFalse();
            assertThat(worker.getSecurityContext().getReadOnlyRootFilesystem()).isTrue();
            assertThat(worker.getSecurityContext().getCapabilities().getDrop()).containsExactly("ALL");
            assertThat(worker.getSecurityContext().getCapabilities().getAdd()).isEmpty();
            assertThat(worker.getResources().getLimits()).containsKeys("cpu", "memory", "ephemeral-storage");
        }
    }

    @Test
    void userIsTheWorkloadsOnlyWhereVolumesMayNeedIt() {
        Deployment withoutVolumes = new DeploymentBuilder(plainWorkload())
                .editSpec()
                .editTemplate()
                .editSpec()
                .withNewSecurityContext()
                .withRunAsUser(1000L)
                .endSecurityContext()
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();
        Deployment root = new DeploymentBuilder(workload())
                .editSpec()
                .editTemplate()
                .editSpec()
                .editContainer(1)
                .withNewSecurityContext()
                .withRunAsUser(0L)
                .endSecurityContext()
                .endContainer()
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();

        assertThat(user(workload())).isEqualTo(1000);
        assertThat(user(withoutVolumes)).isEqualTo(PodHardening.USER);
        assertThat(user(root)).isEqualTo(PodHardening.USER);
    }

    @Test
    void tmpGivesWayToAVolumeOfThatNameOrPlace() {
        Deployment named = new DeploymentBuilder(workload())
                .editSpec()
                .editTemplate()
                .editSpec()
                .editMatchingVolume(volume -> volume.getName().equals("ca"))
                .withName("tmp")
                .endVolume()
                .editContainer(1)
                .editMatchingVolumeMount(mount -> mount.getName().equals("ca"))
                .withName("tmp")
                .endVolumeMount()
                .endContainer()
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();
        Deployment placed = new DeploymentBuilder(workload())
                .editSpec()
                .editTemplate()
                .editSpec()
                .editContainer(1)
                .editMatchingVolumeMount(mount -> mount.getName().equals("ca"))
                .withMountPath("/tmp")
                .endVolumeMount()
                .endContainer()
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();

        assertThat(pod(job(named, PodTemplate.EMPTY)).getVolumes())
                .extracting(Volume::getName)
                .contains("tmp", "blobstore-tmp")
                .doesNotHaveDuplicates();
        assertThat(worker(job(placed, PodTemplate.EMPTY)).getVolumeMounts())
                .extracting(VolumeMount::getMountPath)
                .containsOnlyOnce("/tmp");
    }

    @Test
    void nameIsUidStageAndAttempt() {
        assertThat(job().getMetadata().getName()).isEqualTo(UID + "-copy-3");
        for (Stage stage : Stage.values()) {
            assertThat(StageJob.name(UID, stage, Integer.MAX_VALUE)).hasSizeLessThanOrEqualTo(63);
        }
    }

    @Test
    void onlyAJobOfTheSameUidIsOurs() {
        Job ours = job();
        Job foreign = new JobBuilder(ours)
                .editMetadata()
                .editMatchingOwnerReference(owner -> true)
                .withUid("another")
                .endOwnerReference()
                .endMetadata()
                .build();

        assertThat(StageJob.isOwnedBy(ours, OWNER)).isTrue();
        assertThat(StageJob.isOwnedBy(foreign, OWNER)).isFalse();
    }

    @Test
    void jobEndsInBoundedTimeAndNotOnEveryFailure() {
        Job job = job();

        assertThat(job.getSpec().getActiveDeadlineSeconds()).isEqualTo(86400);
        assertThat(job.getSpec().getBackoffLimit()).isEqualTo(6);
        assertThat(job.getSpec().getTtlSecondsAfterFinished()).isEqualTo(86400);
        assertThat(pod(job).getRestartPolicy()).isEqualTo("Never");
        assertThat(job.getSpec().getPodFailurePolicy().getRules())
                .extracting(rule -> rule.getAction())
                .containsExactly("FailJob", "Ignore");
        assertThat(job.getSpec()
                        .getPodFailurePolicy()
                        .getRules()
                        .getFirst()
                        .getOnExitCodes()
                        .getValues())
                .containsExactly(1, 2);
        assertThat(job.getSpec()
                        .getPodFailurePolicy()
                        .getRules()
                        .getFirst()
                        .getOnExitCodes()
                        .getContainerName())
                .isEqualTo(worker(job).getName());
    }

    @Test
    void longNamesMakeValidLabels() {
        String[] names = {
            "a".repeat(63), "a".repeat(64), "a".repeat(253), "a".repeat(252) + "b", "a".repeat(53) + ".b".repeat(20)
        };

        assertThat(Arrays.stream(names).map(Labels::value))
                .doesNotHaveDuplicates()
                .allMatch(value -> value.matches("[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?"));
    }

    private static void assertRefused(Deployment workload, PodTemplate template, String reason, String message) {
        Optional<String> container =
                workload.getSpec().getTemplate().getSpec().getContainers().size() > 1
                        ? Optional.of("blobstore")
                        : Optional.empty();
        assertThat(StageJob.of(request(workload, container, template)))
                .isInstanceOfSatisfying(StageJob.Refused.class, refused -> {
                    assertThat(refused.reason()).isEqualTo(reason);
                    assertThat(refused.message()).contains(message);
                });
    }

    private static PodTemplate labels(Map<String, String> labels) {
        return new PodTemplate(new PodTemplate.Metadata(labels, Map.of()), PodTemplate.EMPTY.spec());
    }

    private static long user(Deployment workload) {
        return pod(job(workload, PodTemplate.EMPTY)).getSecurityContext().getRunAsUser();
    }

    private static PodSpec pod(Job job) {
        return job.getSpec().getTemplate().getSpec();
    }

    private static Container worker(Job job) {
        return pod(job).getContainers().getFirst();
    }

    private static String value(Container container, String variable) {
        return container.getEnv().stream()
                .filter(entry -> entry.getName().equals(variable))
                .findFirst()
                .orElseThrow()
                .getValue();
    }
}
