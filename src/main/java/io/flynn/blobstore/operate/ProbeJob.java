package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.EnvVarBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.JobCondition;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendSpec.SecretRef;
import io.flynn.blobstore.decide.BackendAction.Probe;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.BackendFacts.ProbeRun;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageRun;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The Job that tries a backend as the workload: its environment, its account, its network, with the wanted settings in place
 * of what the Deployment has. The access key comes from the user's own Secret, by reference; a Job that only counts rows has
 * nothing of the backend, so it starts although the Secrets are gone. Pure.
 */
final class ProbeJob {

    /** What the Job tries; without it, a result could be taken for that of another key or bucket. */
    static final String HASH = "config.blobstore.flynn.io/probed";

    /** Whether the Job only counts. */
    static final String INVENTORY = "config.blobstore.flynn.io/inventory";

    /** Of the Deployment, when the Job was made: what was counted says nothing of rows that later pods made. */
    static final String WORKLOAD_GENERATION = "config.blobstore.flynn.io/workload-generation";

    /** On top of the probe's own timeout: to find a node, pull the image, start. */
    private static final Duration START = Duration.ofMinutes(5);

    /** The next probe finds the last one's result; the one after that deletes it. */
    private static final Duration KEEP = Duration.ofDays(1);

    private ProbeJob() {}

    static StageJob build(
            BlobstoreBackend owner,
            BackendFields fields,
            Probe probe,
            String settings,
            String hash,
            Deployment workload,
            PodImage image) {
        Duration timeout = SpecDuration.parse(owner.getSpec().probe().timeout());
        List<String> arguments = new ArrayList<>(List.of(
                "--backend",
                fields.backend().value(),
                "--timeout",
                owner.getSpec().probe().timeout()));
        if (probe.inventoryOnly()) {
            arguments.add("--inventory-only");
        }
        adopted(owner).ifPresent(installation -> arguments.add("--adopt-bucket=" + installation));
        StageJob job = StageJob.of(new StageJob.Request(
                owner,
                Labels.BACKEND,
                Stage.PROBE,
                probe.attempt(),
                arguments,
                probe.inventoryOnly()
                        ? List.of()
                        : environment(owner.getSpec().credentials().secretRef(), fields, settings),
                Optional.empty(),
                probe.inventoryOnly() ? without(fields.variables(), workload) : workload,
                Optional.ofNullable(owner.getSpec().workload().container()),
                owner.getSpec().podTemplate(),
                image,
                OptionalInt.empty(),
                timeout.plus(START),
                0,
                KEEP));
        return switch (job) {
            case StageJob.Refused refused -> refused;
            case StageJob.Built built -> new StageJob.Built(annotated(built.job(), probe, hash, workload));
        };
    }

    /** The worker says what is wrong with it, if something is. */
    private static Optional<String> adopted(BlobstoreBackend owner) {
        return Optional.ofNullable(owner.getMetadata().getAnnotations())
                .map(annotations -> annotations.get(BlobstoreBackend.ADOPT_BUCKET_ANNOTATION));
    }

    private static Job annotated(Job job, Probe probe, String hash, Deployment workload) {
        return new JobBuilder(job)
                .editMetadata()
                .addToAnnotations(HASH, hash)
                .addToAnnotations(INVENTORY, Boolean.toString(probe.inventoryOnly()))
                .addToAnnotations(WORKLOAD_GENERATION, Long.toString(LiveWorkload.generation(workload)))
                .endMetadata()
                .build();
    }

    private static Deployment without(List<String> variables, Deployment workload) {
        Deployment rest = new DeploymentBuilder(workload).build();
        rest.getSpec()
                .getTemplate()
                .getSpec()
                .getContainers()
                .forEach(container -> container.setEnv(container.getEnv().stream()
                        .filter(entry -> !variables.contains(entry.getName()))
                        .toList()));
        return rest;
    }

    private static List<EnvVar> environment(SecretRef secret, BackendFields fields, String settings) {
        return List.of(
                new EnvVarBuilder()
                        .withName(fields.backend().variable())
                        .withValue(settings)
                        .build(),
                DeploymentIntent.fromSecret(
                        BackendEnvironment.accessKeyIdVariable(fields.backend()),
                        secret.name(),
                        secret.accessKeyIdKey()),
                DeploymentIntent.fromSecret(
                        BackendEnvironment.secretAccessKeyVariable(fields.backend()),
                        secret.name(),
                        secret.secretAccessKeyKey()));
    }

    /** What a Job that was built here, and its pods, say. */
    static ProbeRun read(Job job, List<Pod> pods) {
        StageRun run = JobReport.of(job, Stage.PROBE, pods);
        return new ProbeRun(
                attempt(job),
                Boolean.parseBoolean(annotation(job, INVENTORY)),
                annotation(job, HASH),
                workloadGeneration(job),
                run,
                run instanceof StageRun.Running ? created(job) : ended(job));
    }

    private static String annotation(Job job, String name) {
        return Optional.ofNullable(job.getMetadata().getAnnotations())
                .map(annotations -> annotations.get(name))
                .orElse("");
    }

    /** No Deployment has the generation that is read off a Job without one. */
    private static long workloadGeneration(Job job) {
        String generation = annotation(job, WORKLOAD_GENERATION);
        return generation.matches("[0-9]{1,18}") ? Long.parseLong(generation) : -1;
    }

    private static int attempt(Job job) {
        String name = job.getMetadata().getName();
        return Integer.parseInt(name.substring(name.lastIndexOf('-') + 1));
    }

    private static Instant created(Job job) {
        return Instant.parse(job.getMetadata().getCreationTimestamp());
    }

    private static Instant ended(Job job) {
        return job.getStatus().getConditions().stream()
                .filter(condition -> "True".equals(condition.getStatus()))
                .map(JobCondition::getLastTransitionTime)
                .map(Instant::parse)
                .max(Instant::compareTo)
                .orElseGet(() -> created(job));
    }
}
