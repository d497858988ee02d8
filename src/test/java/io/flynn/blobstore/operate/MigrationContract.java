package io.flynn.blobstore.operate;

import static io.flynn.blobstore.decide.Stage.CLEAN;
import static io.flynn.blobstore.decide.Stage.COPY;
import static io.flynn.blobstore.decide.Stage.PLAN;
import static io.flynn.blobstore.decide.Stage.VACUUM;
import static io.flynn.blobstore.decide.Stage.VERIFY;
import static io.flynn.blobstore.operate.ScriptedNode.ends;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.fabric8.kubernetes.api.model.Condition;
import io.fabric8.kubernetes.api.model.ConfigMapVolumeSource;
import io.fabric8.kubernetes.api.model.DeletionPropagation;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.flynn.blobstore.api.v1alpha1.BlobMigration;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus.StageState;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.operate.ScriptedNode.Turn.Ends;
import io.flynn.blobstore.operate.ScriptedNode.Turn.Waits;
import io.flynn.blobstore.operate.ScriptedNode.Turn.Works;
import io.javaoperatorsdk.operator.Operator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.stream.Collectors;
import org.awaitility.core.ThrowingRunnable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What becomes of a migration, on any API server with a Job controller; the pods are played. */
abstract class MigrationContract {

    /** A client for {@code user} whose namespace is {@code namespace}; the test closes it. */
    abstract KubernetesClient connect(String user, String namespace);

    private static final Duration SOON = Duration.ofSeconds(30);

    String namespace;
    KubernetesClient client;
    ScriptedNode node;
    private Running operator;

    /** An operator with its connection. */
    record Running(Operator operator, MigrationReconciler reconciler, KubernetesClient client)
            implements AutoCloseable {
        @Override
        public void close() {
            operator.stop();
            reconciler.close();
            client.close();
        }
    }

    @BeforeEach
    void start() throws IOException {
        namespace = "m-" + UUID.randomUUID().toString().substring(0, 8);
        client = connect("tester", namespace);
        for (String crd : List.of("blobstorebackends.yaml", "blobmigrations.yaml")) {
            client.load(Files.newInputStream(Path.of("crds", crd)))
                    .forceConflicts()
                    .serverSideApply();
        }
        apply("""
                apiVersion: v1
                kind: Namespace
                metadata: {name: %s}
                """.formatted(namespace));
        await().ignoreExceptions()
                .until(() -> client.resources(BlobMigration.class).list() != null
                        && client.resources(BlobstoreBackend.class).list() != null);
        apply("""
                apiVersion: apps/v1
                kind: Deployment
                metadata: {name: blobstore}
                spec:
                  replicas: 0
                  selector: {matchLabels: {app: blobstore}}
                  template:
                    metadata: {labels: {app: blobstore}}
                    spec:
                      containers:
                        - name: server
                          image: old
                          env: [{name: PGHOST, value: postgres}]
                """);
        backend("s3main", true, true);
        node = new ScriptedNode(client);
        operator = operator("operator");
    }

    @AfterEach
    void stop() {
        operator.close();
        node.close();
        client.namespaces().withName(namespace).delete();
        client.close();
    }

    Running operator(String user) {
        KubernetesClient own = connect(user, namespace);
        MigrationReconciler reconciler =
                new MigrationReconciler(own, new PodImage("worker", "IfNotPresent", List.of()), InstantSource.system());
        Operator started = new Operator(o -> o.withKubernetesClient(own)
                .withCloseClientOnStop(false)
                .withReconciliationTerminationTimeout(Duration.ofSeconds(5)));
        started.register(reconciler, c -> c.settingNamespace(namespace));
        started.start();
        return new Running(started, reconciler, own);
    }

    void replaceOperator(Running next) {
        operator = next;
    }

    Running currentOperator() {
        return operator;
    }

    @Test
    void movesEverythingAndSaysSo() {
        node.on(PLAN, ends(PLAN, ExitCode.DONE, "Done", Map.of(Figure.BLOBS, 163L, Figure.BYTES, 300L << 20)));
        node.on(
                COPY,
                ends(
                        COPY,
                        ExitCode.DONE,
                        "Done",
                        Map.of(Figure.REMAINING_BLOBS, 0L, Figure.REMAINING_BYTES, 0L, Figure.COPIED_BLOBS, 163L)));
        node.on(VERIFY, ends(VERIFY, ExitCode.DONE, "Done", Map.of(Figure.BLOBS, 163L, Figure.BYTES, 300L << 20)));
        node.on(
                VACUUM,
                ends(
                        VACUUM,
                        ExitCode.DONE,
                        "Done",
                        Map.of(
                                Figure.DATABASE_BYTES_BEFORE, 330L << 20,
                                Figure.DATABASE_BYTES_AFTER, 9L << 20,
                                Figure.LOCK_HELD_MILLIS, 12L),
                        new Finding(Level.OK, "method", "Done", "FULL")));

        migration("m", "");

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(node.stages()).containsExactly("plan", "copy", "verify", "clean", "vacuum");
        BlobMigrationStatus status = status("m");
        assertThat(status.stages()).extracting(StageState::attempts).containsOnly(1);
        assertThat(status.phase()).isEqualTo("Complete");
        assertThat(status.plan().blobs()).isEqualTo(163);
        assertThat(status.progress().display()).isEqualTo("163/163 (100%)");
        assertThat(status.progress().verified().blobs()).isEqualTo(163);
        assertThat(status.reclaim().databaseBefore()).isEqualTo("330.0Mi");
        assertThat(status.reclaim().reclaimed()).isEqualTo("321.0Mi");
        assertThat(status.reclaim().method()).isEqualTo("Full");
        assertThat(status.reclaim().lockHeld()).isEqualTo("12ms");
        assertThat(status.failures().count()).isZero();
        assertThat(status.startTime()).isNotNull();
        assertThat(status.completionTime()).isNotNull();
        assertThat(status.observedGeneration()).isEqualTo(1);
        for (String stage : List.of("Planned", "Copied", "Verified", "SourceCleaned", "SpaceReclaimed")) {
            assertThat(condition("m", stage).getStatus()).as(stage).isEqualTo("True");
        }
    }

    @Test
    void planWritesNothingAndEndsReady() {
        node.on(
                PLAN,
                ends(
                        PLAN,
                        ExitCode.DONE,
                        "Done",
                        Map.of(Figure.BLOBS, 3L, Figure.BYTES, 30L),
                        new Finding(Level.WARNING, "files", "NoMoveGuard", "not the owner")));

        migration("m", "mode: Plan");

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(condition("m", "Complete").getReason()).isEqualTo("PlanReady");
        assertThat(status("m").plan().warnings()).containsExactly("NoMoveGuard: not the owner");
        assertThat(node.stages()).containsExactly("plan");
    }

    @Test
    void backIntoTheDatabaseWaitsUntilNewBlobsGoThere() {
        migration("m", "s3main", "postgres", "");
        soon(() -> assertThat(condition("m", "Reconciling").getReason()).isEqualTo("TargetNotDefault"));
        assertThat(condition("m", "Reconciling").getMessage())
                .contains("new blobs go to BlobstoreBackend s3main", "spec.default to false");
        assertThat(node.stages()).isEmpty();

        backend("s3main", true, false, false);

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        // A bucket has nothing to vacuum.
        assertThat(node.stages()).containsExactly("plan", "copy", "verify", "clean");
        assertThat(arguments("m", COPY, 1)).containsSequence("--from", "s3main", "--to", "postgres");
    }

    @Test
    void betweenBucketsBothMustBeInEveryPod() {
        backend("s3old", false, false, false);
        migration("m", "s3old", "s3main", "");
        soon(() -> assertThat(condition("m", "Reconciling").getReason()).isEqualTo("SourceNotReady"));
        assertThat(node.stages()).isEmpty();

        backend("s3old", true, false, false);

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(arguments("m", CLEAN, 1)).containsSequence("--from", "s3old", "--to", "s3main");
    }

    @Test
    void limitsReachAPodThatRuns() {
        node.on(COPY, new Works());
        migration("m", """
                concurrencyPerPod: 4
                bandwidthLimit: 50Mi
                """);
        soon(() -> assertThat(jobs("copy")).hasSize(1));
        String volume = "%s-limits".formatted(uid("m"));
        assertThat(client.configMaps().withName(volume).get().getData())
                .containsExactly(Map.entry("limits", "concurrency: 4\nbytes-per-second: 52428800\n"));
        assertThat(job("m", COPY, 1).getSpec().getTemplate().getSpec().getVolumes())
                .extracting(Volume::getConfigMap)
                .filteredOn(Objects::nonNull)
                .extracting(ConfigMapVolumeSource::getName)
                .containsExactly(volume);

        edit("m", "concurrencyPerPod", 16);

        soon(() -> assertThat(client.configMaps().withName(volume).get().getData())
                .containsExactly(Map.entry("limits", "concurrency: 16\nbytes-per-second: 52428800\n")));
        assertThat(jobs("copy")).hasSize(1);
        client.configMaps().withName(volume).edit(map -> {
            map.setData(Map.of("limits", "concurrency: 1"));
            return map;
        });
        edit("m", "bandwidthLimit", "0");
        soon(() -> assertThat(client.configMaps().withName(volume).get().getData())
                .containsExactly(Map.entry("limits", "concurrency: 16\nbytes-per-second: 0\n")));
        node.end(COPY, ends(COPY, ExitCode.DONE, "Done"));
        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
    }

    @Test
    void severalPodsShareTheCopyAndTheLimit() {
        node.on(COPY, new Works(), new Works(), new Works(), new Works());
        migration("m", """
                parallelism: 3
                bandwidthLimit: 30Mi
                """);
        soon(() -> assertThat(pods("copy")).hasSize(3));
        assertThat(job("m", COPY, 1).getSpec().getCompletions()).isNull();
        assertThat(job("m", PLAN, 1).getSpec().getCompletions()).isEqualTo(1);
        assertThat(limits("m")).isEqualTo("concurrency: 8\nbytes-per-second: 10485760\n");
        soon(() -> assertThat(status("m").message()).isEqualTo("the copy stage is running in 3 pods"));

        edit("m", "parallelism", 2);
        soon(() -> assertThat(limits("m")).isEqualTo("concurrency: 8\nbytes-per-second: 15728640\n"));
        soon(() -> assertThat(pods("copy")).hasSize(2));
        edit("m", "bandwidthLimit", "1500000");
        soon(() -> assertThat(limits("m")).isEqualTo("concurrency: 8\nbytes-per-second: 1500000\n"));
        soon(() -> assertThat(pods("copy"))
                .as("of less than 1 MB/s nobody can be held")
                .hasSize(1));
        edit("m", "bandwidthLimit", "0");
        soon(() -> assertThat(pods("copy")).hasSize(2));
        assertThat(jobs("copy")).hasSize(1);

        node.end(COPY, ends(COPY, ExitCode.DONE, "Done", Map.of(Figure.COPIED_BLOBS, 20L, Figure.REMAINING_BLOBS, 0L)));

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(condition("m", "Copied").getMessage())
                .isEqualTo("2 pods copied at least 40 blobs, and none is left");
        for (Stage stage : List.of(PLAN, VERIFY, CLEAN, VACUUM)) {
            assertThat(job("m", stage, 1).getSpec().getParallelism())
                    .as(stage.word())
                    .isEqualTo(1);
        }
        assertThat(stage("m", COPY).attempts()).isEqualTo(1);
    }

    @Test
    void copyIsDoneThoughOneOfItsPodsFindsNoPlace() {
        node.on(COPY, new Works(), new Waits("ImagePullBackOff", "no place"));
        migration("m", "parallelism: 2");
        soon(() -> assertThat(status("m").message())
                .startsWith("the copy stage is running in 1 of 2 pods; pod ")
                .endsWith("no place"));

        node.endThatWorks(COPY, ends(COPY, ExitCode.DONE, "Done"));

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(pods("copy")).as("it is not left behind").isEmpty();
    }

    @Test
    void sourceIsKeptForAWhileAndCleanedThen() {
        migration("m", "sourceCleanup: {retentionPeriod: 4s}");

        soon(() -> assertThat(holding("m")).isEqualTo("Suspended"));
        Instant verified = Instant.parse(stage("m", VERIFY).completionTime());
        assertThat(condition("m", "Suspended").getReason()).isEqualTo("InRetention");
        assertThat(condition("m", "Verified").getStatus()).isEqualTo("True");
        assertThat(condition("m", "SourceCleaned").getReason()).isEqualTo("InRetention");
        assertThat(status("m").phase()).isEqualTo("InRetention");
        assertThat(status("m").rollbackAvailableUntil())
                .isEqualTo(verified.plusSeconds(4).toString());
        assertThat(status("m").completionTime()).isNull();
        assertThat(node.stages()).containsExactly("plan", "copy", "verify");

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));

        assertThat(node.stages()).containsExactly("plan", "copy", "verify", "clean", "vacuum");
        assertThat(Instant.parse(stage("m", CLEAN).startTime())).isAfterOrEqualTo(verified.plusSeconds(4));
        assertThat(status("m").rollbackAvailableUntil()).isNull();
    }

    @Test
    void blobsAreBroughtBackWhileTheirSourceIsKept() {
        migration("there", "sourceCleanup: {retentionPeriod: 72h}");
        soon(() -> assertThat(holding("there")).isEqualTo("Suspended"));
        backend("s3main", true, false, false);
        node.on(COPY, new Works());

        migration("back", "s3main", "postgres", "");

        soon(() -> assertThat(condition("back", "Reconciling").getMessage()).isEqualTo("the copy stage is running"));
        soon(() -> assertThat(holding("there")).isEqualTo("Canceled"));
        assertThat(condition("there", "Canceled"))
                .returns("MovedBack", Condition::getReason)
                .satisfies(condition -> assertThat(condition.getMessage()).startsWith("BlobMigration back brings"));
        assertThat(condition("there", "Verified").getStatus()).isEqualTo("True");
        assertThat(status("there").rollbackAvailableUntil()).isNull();
        node.end(COPY, ends(COPY, ExitCode.DONE, "Done"));
        soon(() -> assertThat(holding("back")).isEqualTo("Complete"));

        client.resources(BlobMigration.class).withName("back").delete();
        backend("s3main", true, true, true);
        edit("there", "sourceCleanup", Map.of("policy", "Delete", "retentionPeriod", "0s"));
        soon(() -> assertThat(status("there").observedGeneration()).isEqualTo(2));

        assertThat(holding("there")).isEqualTo("Canceled");
        assertThat(node.stages()).containsExactly("plan", "copy", "verify", "plan", "copy", "verify", "clean");
    }

    /** It would clean what is kept, and so it must not hold up who goes back either. */
    @Test
    void anotherOnTheSameWayWaitsUntilTheSourceIsNotKeptAnyMore() {
        migration("there", "sourceCleanup: {retentionPeriod: 72h}");
        soon(() -> assertThat(condition("there", "Suspended").getReason()).isEqualTo("InRetention"));
        migration("more", "");
        soon(() -> assertThat(condition("more", "Reconciling").getMessage())
                .isEqualTo("BlobMigration there of the same workload goes first"));
        edit("there", "suspend", true);
        soon(() -> assertThat(condition("there", "Suspended").getReason()).isEqualTo("Suspended"));
        migration("plan", "mode: Plan");
        soon(() -> assertThat(holding("plan")).isEqualTo("Complete"));
        assertThat(node.stages()).containsExactly("plan", "copy", "verify", "plan");

        backend("s3main", true, false, false);
        // Times in a status have whole seconds.
        await().pollDelay(Duration.ofMillis(1_100)).until(() -> true);
        migration("back", "s3main", "postgres", "");
        soon(() -> assertThat(condition("there", "Canceled").getReason()).isEqualTo("MovedBack"));
        soon(() -> assertThat(holding("back")).isEqualTo("Complete"));

        backend("s3main", true, true, true);
        soon(() -> assertThat(holding("more")).isEqualTo("Complete"));
    }

    @Test
    void oneThatWaitsForItsTargetToBeTheDefaultHoldsNobodyUp() {
        backend("s3main", true, false, false);
        migration("there", "");
        soon(() -> assertThat(condition("there", "Reconciling").getReason()).isEqualTo("TargetNotDefault"));

        // Times of creation have whole seconds, and names decide within one.
        await().pollDelay(Duration.ofMillis(1_100)).until(() -> true);
        migration("back", "s3main", "postgres", "");
        soon(() -> assertThat(holding("back")).isEqualTo("Complete"));

        backend("s3main", true, true, true);
        soon(() -> assertThat(holding("there")).isEqualTo("Complete"));
    }

    @Test
    void blobsAreBroughtBackByOneThatHadBegunBefore() {
        backend("s3main", true, false, false);
        node.on(COPY, new Works());
        migration("back", "s3main", "postgres", "");
        soon(() -> assertThat(condition("back", "Reconciling").getMessage()).isEqualTo("the copy stage is running"));
        edit("back", "suspend", true);
        soon(() -> assertThat(holding("back")).isEqualTo("Suspended"));
        backend("s3main", true, true, true);
        // Times in a status have whole seconds.
        await().pollDelay(Duration.ofMillis(1_100)).until(() -> true);
        migration("there", "sourceCleanup: {retentionPeriod: 72h}");
        soon(() -> assertThat(condition("there", "Suspended").getReason()).isEqualTo("InRetention"));

        backend("s3main", true, false, false);
        node.on(COPY, new Works());
        edit("back", "suspend", false);

        soon(() -> assertThat(condition("there", "Canceled").getReason()).isEqualTo("MovedBack"));
    }

    @Test
    void retainedSourceIsNeitherCleanedNorVacuumed() {
        migration("m", "sourceCleanup: {policy: Retain}");

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(node.stages()).containsExactly("plan", "copy", "verify");
        assertThat(arguments("m", PLAN, 1)).containsSequence("--cleanup", "Retain", "--vacuum", "None");
    }

    @Test
    void workerIsToldWhatTheSpecSays() {
        migration("m", """
                concurrencyPerPod: 3
                filter: {prefix: "/a$(b)/", minSize: 1Ki, maxSize: 5Mi, updatedBefore: "2026-01-31T00:00:00Z"}
                verification: StoreChecksum
                failurePolicy: {perBlobRetries: 2, podBackoffLimit: 4}
                vacuum: {mode: Plain, lockTimeout: 7s}
                ttlSecondsAfterFinished: 700
                """);

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        String uid = uid("m");
        List<String> everyStage = List.of(
                "--from",
                "postgres",
                "--to",
                "s3main",
                "--prefix",
                "/a$$(b)/",
                "--min-size",
                "1024",
                "--max-size",
                "5242880",
                "--updated-before",
                "2026-01-31T00:00:00Z");
        for (Stage stage : List.of(PLAN, COPY, VERIFY, CLEAN)) {
            assertThat(arguments("m", stage, 1)).as(stage.word()).containsSequence(everyStage);
        }
        assertThat(arguments("m", COPY, 1))
                .startsWith("worker", "copy", "--migration", uid, "--name", namespace + "/m", "--from")
                .endsWith(
                        "--concurrency",
                        "3",
                        "--limits",
                        "/etc/blobstore-limits/limits",
                        "--retries",
                        "2",
                        "--verification",
                        "StoreChecksum");
        assertThat(arguments("m", VACUUM, 1)).endsWith("--mode", "Plain", "--lock-timeout", "7s");
        Job copy = job("m", COPY, 1);
        assertThat(copy.getSpec().getBackoffLimit()).isEqualTo(4);
        assertThat(copy.getSpec().getTtlSecondsAfterFinished()).isEqualTo(700);
    }

    @Test
    void podIsToldWhichInstallationItWorksFor() {
        migration("m", "mode: Plan");

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        String uid = client.namespaces().withName(namespace).get().getMetadata().getUid();
        assertThat(client.batch().v1().jobs().list().getItems())
                .allSatisfy(job -> assertThat(job.getSpec()
                                .getTemplate()
                                .getSpec()
                                .getContainers()
                                .getFirst()
                                .getEnv())
                        .anySatisfy(variable -> {
                            assertThat(variable.getName()).isEqualTo("BLOBSTORE_INSTALLATION");
                            assertThat(variable.getValue()).isEqualTo(uid + "/blobstore");
                        }));
    }

    @Test
    void whatPassesIsTriedAgainAndNeverStalls() {
        node.on(COPY, ends(COPY, ExitCode.RETRY, "DatabaseUnreachable"));

        migration("m", "failurePolicy: {podBackoffLimit: 0}");

        soon(() -> assertThat(condition("m", "Reconciling"))
                .returns("True", Condition::getStatus)
                .returns("DatabaseUnreachable", Condition::getReason));
        assertThat(holding("m")).isEqualTo("Reconciling");
        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(node.stages()).containsExactly("plan", "copy", "copy", "verify", "clean", "vacuum");
        assertThat(stage("m", COPY).attempts()).isEqualTo(2);
    }

    @Test
    void garbledReportRunsTheStageAgain() {
        node.on(COPY, new Ends(0, "{\"stage\":\"COPY\",\"outcome\":\"DONE\"}"));

        migration("m", "");

        soon(() -> assertThat(condition("m", "Copied").getReason()).isEqualTo("ReportLost"));
        assertThat(condition("m", "Copied").getStatus()).isEqualTo("False");
        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(node.stages()).containsExactly("plan", "copy", "copy", "verify", "clean", "vacuum");
    }

    @Test
    void whatNeedsAPersonWaitsForOne() {
        node.on(
                VERIFY,
                ends(
                        VERIFY,
                        ExitCode.FAILED,
                        "BlobsFailed",
                        Map.of(
                                Figure.FAILED_BLOBS,
                                2L,
                                Figure.BLOBS,
                                8L,
                                Figure.BYTES,
                                80L,
                                Figure.REMAINING_BLOBS,
                                2L),
                        new Finding(Level.FAILURE, "id-1", "SourceMissing", "the large object is gone"),
                        new Finding(Level.FAILURE, "id-2", "SourceMissing", "the large object is gone")));

        migration("m", "");

        soon(() -> assertThat(holding("m")).isEqualTo("Failed+Stalled"));
        assertThat(condition("m", "Stalled").getReason()).isEqualTo("BlobsFailed");
        assertThat(status("m").failures().count()).isEqualTo(2);
        assertThat(status("m").failures().byReason()).isEqualTo(Map.of("SourceMissing", 2L));
        assertThat(status("m").failures().items()).hasSize(2);
        assertThat(status("m").progress().remaining().blobs()).isEqualTo(2);

        edit("m", "suspend", true);
        soon(() -> assertThat(holding("m")).isEqualTo("Suspended"));
        edit("m", "suspend", false);

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(node.stages()).containsExactly("plan", "copy", "verify", "copy", "verify", "clean", "vacuum");
        assertThat(status("m").failures().count()).isZero();
    }

    @Test
    void vacuumThatMayNotBeDoneLeavesTheBlobsMoved() {
        node.on(VACUUM, ends(VACUUM, ExitCode.FAILED, "VacuumNotPermitted"));

        migration("m", "");

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(condition("m", "SpaceReclaimed"))
                .returns("False", Condition::getStatus)
                .returns("VacuumNotPermitted", Condition::getReason);
    }

    @Test
    void podThatCantStartSaysWhy() {
        node.on(COPY, new Waits("ImagePullBackOff", "Back-off pulling image \"worker\""));

        migration("m", "");

        soon(() -> assertThat(condition("m", "Reconciling"))
                .returns("PodNotStarted", Condition::getReason)
                .satisfies(condition -> assertThat(condition.getMessage())
                        .endsWith("ImagePullBackOff: Back-off pulling image \"worker\"")));
        assertThat(status("m").message()).contains("ImagePullBackOff");

        node.end(COPY, ends(COPY, ExitCode.DONE, "Done"));
        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
    }

    @Test
    void suspendedRestsAndGoesOnWhereItWas() {
        node.on(COPY, new Works());
        migration("m", "");
        soon(() -> assertThat(condition("m", "Reconciling").getMessage()).isEqualTo("the copy stage is running"));

        edit("m", "suspend", true);

        soon(() -> assertThat(holding("m")).isEqualTo("Suspended"));
        assertThat(jobs("copy")).isEmpty();
        assertThat(status("m").stages()).extracting(StageState::name).contains("copy");

        edit("m", "suspend", false);
        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(node.stages()).containsExactly("plan", "copy", "copy", "verify", "clean", "vacuum");
    }

    /** As by an operator that wrote down that the stage runs, slept while another one took its place, and woke up. */
    @Test
    void jobThatIsMadeAfterItsMigrationWasSuspendedIsStopped() {
        node.on(COPY, new Works(), new Works(), new Works());
        migration("m", "");
        soon(() -> assertThat(condition("m", "Reconciling").getMessage()).isEqualTo("the copy stage is running"));
        Job copy = job("m", COPY, 1);
        edit("m", "suspend", true);
        soon(() -> assertThat(holding("m")).isEqualTo("Suspended"));

        client.resource(asItWasMade(copy)).create();

        soon(() -> assertThat(jobs("copy")).isEmpty());
        soon(() -> assertThat(holding("m")).isEqualTo("Suspended"));
        edit("m", "suspend", false);
        soon(() -> assertThat(job("m", COPY, 2)).isNotNull());
        soon(() -> assertThat(client.pods()
                        .withLabel("job-name", job("m", COPY, 2).getMetadata().getName())
                        .list()
                        .getItems())
                .extracting(pod -> pod.getStatus().getPhase())
                .containsExactly("Running"));
        node.end(COPY, ends(COPY, ExitCode.DONE, "Done"));
        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(jobs("copy")).hasSize(1);
    }

    @Test
    void canceledStopsForGood() {
        node.on(COPY, new Works());
        migration("m", "");
        soon(() -> assertThat(condition("m", "Reconciling").getMessage()).isEqualTo("the copy stage is running"));

        edit("m", "cancel", true);

        soon(() -> assertThat(holding("m")).isEqualTo("Canceled"));
        assertThat(jobs("copy")).isEmpty();
        assertThat(status("m").completionTime()).isNotNull();
    }

    @Test
    void deletedStopsItsJobAndTouchesNothingElse() {
        node.on(COPY, new Works());
        migration("m", "");
        soon(() -> assertThat(jobs("copy")).hasSize(1));
        String workload = version(Deployment.class, "blobstore");
        String backend = version(BlobstoreBackend.class, "s3main");

        client.resources(BlobMigration.class).withName("m").delete();

        soon(() -> {
            assertThat(client.resources(BlobMigration.class).withName("m").get())
                    .isNull();
            assertThat(client.batch().v1().jobs().list().getItems()).isEmpty();
            assertThat(client.pods().list().getItems()).isEmpty();
        });
        assertThat(version(Deployment.class, "blobstore")).isEqualTo(workload);
        assertThat(version(BlobstoreBackend.class, "s3main")).isEqualTo(backend);
    }

    @Test
    void jobDeletedByHandIsMadeAgain() {
        node.on(COPY, new Works());
        migration("m", "");
        soon(() -> assertThat(jobs("copy")).hasSize(1));
        String first = jobs("copy").getFirst().getMetadata().getUid();

        client.resource(jobs("copy").getFirst())
                .withPropagationPolicy(DeletionPropagation.BACKGROUND)
                .delete();

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(job("m", COPY, 1).getMetadata().getUid()).isNotEqualTo(first);
        assertThat(stage("m", COPY).attempts()).isEqualTo(1);
    }

    @Test
    void jobOfSomebodyElseUnderItsNameIsNamedAndLeftAlone() {
        migration("m", "suspend: true");
        soon(() -> assertThat(holding("m")).isEqualTo("Suspended"));
        String uid = client.resources(BlobMigration.class)
                .withName("m")
                .get()
                .getMetadata()
                .getUid();
        Job foreign = client.resource(new JobBuilder()
                        .withNewMetadata()
                        .withName(StageJob.name(uid, PLAN, 1))
                        .endMetadata()
                        .withNewSpec()
                        .withSuspend(true)
                        .withNewTemplate()
                        .withNewSpec()
                        .withRestartPolicy("Never")
                        .addNewContainer()
                        .withName("other")
                        .withImage("other")
                        .endContainer()
                        .endSpec()
                        .endTemplate()
                        .endSpec()
                        .build())
                .create();

        edit("m", "suspend", false);

        soon(() -> assertThat(condition("m", "Reconciling"))
                .returns("JobRefused", Condition::getReason)
                .returns(
                        "Job %s exists and isn't this migration's: delete it"
                                .formatted(foreign.getMetadata().getName()),
                        Condition::getMessage));
        assertThat(job("m", PLAN, 1).getMetadata().getUid())
                .isEqualTo(foreign.getMetadata().getUid());
        client.resource(foreign)
                .withPropagationPolicy(DeletionPropagation.BACKGROUND)
                .delete();
        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
    }

    @Test
    void oneMigrationOfAWorkloadAtATime() {
        node.on(COPY, new Works());
        migration("first", "");
        soon(() -> assertThat(jobs("copy")).hasSize(1));
        migration("second", "");
        soon(() -> assertThat(condition("second", "Reconciling"))
                .returns("AnotherMigration", Condition::getReason)
                .returns("BlobMigration first of the same workload goes first", Condition::getMessage));
        assertThat(jobs("plan")).hasSize(1);

        node.end(COPY, ends(COPY, ExitCode.DONE, "Done"));

        soon(() -> assertThat(holding("first")).isEqualTo("Complete"));
        soon(() -> assertThat(holding("second")).isEqualTo("Complete"));
    }

    @Test
    void migrationThatNeedsAPersonLetsTheNextOneGo() {
        node.on(COPY, new Works());
        migration("first", "podTemplate: {metadata: {labels: {app: blobstore}}}");
        soon(() -> assertThat(holding("first")).isEqualTo("Stalled"));
        migration("second", "");
        soon(() -> assertThat(condition("second", "Reconciling").getMessage()).isEqualTo("the copy stage is running"));
        assertThat(holding("first")).isEqualTo("Stalled");

        edit("first", "podTemplate", Map.of());
        soon(() -> assertThat(condition("first", "Reconciling"))
                .returns("True", Condition::getStatus)
                .returns("AnotherMigration", Condition::getReason));
        assertThat(jobs("copy")).hasSize(1);

        node.end(COPY, ends(COPY, ExitCode.DONE, "Done"));
        soon(() -> assertThat(holding("second")).isEqualTo("Complete"));
        soon(() -> assertThat(holding("first")).isEqualTo("Complete"));
    }

    @Test
    void cleanUpThatIsNoLongerAskedForIsStopped() {
        node.on(CLEAN, new Works());
        migration("m", "");
        soon(() -> assertThat(condition("m", "Reconciling").getMessage()).isEqualTo("the clean stage is running"));

        edit("m", "sourceCleanup", Map.of("policy", "Retain"));

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(jobs("clean")).isEmpty();
        assertThat(condition("m", "SourceCleaned").getReason()).isEqualTo("NotRequested");
        assertThat(node.stages()).containsExactly("plan", "copy", "verify", "clean");
    }

    @Test
    void fullVacuumWhoseJobIsGoneIsNotRepeatedUnasked() {
        node.on(VACUUM, new Works());
        migration("m", "vacuum: {mode: Full}");
        soon(() -> assertThat(condition("m", "Reconciling").getMessage()).isEqualTo("the vacuum stage is running"));

        client.resource(jobs("vacuum").getFirst())
                .withPropagationPolicy(DeletionPropagation.BACKGROUND)
                .delete();

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(condition("m", "SpaceReclaimed"))
                .returns("False", Condition::getStatus)
                .returns("ReportLost", Condition::getReason);
        assertThat(jobs("vacuum")).isEmpty();
    }

    @Test
    void targetThatIsTakenAwayStopsTheCopyAtOnce() {
        node.on(COPY, new Works());
        migration("m", "");
        soon(() -> assertThat(condition("m", "Reconciling").getMessage()).isEqualTo("the copy stage is running"));

        backend("s3main", false, false);

        soon(() -> {
            assertThat(condition("m", "Stalled").getReason()).isEqualTo("TargetLost");
            assertThat(holding("m")).isEqualTo("Stalled");
            assertThat(jobs("copy")).isEmpty();
        });
        backend("s3main", true, true);
        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
    }

    @Test
    void unknownBackendIsWaitedFor() {
        client.resources(BlobstoreBackend.class).withName("s3main").delete();
        migration("m", "");

        soon(() -> assertThat(condition("m", "Planned"))
                .returns("BackendNotFound", Condition::getReason)
                .satisfies(condition -> assertThat(condition.getMessage())
                        .contains("spec.to names BlobstoreBackend s3main", "create it")));
        assertThat(holding("m")).isEqualTo("Reconciling");
        assertThat(client.batch().v1().jobs().list().getItems()).isEmpty();

        backend("s3main", true, true);
        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
    }

    @Test
    void targetThatIsNotDefaultIsWaitedFor() {
        backend("s3main", true, false);
        migration("m", "");

        soon(() -> assertThat(condition("m", "Planned"))
                .returns("False", Condition::getStatus)
                .returns("TargetNotDefault", Condition::getReason));
        assertThat(client.batch().v1().jobs().list().getItems()).isEmpty();
    }

    @Test
    void workloadThatIsMissingIsWaitedFor() {
        Deployment workload = client.apps().deployments().withName("blobstore").get();
        client.resource(workload).delete();
        migration("m", "");
        soon(() -> assertThat(condition("m", "Reconciling"))
                .returns("WorkloadMissing", Condition::getReason)
                .satisfies(condition -> assertThat(condition.getMessage())
                        .contains("spec.workload.name is Deployment blobstore", "create it")));
        assertThat(client.batch().v1().jobs().list().getItems()).isEmpty();

        workload.getMetadata().setResourceVersion(null);
        workload.getMetadata().setUid(null);
        client.resource(workload).create();

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
    }

    @Test
    void ambiguousContainerNeedsAPerson() {
        client.apps()
                .deployments()
                .withName("blobstore")
                .edit(workload -> new DeploymentBuilder(workload)
                        .editSpec()
                        .editTemplate()
                        .editSpec()
                        .addNewContainer()
                        .withName("proxy")
                        .withImage("proxy")
                        .endContainer()
                        .endSpec()
                        .endTemplate()
                        .endSpec()
                        .build());

        migration("m", "");

        soon(() -> assertThat(holding("m")).isEqualTo("Stalled"));
        assertThat(condition("m", "Stalled"))
                .returns("ContainerAmbiguous", Condition::getReason)
                .satisfies(condition -> assertThat(condition.getMessage())
                        .contains("server, proxy", "spec.workload.container of the BlobstoreBackend"));
        assertThat(client.batch().v1().jobs().list().getItems()).isEmpty();
    }

    @Test
    void podTemplateThatMatchesTheSelectorNeedsAPerson() {
        migration("m", "podTemplate: {metadata: {labels: {app: blobstore}}}");

        soon(() -> assertThat(condition("m", "Stalled"))
                .returns("True", Condition::getStatus)
                .returns("PodTemplateRefused", Condition::getReason));
    }

    final void migration(String name, String spec) {
        migration(name, "postgres", "s3main", spec);
    }

    private void migration(String name, String from, String to, String spec) {
        apply("""
                apiVersion: blobstore.flynn.io/v1alpha1
                kind: BlobMigration
                metadata: {name: %s}
                spec:
                  workload: {name: blobstore}
                  from: %s
                  to: %s
                %s
                """.formatted(name, from, to, spec.indent(2)));
    }

    /** As its reconciler would leave it. */
    private void backend(String name, boolean configured, boolean isDefault) {
        backend(name, configured, isDefault, true);
    }

    private void backend(String name, boolean configured, boolean isDefault, boolean toBeDefault) {
        apply("""
                apiVersion: blobstore.flynn.io/v1alpha1
                kind: BlobstoreBackend
                metadata: {name: %s}
                spec:
                  workload: {name: blobstore}
                  s3: {bucket: blobs, region: eu-central-1}
                  credentials: {secretRef: {name: s3main}}
                  default: %s
                """.formatted(name, toBeDefault));
        GenericKubernetesResource status = Serialization.unmarshal(
                """
                apiVersion: blobstore.flynn.io/v1alpha1
                kind: BlobstoreBackend
                metadata: {name: %1$s, namespace: %2$s}
                status:
                  observedGeneration: 1
                  default: {desired: true, actual: %4$s}
                  conditions:
                    - {type: Ready, status: "%3$s", reason: Tested, message: "as tested", lastTransitionTime: "2026-01-01T00:00:00Z"}
                    - {type: WorkloadConfigured, status: "%3$s", reason: Tested, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"}
                """.formatted(name, namespace, configured ? "True" : "False", isDefault),
                GenericKubernetesResource.class);
        client.resource(status)
                .subresource("status")
                .patch(new PatchContext.Builder()
                        .withPatchType(PatchType.SERVER_SIDE_APPLY)
                        .withForce(true)
                        .withFieldManager("tester")
                        .build());
    }

    final String holding(String name) {
        BlobMigrationStatus status = status(name);
        assertThat(status).isNotNull();
        assertThat(status.conditions()).isNotNull();
        return status.conditions().stream()
                .filter(condition -> "True".equals(condition.getStatus()))
                .map(Condition::getType)
                .filter(type -> List.of("Complete", "Failed", "Canceled", "Suspended", "Reconciling", "Stalled")
                        .contains(type))
                .sorted()
                .collect(Collectors.joining("+"));
    }

    final BlobMigrationStatus status(String name) {
        return client.resources(BlobMigration.class).withName(name).get().getStatus();
    }

    final void soon(ThrowingRunnable assertion) {
        await().atMost(SOON).pollInterval(Duration.ofMillis(50)).untilAsserted(assertion);
    }

    private Condition condition(String name, String type) {
        assertThat(status(name)).isNotNull();
        assertThat(status(name).conditions()).isNotNull();
        return status(name).conditions().stream()
                .filter(condition -> condition.getType().equals(type))
                .findFirst()
                .orElseThrow();
    }

    private StageState stage(String name, Stage stage) {
        return status(name).stages().stream()
                .filter(state -> state.name().equals(stage.word()))
                .findFirst()
                .orElseThrow();
    }

    private List<Job> jobs(String stage) {
        return client.batch().v1().jobs().withLabel(Labels.STAGE, stage).list().getItems();
    }

    private List<Pod> pods(String stage) {
        return client.pods().withLabel(Labels.STAGE, stage).list().getItems().stream()
                .filter(pod -> pod.getMetadata().getDeletionTimestamp() == null)
                .toList();
    }

    private String limits(String migration) {
        return client.configMaps()
                .withName("%s-limits".formatted(uid(migration)))
                .get()
                .getData()
                .get("limits");
    }

    private String uid(String migration) {
        return client.resources(BlobMigration.class)
                .withName(migration)
                .get()
                .getMetadata()
                .getUid();
    }

    private Job job(String migration, Stage stage, int attempt) {
        String uid = uid(migration);
        return client.batch()
                .v1()
                .jobs()
                .withName(StageJob.name(uid, stage, attempt))
                .get();
    }

    /** Without what the API server and the Job's controller added to it. */
    private static Job asItWasMade(Job job) {
        return new JobBuilder(job)
                .editMetadata()
                .withResourceVersion(null)
                .withUid(null)
                .withManagedFields()
                .withFinalizers()
                .endMetadata()
                .editSpec()
                .withSelector(null)
                .editTemplate()
                .editMetadata()
                .removeFromLabels("controller-uid")
                .removeFromLabels("job-name")
                .removeFromLabels("batch.kubernetes.io/controller-uid")
                .removeFromLabels("batch.kubernetes.io/job-name")
                .endMetadata()
                .endTemplate()
                .endSpec()
                .withStatus(null)
                .build();
    }

    private List<String> arguments(String migration, Stage stage, int attempt) {
        return job(migration, stage, attempt)
                .getSpec()
                .getTemplate()
                .getSpec()
                .getContainers()
                .getFirst()
                .getArgs();
    }

    private void edit(String migration, String field, Object value) {
        // Again where the operator wrote its status in between.
        await().ignoreExceptionsInstanceOf(KubernetesClientException.class)
                .until(() -> client.genericKubernetesResources("blobstore.flynn.io/v1alpha1", "BlobMigration")
                                .withName(migration)
                                .edit(resource -> {
                                    Map<String, Object> spec = resource.get("spec");
                                    spec.put(field, value);
                                    return resource;
                                })
                        != null);
    }

    private <T extends HasMetadata> String version(Class<T> type, String name) {
        return client.resources(type).withName(name).get().getMetadata().getResourceVersion();
    }

    private void apply(String yaml) {
        GenericKubernetesResource resource = Serialization.unmarshal(yaml, GenericKubernetesResource.class);
        client.resource(resource).fieldManager("tester").forceConflicts().serverSideApply();
    }
}
