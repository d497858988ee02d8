package io.flynn.blobstore.operate;

import static io.flynn.blobstore.operate.BackendWorld.passed;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;
import static org.awaitility.Awaitility.await;

import io.fabric8.kubernetes.api.model.Condition;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.flynn.blobstore.api.v1alpha1.BlobMigration;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendStatus;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.javaoperatorsdk.operator.Operator;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.awaitility.core.ThrowingRunnable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A migration and its target side by side, each with its reconciler: what one says of the workload moves the other. */
abstract class MigrationTargetContract {

    private static final Duration SOON = Duration.ofSeconds(30);

    /** Either reconciler is woken by what the other or the Deployment says, within milliseconds. */
    private static final Duration A_WHILE = Duration.ofSeconds(3);

    private BackendWorld world;
    private KubernetesClient own;
    private MigrationReconciler migrations;
    private Operator operator;

    /** For the test itself. */
    abstract KubernetesClient connect();

    /** For the operator; it is closed with it. */
    abstract KubernetesClient connectOperator();

    @BeforeEach
    void start() {
        world = new BackendWorld(connect());
        own = connectOperator();
        OperatorSettings settings = OperatorSettings.of(
                Map.of("BLOBSTORE_IMAGE", "blobstore:test", "BLOBSTORE_WATCH_NAMESPACE", world.namespace),
                "default",
                "test");
        migrations = new MigrationReconciler(own, settings.image(), InstantSource.system());
        operator = new Operator(configuration -> configuration.withKubernetesClient(own));
        operator.register(
                new BackendReconciler(settings, InstantSource.system()),
                controller -> controller.settingNamespaces(world.namespace));
        operator.register(migrations, controller -> controller.settingNamespaces(world.namespace));
        operator.start();
        backendIsReady();
    }

    @AfterEach
    void stop() {
        operator.stop();
        migrations.close();
        own.close();
    }

    @Test
    void copyGoesOnWhileTheDeploymentChanges() {
        Job copy = copying();

        // The Deployment's controller has not seen the change yet, and is in no hurry.
        deployment(live -> live.getSpec().setReplicas(3));
        goesOn(copy);
        world.roll();
        backendSays("Ready", "True", Reasons.READY);

        deployment(live -> live.getSpec()
                .getTemplate()
                .getSpec()
                .getContainers()
                .getFirst()
                .setImage("blobstore:2"));
        goesOn(copy);
        world.rollHalf();
        goesOn(copy);
        world.roll();
        backendSays("Ready", "True", Reasons.READY);
    }

    @Test
    void copyGoesOnWhileNoPodRuns() {
        Job copy = copying();

        // As with the strategy Recreate, between the last old pod and the first new one.
        world.stopPods();
        touch();
        goesOn(copy);
    }

    @Test
    void copyGoesOnWhileANewKeyIsRolledOut() {
        Job copy = copying();

        world.secret("another-id", "another-key");
        touch();
        world.end(awaitJob(Stage.PROBE), passed(0));
        goesOn(copy);
        world.rollHalf();
        goesOn(copy);
        world.roll();
        backendSays("Ready", "True", Reasons.READY);
        assertThat(jobs(Stage.COPY)).hasSize(1);
    }

    @Test
    void nothingIsStartedBeforeTheDeploymentsControllerHasSeenItsChange() {
        Job copy = copying();
        deployment(live -> live.getSpec().setReplicas(3));
        backendSays("Ready", "False", Reasons.ROLLING_OUT);

        world.end(copy, done(Stage.COPY));

        says("Reconciling", Reasons.TARGET_NOT_READY);
        assertThat(jobs(Stage.VERIFY)).isEmpty();
        world.roll();
        awaitJob(Stage.VERIFY);
    }

    @Test
    void copyStopsWhenTheEntriesAreTakenAway() {
        copying();
        deployment(live -> {
            List<EnvVar> entries = live.getSpec()
                    .getTemplate()
                    .getSpec()
                    .getContainers()
                    .getFirst()
                    .getEnv();
            entries.removeIf(entry -> !entry.getName().equals("PGHOST"));
            live.getMetadata().setManagedFields(null);
            live.getSpec().getTemplate().getMetadata().setAnnotations(null);
        });

        soon(() -> assertThat(jobs(Stage.COPY)).isEmpty());
        isRolledOut();
        awaitJob(Stage.COPY);
    }

    @Test
    void deletedBackendLetsTheMigrationEndAndThenGoes() {
        Job copy = copying();
        world.client.resource(world.find("s3main").orElseThrow()).delete();
        backendSays("Ready", "False", Reasons.IN_USE);

        world.end(copy, done(Stage.COPY));
        for (Stage stage : List.of(Stage.VERIFY, Stage.CLEAN, Stage.VACUUM)) {
            assertThat(world.environment()).contains("DEFAULT_BACKEND=s3main");
            world.end(awaitJob(stage), done(stage));
        }

        soon(() -> assertThat(status().phase()).isEqualTo("Complete"));
        touch();
        soon(() -> assertThat(world.environment()).doesNotContain("DEFAULT_BACKEND=s3main"));
    }

    @Test
    void deletedBackendDoesNotWaitForAMigrationThatWaitsForIt() {
        migration("suspend: true");
        soon(() -> assertThat(status().phase()).isEqualTo("Suspended"));

        world.client.resource(world.find("s3main").orElseThrow()).delete();

        soon(() -> assertThat(world.environment()).doesNotContain("DEFAULT_BACKEND=s3main"));
    }

    private void backendIsReady() {
        world.secret().deployment().backend();
        world.end(awaitJob(Stage.PROBE), passed(0));
        isRolledOut();
    }

    private void isRolledOut() {
        soon(() -> assertThat(world.environment()).anyMatch(entry -> entry.startsWith("BACKEND_S3MAIN<-")));
        world.roll();
        soon(() -> assertThat(world.environment()).contains("DEFAULT_BACKEND=s3main"));
        world.roll();
        backendSays("Ready", "True", Reasons.READY);
    }

    /** The Job of a copy that is under way. */
    private Job copying() {
        migration("suspend: false");
        world.end(awaitJob(Stage.PLAN), done(Stage.PLAN));
        return awaitJob(Stage.COPY);
    }

    private void migration(String more) {
        BlobMigration migration = Serialization.unmarshal("""
                apiVersion: blobstore.flynn.io/v1alpha1
                kind: BlobMigration
                metadata: {name: m}
                spec:
                  workload: {name: blobstore}
                  from: postgres
                  to: s3main
                  %s
                """.formatted(more), BlobMigration.class);
        migration.getMetadata().setNamespace(world.namespace);
        world.client.resource(migration).create();
    }

    private static StageReport done(Stage stage) {
        return new StageReport(stage, ExitCode.DONE, Reasons.DONE, "done", "", Map.of(), List.of());
    }

    private void goesOn(Job copy) {
        await().during(A_WHILE)
                .atMost(A_WHILE.plus(SOON))
                .untilAsserted(() -> assertThat(jobs(Stage.COPY))
                        .as(() -> "status: " + status())
                        .extracting(job -> job.getMetadata().getUid())
                        .containsExactly(copy.getMetadata().getUid()));
        assertThat(status().phase()).isEqualTo("Copying");
    }

    /** An event; what is looked at every minute is looked at now. */
    private void touch() {
        deployment(live -> live.getMetadata().setLabels(Map.of("touched", Long.toString(System.nanoTime()))));
    }

    private void deployment(Consumer<Deployment> change) {
        world.client
                .apps()
                .deployments()
                .inNamespace(world.namespace)
                .withName("blobstore")
                .edit(live -> {
                    change.accept(live);
                    return live;
                });
    }

    private Job awaitJob(Stage stage) {
        soon(() -> assertThat(jobs(stage)).as(() -> "status: " + status()).isNotEmpty());
        return jobs(stage).getFirst();
    }

    private List<Job> jobs(Stage stage) {
        return world.running().stream()
                .filter(job -> stage.word().equals(job.getMetadata().getLabels().get(Labels.STAGE)))
                .toList();
    }

    private BlobMigrationStatus status() {
        return Optional.ofNullable(world.client
                        .resources(BlobMigration.class)
                        .inNamespace(world.namespace)
                        .withName("m")
                        .get())
                .map(BlobMigration::getStatus)
                .orElse(null);
    }

    private void says(String type, String reason) {
        soon(() -> assertThat(status().conditions())
                .filteredOn(condition -> condition.getType().equals(type))
                .extracting(Condition::getStatus, Condition::getReason)
                .containsExactly(tuple("True", reason)));
    }

    private void backendSays(String type, String status, String reason) {
        soon(() -> assertThat(world.find("s3main")
                        .map(BlobstoreBackend::getStatus)
                        .map(BlobstoreBackendStatus::conditions)
                        .orElse(List.of()))
                .filteredOn(condition -> condition.getType().equals(type))
                .extracting(Condition::getStatus, Condition::getReason)
                .containsExactly(tuple(status, reason)));
    }

    private static void soon(ThrowingRunnable assertion) {
        await().atMost(SOON).pollInterval(Duration.ofMillis(50)).untilAsserted(assertion);
    }
}
