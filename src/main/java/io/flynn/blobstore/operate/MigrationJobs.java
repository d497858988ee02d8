package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.DeletionPropagation;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.flynn.blobstore.api.v1alpha1.BlobMigration;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationSpec;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationSpec.CleanupPolicy;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationSpec.VacuumMode;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationSpec.Verification;
import io.flynn.blobstore.decide.Stage;
import java.net.HttpURLConnection;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** The Jobs of migrations: what they are told, and how they are made, found and stopped. */
final class MigrationJobs {

    /** The plan counts rows; it ends in minutes or hangs. */
    private static final Duration PLAN_DEADLINE = Duration.ofHours(1);

    /** A bound, not a guess: a stage that needs more is stopped, and its next attempt goes on where it was. */
    private static final Duration DEADLINE = Duration.ofDays(1);

    private final KubernetesClient client;
    private final PodImage image;

    MigrationJobs(KubernetesClient client, PodImage image) {
        this.client = client;
        this.image = image;
    }

    /** What runs {@code stage}, or why nothing can. */
    StageJob of(BlobMigration migration, Ends ends, Deployment workload, Stage stage, int attempt) {
        BlobMigrationSpec spec = migration.getSpec();
        return StageJob.of(new StageJob.Request(
                migration,
                Labels.MIGRATION,
                stage,
                attempt,
                arguments(migration, ends, stage),
                List.of(),
                hasLimits(stage)
                        ? Optional.of(
                                MigrationLimits.name(migration.getMetadata().getUid()))
                        : Optional.empty(),
                workload,
                ends.container(),
                spec.podTemplate(),
                image,
                isShared(stage) ? OptionalInt.of(MigrationLimits.pods(spec)) : OptionalInt.empty(),
                stage == Stage.PLAN ? PLAN_DEADLINE : DEADLINE,
                spec.failurePolicy().podBackoffLimit(),
                Duration.ofSeconds(spec.ttlSecondsAfterFinished())));
    }

    /** Whether it heeds limits that change while it runs. */
    static boolean hasLimits(Stage stage) {
        return stage == Stage.COPY;
    }

    /** Whether several pods at once share it out among themselves; of the other stages one pod's word decides. */
    private static boolean isShared(Stage stage) {
        return stage == Stage.COPY;
    }

    /** Whether {@code job}, which runs, has another number of pods than the spec asks for. */
    static boolean isOfOtherSize(BlobMigration migration, Job job) {
        return StageJob.isWorkQueue(job)
                && !Integer.valueOf(MigrationLimits.pods(migration.getSpec()))
                        .equals(job.getSpec().getParallelism());
    }

    /**
     * Has as many pods of a Job that runs as the spec asks for. Those that are too many are told to stop by the Job's controller,
     * and not counted as failed. Done if there is no such Job.
     */
    void resize(BlobMigration migration, Stage stage, int attempt) {
        find(migration, StageJob.name(migration.getMetadata().getUid(), stage, attempt))
                .filter(job -> isOfOtherSize(migration, job))
                .ifPresent(job -> client.resource(job)
                        .patch(
                                PatchContext.of(PatchType.JSON_MERGE),
                                "{\"spec\":{\"parallelism\":%d}}"
                                        .formatted(MigrationLimits.pods(migration.getSpec()))));
    }

    private static List<String> arguments(BlobMigration migration, Ends ends, Stage stage) {
        BlobMigrationSpec spec = migration.getSpec();
        List<String> arguments = new ArrayList<>(List.of(
                "--migration",
                migration.getMetadata().getUid(),
                "--name",
                migration.getMetadata().getNamespace() + "/"
                        + migration.getMetadata().getName()));
        if (stage == Stage.VACUUM) {
            Collections.addAll(
                    arguments,
                    "--mode",
                    word(spec.vacuum().mode()),
                    "--lock-timeout",
                    spec.vacuum().lockTimeout());
            return arguments;
        }
        Collections.addAll(arguments, "--from", ends.from(), "--to", ends.to());
        arguments.addAll(filter(spec.filter()));
        if (stage != Stage.PLAN) {
            Collections.addAll(
                    arguments, "--concurrency", spec.concurrencyPerPod().toString());
        }
        arguments.addAll(
                switch (stage) {
                    case PLAN ->
                        List.of(
                                "--cleanup",
                                word(spec.sourceCleanup().policy()),
                                "--vacuum",
                                // What isn't to be vacuumed asks for no right to do it.
                                word(vacuums(spec) ? spec.vacuum().mode() : VacuumMode.NONE));
                    case COPY ->
                        List.of(
                                "--limits",
                                MigrationLimits.DIRECTORY + "/" + MigrationLimits.FILE,
                                "--retries",
                                spec.failurePolicy().perBlobRetries().toString(),
                                "--verification",
                                word(spec.verification()));
                    case VERIFY, CLEAN -> List.of();
                    case VACUUM, PROBE -> throw new IllegalArgumentException("no arguments for " + stage);
                });
        return arguments;
    }

    /** Without clean-up nothing is freed, and a bucket needs no vacuum. */
    static boolean vacuums(BlobMigrationSpec spec) {
        return spec.vacuum().mode() != VacuumMode.NONE
                && spec.sourceCleanup().policy() == CleanupPolicy.DELETE
                && spec.from().equals(Ends.DATABASE);
    }

    private static List<String> filter(BlobMigrationSpec.Filter filter) {
        List<String> arguments = new ArrayList<>();
        if (!filter.prefix().isEmpty()) {
            Collections.addAll(arguments, "--prefix", filter.prefix());
        }
        if (!filter.minSize().isEmpty()) {
            Collections.addAll(arguments, "--min-size", Long.toString(SpecBytes.of(filter.minSize())));
        }
        if (!filter.maxSize().isEmpty()) {
            Collections.addAll(arguments, "--max-size", Long.toString(SpecBytes.of(filter.maxSize())));
        }
        if (!filter.updatedBefore().isEmpty()) {
            Collections.addAll(arguments, "--updated-before", filter.updatedBefore());
        }
        return arguments;
    }

    /** As the spec spells it. */
    private static String word(CleanupPolicy policy) {
        return switch (policy) {
            case DELETE -> "Delete";
            case RETAIN -> "Retain";
        };
    }

    private static String word(Verification verification) {
        return switch (verification) {
            case READ_BACK -> "ReadBack";
            case STORE_CHECKSUM -> "StoreChecksum";
        };
    }

    private static String word(VacuumMode mode) {
        return switch (mode) {
            case AUTO -> "Auto";
            case FULL -> "Full";
            case PLAIN -> "Plain";
            case NONE -> "None";
        };
    }

    /** The Job of that name, if it is {@code migration}'s; asks the API server. */
    Optional<Job> find(BlobMigration migration, String name) {
        return Optional.ofNullable(client.batch()
                        .v1()
                        .jobs()
                        .inNamespace(migration.getMetadata().getNamespace())
                        .withName(name)
                        .get())
                .filter(job -> StageJob.isOwnedBy(job, migration));
    }

    /** The pods of {@code migration}'s Jobs, those of deleted Jobs too. */
    List<Pod> pods(BlobMigration migration) {
        String uid = migration.getMetadata().getUid();
        return client
                .pods()
                .inNamespace(migration.getMetadata().getNamespace())
                .withLabel(Labels.COMPONENT, Labels.WORKER)
                .withLabel(
                        Labels.MIGRATION, Labels.value(migration.getMetadata().getName()))
                .list()
                .getItems()
                .stream()
                .filter(pod -> pod.getMetadata().getOwnerReferences().stream()
                        .anyMatch(owner ->
                                "Job".equals(owner.getKind()) && owner.getName().startsWith(uid)))
                .toList();
    }

    /**
     * Creates {@code job}, told which installation it works for, unless it is there already.
     *
     * @return why the API server doesn't take it, if it doesn't
     * @throws KubernetesClientException if it can't be asked, or is too busy
     */
    Optional<String> create(BlobMigration migration, Job job) {
        try {
            client.resource(InstallationVariable.added(
                            client, job, migration.getSpec().workload().name()))
                    .create();
            return Optional.empty();
        } catch (KubernetesClientException refusal) {
            if (refusal.getCode() == HttpURLConnection.HTTP_CONFLICT) {
                return find(migration, job.getMetadata().getName()).isPresent()
                        ? Optional.empty()
                        : Optional.of("Job %s exists and isn't this migration's: delete it"
                                .formatted(job.getMetadata().getName()));
            }
            return Optional.of(ApiFailures.refusal(refusal));
        }
    }

    /** Deletes the Job and, in the background, its pod. Done if there is none. */
    void stop(BlobMigration migration, Stage stage, int attempt) {
        client.batch()
                .v1()
                .jobs()
                .inNamespace(migration.getMetadata().getNamespace())
                .withName(StageJob.name(migration.getMetadata().getUid(), stage, attempt))
                .withPropagationPolicy(DeletionPropagation.BACKGROUND)
                .delete();
    }
}
