package io.flynn.blobstore.operate;

import static io.flynn.blobstore.decide.Reasons.CONTAINER_AMBIGUOUS;
import static io.flynn.blobstore.decide.Reasons.CONTAINER_UNKNOWN;
import static io.flynn.blobstore.decide.Reasons.POD_TEMPLATE_REFUSED;

import io.fabric8.kubernetes.api.model.Affinity;
import io.fabric8.kubernetes.api.model.AffinityBuilder;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.ContainerBuilder;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.LabelSelector;
import io.fabric8.kubernetes.api.model.LocalObjectReference;
import io.fabric8.kubernetes.api.model.OwnerReference;
import io.fabric8.kubernetes.api.model.OwnerReferenceBuilder;
import io.fabric8.kubernetes.api.model.PodSpec;
import io.fabric8.kubernetes.api.model.PodSpecBuilder;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeBuilder;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.fabric8.kubernetes.api.model.VolumeMountBuilder;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.flynn.blobstore.api.v1alpha1.BlobMigration;
import io.flynn.blobstore.api.v1alpha1.PodTemplate;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Stage;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The Job that runs one stage as a one-off process of a workload: the environment, the volumes that hold configuration, the
 * account, the network and the scheduling of its Deployment's pod, but our image, hardened, and out of its Service's sight.
 * Pure: the same request gives the same Job, under the same name.
 */
public sealed interface StageJob {

    /** Ready to be created. */
    record Built(Job job) implements StageJob {}

    /** It can't be made before somebody changes something. */
    record Refused(String reason, String message) implements StageJob {}

    /**
     * What is asked for.
     *
     * @param owner the custom resource, as read from the API server: its uid makes the Job's name
     * @param subject the label that names the owner: {@link Labels#BACKEND} or {@link Labels#MIGRATION}
     * @param stage to run
     * @param attempt counted from 1; each has a Job of its own
     * @param arguments after {@code worker STAGE}; never a secret
     * @param environment ours, appended to the workload's, literal
     * @param limits the ConfigMap with what the worker is told while it runs, if it is told anything
     * @param workload whose environment is used
     * @param container of the workload; empty when it has only one
     * @param template of the custom resource
     * @param image of the pod
     * @param workQueue how many pods share the work at first, which may be changed while they run; empty if one does it alone
     * @param deadline after which Kubernetes stops the Job
     * @param backoffLimit how often each pod may fail before the Job does
     * @param keepFor how long the finished Job stays, for people to look at
     */
    record Request(
            HasMetadata owner,
            String subject,
            Stage stage,
            int attempt,
            List<String> arguments,
            List<EnvVar> environment,
            Optional<String> limits,
            Deployment workload,
            Optional<String> container,
            PodTemplate template,
            PodImage image,
            OptionalInt workQueue,
            Duration deadline,
            int backoffLimit,
            Duration keepFor) {

        public Request {
            arguments = List.copyOf(arguments);
            environment = List.copyOf(environment);
        }
    }

    /** The worker drains for at most 30 seconds; the rest is for its connections to end. */
    long TERMINATION_GRACE_SECONDS = 45;

    String TMP = "/tmp";

    /** The volume's name, unless the workload has one of that name. */
    String LIMITS = "limits";

    /** The name under which a stage's attempt is found again: one uid, one stage, one attempt, one Job. At most 54 characters. */
    static String name(String uid, Stage stage, int attempt) {
        return "%s-%s-%d".formatted(uid, stage.word(), attempt);
    }

    /** The number of the attempt at {@code stage} that has this name; empty if none has. */
    static OptionalInt attempt(String uid, Stage stage, String name) {
        try {
            int attempt = Integer.parseInt(name.substring(name.lastIndexOf('-') + 1));
            return name.equals(name(uid, stage, attempt)) ? OptionalInt.of(attempt) : OptionalInt.empty();
        } catch (NumberFormatException other) {
            return OptionalInt.empty();
        }
    }

    /** Whether {@code job} was made for {@code owner}: a Job of that name which was not, is not ours to use. */
    static boolean isOwnedBy(Job job, HasMetadata owner) {
        return job.getMetadata().getOwnerReferences().stream()
                .anyMatch(reference -> Boolean.TRUE.equals(reference.getController())
                        && reference.getUid().equals(owner.getMetadata().getUid()));
    }

    /** Whether its number of pods may be changed. */
    static boolean isWorkQueue(Job job) {
        return job.getSpec().getCompletions() == null;
    }

    static StageJob of(Request request) {
        PodSpec workload = request.workload().getSpec().getTemplate().getSpec();
        List<Container> candidates = workload.getContainers().stream()
                .filter(container -> request.container()
                        .map(name -> name.equals(container.getName()))
                        .orElse(true))
                .toList();
        if (candidates.size() != 1) {
            return unclear(request, workload);
        }
        return refusal(request)
                .<StageJob>map(message -> new Refused(POD_TEMPLATE_REFUSED, message))
                .orElseGet(() -> new Built(job(request, workload, candidates.getFirst())));
    }

    private static Refused unclear(Request request, PodSpec workload) {
        String deployment = request.workload().getMetadata().getName();
        String names = workload.getContainers().stream().map(Container::getName).collect(Collectors.joining(", "));
        String field = request.owner() instanceof BlobMigration
                ? "spec.workload.container of the BlobstoreBackend"
                : "spec.workload.container";
        return request.container()
                .map(name -> new Refused(
                        CONTAINER_UNKNOWN,
                        "Deployment %s has no container %s; it has %s: name one of them in %s"
                                .formatted(deployment, name, names, field)))
                .orElseGet(() -> new Refused(
                        CONTAINER_AMBIGUOUS,
                        "Deployment %s has the containers %s: name the blobstore's in %s"
                                .formatted(deployment, names, field)));
    }

    /** What is wrong with the template, if anything: labels by which the pod would be taken for what it is not. */
    private static Optional<String> refusal(Request request) {
        Map<String, String> preferred = request.template().metadata().labels();
        Optional<String> reserved = preferred.keySet().stream()
                .sorted()
                .filter(StageJob::isReserved)
                .findFirst();
        if (reserved.isPresent()) {
            return Optional.of(
                    "spec.podTemplate.metadata.labels: %s is set by Kubernetes or by this operator: remove it"
                            .formatted(reserved.get()));
        }
        LabelSelector selector = request.workload().getSpec().getSelector();
        // A Service may select by some of the Deployment's selector labels only, so a single one of them is one too
        // many.
        Optional<Map.Entry<String, String>> shared = Selectors.matchLabels(selector).entrySet().stream()
                .filter(label -> label.getValue().equals(preferred.get(label.getKey())))
                .min(Map.Entry.comparingByKey());
        if (shared.isPresent()) {
            return Optional.of(
                    "spec.podTemplate.metadata.labels: %s=%s is a selector label of Deployment %s, whose Service would send requests to this pod: remove it"
                            .formatted(
                                    shared.get().getKey(),
                                    shared.get().getValue(),
                                    request.workload().getMetadata().getName()));
        }
        if (Selectors.matches(selector, labels(request))) {
            return Optional.of(
                    "the selector of Deployment %s matches the labels of this pod, which would be taken for one of its own: change spec.podTemplate.metadata.labels"
                            .formatted(request.workload().getMetadata().getName()));
        }
        return Optional.empty();
    }

    private static boolean isReserved(String label) {
        return label.startsWith(Labels.PREFIX)
                || label.startsWith("batch.kubernetes.io/")
                || List.of(Labels.MANAGED_BY, Labels.COMPONENT, "job-name", "controller-uid")
                        .contains(label);
    }

    private static Job job(Request request, PodSpec workload, Container container) {
        return new JobBuilder()
                .withNewMetadata()
                .withName(name(request.owner().getMetadata().getUid(), request.stage(), request.attempt()))
                .withNamespace(request.owner().getMetadata().getNamespace())
                .withLabels(ownLabels(request))
                .withOwnerReferences(controller(request.owner()))
                .endMetadata()
                .withNewSpec()
                .withParallelism(request.workQueue().orElse(1))
                // A work queue's pods know by themselves when nothing is left; Kubernetes is told so by there being no
                // number.
                .withCompletions(request.workQueue().isPresent() ? null : 1)
                // Kubernetes counts those of all pods together.
                .withBackoffLimit(request.backoffLimit() * request.workQueue().orElse(1))
                .withActiveDeadlineSeconds(request.deadline().toSeconds())
                .withTtlSecondsAfterFinished(Math.toIntExact(request.keepFor().toSeconds()))
                .withNewPodFailurePolicy()
                .addNewRule()
                .withAction("FailJob")
                .withNewOnExitCodes()
                .withContainerName(container.getName())
                .withOperator("In")
                .withValues(ExitCode.FAILED.value(), ExitCode.USAGE.value())
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
                .withNewMetadata()
                .withLabels(labels(request))
                .withAnnotations(new TreeMap<>(request.template().metadata().annotations()))
                .endMetadata()
                .withSpec(pod(request, workload, container))
                .endTemplate()
                .endSpec()
                .build();
    }

    private static OwnerReference controller(HasMetadata owner) {
        return new OwnerReferenceBuilder()
                .withApiVersion(owner.getApiVersion())
                .withKind(owner.getKind())
                .withName(owner.getMetadata().getName())
                .withUid(owner.getMetadata().getUid())
                .withController(true)
                .build();
    }

    private static Map<String, String> ownLabels(Request request) {
        Map<String, String> labels = new TreeMap<>();
        labels.put(Labels.MANAGED_BY, Labels.OPERATOR);
        labels.put(Labels.COMPONENT, Labels.WORKER);
        labels.put(request.subject(), Labels.value(request.owner().getMetadata().getName()));
        labels.put(Labels.STAGE, request.stage().word());
        return labels;
    }

    private static Map<String, String> labels(Request request) {
        Map<String, String> labels = new TreeMap<>(request.template().metadata().labels());
        labels.putAll(ownLabels(request));
        return labels;
    }

    private static PodSpec pod(Request request, PodSpec workload, Container container) {
        WorkloadVolumes volumes = WorkloadVolumes.of(workload, container);
        PodTemplate.Spec template = request.template().spec();
        return new PodSpecBuilder()
                .withRestartPolicy("Never")
                .withTerminationGracePeriodSeconds(TERMINATION_GRACE_SECONDS)
                .withServiceAccountName(workload.getServiceAccountName())
                .withAutomountServiceAccountToken(false)
                .withEnableServiceLinks(false)
                .withImagePullSecrets(request.image().pullSecrets().stream()
                        .map(LocalObjectReference::new)
                        .toList())
                .withSecurityContext(PodHardening.ofPod(
                        workload.getSecurityContext(), container.getSecurityContext(), !volumes.isEmpty()))
                .withNodeSelector(new TreeMap<>(or(template.nodeSelector(), workload.getNodeSelector())))
                .withTolerations(or(template.tolerations(), workload.getTolerations()))
                .withAffinity(template.affinity() == null ? nodeAffinity(workload) : template.affinity())
                .withPriorityClassName(
                        template.priorityClassName() == null
                                ? workload.getPriorityClassName()
                                : template.priorityClassName())
                .withSchedulerName(workload.getSchedulerName())
                .withRuntimeClassName(workload.getRuntimeClassName())
                .withDnsPolicy(workload.getDnsPolicy())
                .withDnsConfig(workload.getDnsConfig())
                .withHostAliases(workload.getHostAliases())
                .withVolumes(withOurs(request, volumes))
                .withContainers(worker(request, container, volumes))
                .build();
    }

    /** Only where its nodes are: affinity to other pods places the workload's replicas, and might leave no node for this pod. */
    private static @Nullable Affinity nodeAffinity(PodSpec workload) {
        return workload.getAffinity() == null || workload.getAffinity().getNodeAffinity() == null
                ? null
                : new AffinityBuilder()
                        .withNodeAffinity(workload.getAffinity().getNodeAffinity())
                        .build();
    }

    private static <T> T or(@Nullable T preferred, T otherwise) {
        return preferred == null ? otherwise : preferred;
    }

    private static Container worker(Request request, Container container, WorkloadVolumes volumes) {
        return new ContainerBuilder()
                // resourceFieldRef entries may name it, and podFailurePolicy does
                .withName(container.getName())
                .withImage(request.image().name())
                .withImagePullPolicy(request.image().pullPolicy())
                .withArgs(Stream.concat(
                                Stream.of("worker", request.stage().word()),
                                request.arguments().stream().map(WorkloadEnvironment::literal))
                        .toList())
                .withEnvFrom(container.getEnvFrom())
                .withEnv(WorkloadEnvironment.with(container.getEnv(), request.environment()))
                .withResources(PodResources.of(request.template().spec().resources()))
                .withSecurityContext(PodHardening.ofContainer())
                .withVolumeMounts(withOurMounts(request, volumes))
                .withTerminationMessagePath("/dev/termination-log")
                .withTerminationMessagePolicy("File")
                .build();
    }

    private static List<Volume> withOurs(Request request, WorkloadVolumes volumes) {
        List<Volume> all = new ArrayList<>(volumes.volumes());
        if (!volumes.mountsAt(TMP)) {
            all.add(new VolumeBuilder()
                    .withName(free("tmp", volumes))
                    .withNewEmptyDir()
                    .withSizeLimit(new Quantity("128Mi"))
                    .endEmptyDir()
                    .build());
        }
        request.limits()
                .ifPresent(name -> all.add(new VolumeBuilder()
                        .withName(free(LIMITS, volumes))
                        .withNewConfigMap()
                        .withName(name)
                        // Without it the worker keeps to its arguments.
                        .withOptional(true)
                        .endConfigMap()
                        .build()));
        return all;
    }

    private static List<VolumeMount> withOurMounts(Request request, WorkloadVolumes volumes) {
        List<VolumeMount> all = new ArrayList<>(volumes.mounts());
        if (!volumes.mountsAt(TMP)) {
            all.add(new VolumeMountBuilder()
                    .withName(free("tmp", volumes))
                    .withMountPath(TMP)
                    .build());
        }
        if (request.limits().isPresent()) {
            all.add(new VolumeMountBuilder()
                    .withName(free(LIMITS, volumes))
                    .withMountPath(MigrationLimits.DIRECTORY)
                    .withReadOnly(true)
                    .build());
        }
        return all;
    }

    private static String free(String wanted, WorkloadVolumes volumes) {
        String name = wanted;
        while (volumes.names().contains(name)) {
            name = "blobstore-" + name;
        }
        return name;
    }
}
