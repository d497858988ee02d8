package io.flynn.blobstore.operate;

import static io.flynn.blobstore.operate.BackendWorld.failed;
import static io.flynn.blobstore.operate.BackendWorld.passed;
import static io.flynn.blobstore.operate.BackendWorld.spec;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.fabric8.kubernetes.api.model.Condition;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.EnvVarBuilder;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport;
import io.javaoperatorsdk.operator.Operator;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.awaitility.core.ThrowingRunnable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A backend's life, as an API server sees it. The same tests run on LocalCluster and on the real thing. */
abstract class BackendContract {

    private static final List<String> OURS = List.of(
            "BACKEND_S3MAIN<-s3main-config-HASH",
            "BACKEND_S3MAIN_ACCESS_KEY_ID<-s3main-config-HASH",
            "BACKEND_S3MAIN_SECRET_ACCESS_KEY<-s3main-config-HASH");

    BackendWorld world;
    private Operator operator;

    /** For the test itself. */
    abstract KubernetesClient connect();

    /** For the operator; it is closed with it. */
    abstract KubernetesClient connectOperator();

    @BeforeEach
    void start() {
        world = new BackendWorld(connect());
        startOperator();
    }

    void stopOperator() {
        operator.stop();
    }

    void startOperator() {
        startOperator(connectOperator());
    }

    void startOperator(KubernetesClient client) {
        OperatorSettings settings = OperatorSettings.of(
                Map.of("BLOBSTORE_IMAGE", "blobstore:test", "BLOBSTORE_WATCH_NAMESPACE", world.namespace),
                "default",
                "test");
        operator = new Operator(configuration -> configuration.withKubernetesClient(client));
        operator.register(
                new BackendReconciler(settings, InstantSource.system()),
                controller -> controller.settingNamespaces(world.namespace));
        operator.start();
    }

    @AfterEach
    void stop() {
        operator.stop();
        assertThat(everythingButSecrets())
                .as("no access key outside of Secrets")
                .doesNotContain(BackendWorld.KEY_ID, BackendWorld.KEY);
    }

    private String everythingButSecrets() {
        KubernetesClient client = world.client;
        return Serialization.asYaml(client.resources(BlobstoreBackend.class)
                        .inNamespace(world.namespace)
                        .list())
                + Serialization.asYaml(
                        client.batch().v1().jobs().inNamespace(world.namespace).list())
                + Serialization.asYaml(
                        client.apps().deployments().inNamespace(world.namespace).list())
                + Serialization.asYaml(
                        client.v1().events().inNamespace(world.namespace).list());
    }

    @Test
    void comesInTwoRolloutsThatAreNeverMerged() {
        world.secret().deployment().backend();
        Job probe = awaitProbe();
        assertThat(probe.getMetadata().getAnnotations()).containsEntry(ProbeJob.INVENTORY, "false");
        assertThat(world.environment())
                .as("nothing is changed before it was tried")
                .containsExactly("PGHOST=database");

        world.end(probe, passed(0));
        awaitEnvironment("PGHOST=database", OURS);
        world.rollHalf();
        awaitReason("s3main", "Ready", "False", Reasons.ROLLING_OUT);
        assertThat(world.environment())
                .as("an old pod is left")
                .noneMatch(entry -> entry.startsWith("DEFAULT_BACKEND"));

        world.roll();
        await().untilAsserted(() -> assertThat(world.environment()).contains("DEFAULT_BACKEND=s3main"));
        assertThat(world.environment())
                .as("the workload's own entry stays first")
                .startsWith("PGHOST=database");
        world.roll();
        awaitReason("s3main", "Ready", "True", Reasons.READY);

        BlobstoreBackend ready = world.find("s3main").orElseThrow();
        assertThat(ready.getStatus().summary()).isEqualTo("Ready");
        assertThat(ready.getStatus().defaultState().actual()).isTrue();
        assertThat(ready.getStatus().workload().phase()).isEqualTo("Default");
        assertThat(ready.getStatus().observedGeneration())
                .isEqualTo(ready.getMetadata().getGeneration());
        assertThat(ready.getStatus().probe().checks())
                .singleElement()
                .satisfies(check -> assertThat(check.ok()).isTrue());
        assertThat(managers()).contains("blobstore-operator-s3main Apply", "blobstore-operator-default Apply");
        assertStill();
    }

    @Test
    void twoBackendsOnOneDeploymentLeaveEachOtherAlone() {
        ready();
        world.backend(spec("s3dr"));
        world.end(awaitProbe(), passed(0));
        await().untilAsserted(() -> assertThat(world.environment()).contains("BACKEND_S3DR<-s3dr-config-HASH"));
        world.roll();
        awaitReason("s3dr", "Ready", "True", Reasons.READY);

        assertThat(world.environment()).containsAll(OURS).contains("DEFAULT_BACKEND=s3main");
        awaitReason("s3main", "Ready", "True", Reasons.READY);
    }

    @Test
    void anotherDefaultTakesOverInOneWrite() {
        ready();
        world.backend(spec("s3dr", "default: true"));
        world.end(awaitProbe(), passed(0));
        await().untilAsserted(() -> assertThat(world.environment()).contains("BACKEND_S3DR<-s3dr-config-HASH"));
        world.roll();
        awaitReason("s3dr", "Default", "False", Reasons.DEFAULT_CONFLICT);
        assertThat(world.environment()).contains("DEFAULT_BACKEND=s3main");

        edit(
                "s3main",
                backend -> backend.setSpec(
                        world.backendOf(spec("s3main", "default: false")).getSpec()));
        // Whoever waits for the other's spec looks again within a minute; a Deployment's event is sooner.
        touchDeploymentUntil(() -> assertThat(world.environment()).contains("DEFAULT_BACKEND=s3dr"));
        assertThat(managers()).doesNotHaveDuplicates();
    }

    @Test
    void anEntryWithAValueIsAConflictThatNamesItsManager() {
        world.secret()
                .deployment(new EnvVarBuilder()
                        .withName("BACKEND_S3MAIN")
                        .withValue("backend=s3 region=x bucket=y")
                        .build())
                .backend();
        Condition stalled = awaitReason("s3main", "Stalled", "True", Reasons.FIELD_CONFLICT);
        assertThat(stalled.getMessage()).contains("BACKEND_S3MAIN", "\"helm\"", "spec.workload.takeOwnership");
        assertThat(world.running()).isEmpty();
        assertThat(world.environment()).contains("BACKEND_S3MAIN=backend=s3 region=x bucket=y");
    }

    @Test
    void anEntryWithAValueIsTakenOverIfAsked() {
        world.secret()
                .deployment(new EnvVarBuilder()
                        .withName("BACKEND_S3MAIN")
                        .withValue("backend=s3 region=x bucket=y")
                        .build())
                .backend(spec("s3main").replace("{name: blobstore}", "{name: blobstore, takeOwnership: true}"));
        world.end(awaitProbe(), passed(0));
        await().untilAsserted(() -> assertThat(world.environment()).containsAll(OURS));
        world.roll();
        awaitReason("s3main", "Ready", "True", Reasons.READY);

        world.client.resource(world.find("s3main").orElseThrow()).delete();
        world.end(awaitProbe(), passed(0));
        awaitEnvironment("PGHOST=database", List.of());
    }

    @Test
    void whatAReplaceTakesAwayIsPutBackUntilItIsTooOften() {
        ready();
        for (int times = 1; times <= 2; times++) {
            replaceWithoutOurs();
            await().untilAsserted(() -> assertThat(world.environment()).containsAll(OURS));
            world.roll();
            await().untilAsserted(() -> assertThat(world.environment()).contains("DEFAULT_BACKEND=s3main"));
            world.roll();
            awaitReason("s3main", "Ready", "True", Reasons.READY);
        }
        replaceWithoutOurs();
        awaitReason("s3main", "Stalled", "True", Reasons.OWNERSHIP_FLAPPING);
        assertThat(world.environment()).containsExactly("PGHOST=database");

        operator.stop();
        startOperator();
        touchDeployment();
        assertStill();
        assertThat(world.environment()).as("a restart doesn't forget").containsExactly("PGHOST=database");
    }

    @Test
    void aRotatedKeyIsTriedThenRolledOutAndTheLastTwoSecretsStay() {
        ready();
        for (String key : List.of("second", "third")) {
            world.secret(BackendWorld.KEY_ID, BackendWorld.KEY + key);
            touchDeployment();
            String before = secretInUse();
            world.end(awaitProbe(), passed(0));
            await().untilAsserted(() -> assertThat(secretInUse()).isNotEqualTo(before));
            world.roll();
            awaitReason("s3main", "Ready", "True", Reasons.READY);
        }
        assertThat(world.configSecrets(world.client)).hasSize(2).contains(secretInUse());
    }

    /** The last probe found no row; blobs came after it, while the backend was the default. */
    @Test
    void aBucketIsNotLeftOnTheWordOfAnOldCount() {
        ready();
        edit("s3main", backend -> backend.setSpec(specWith("flynnblobstore")));
        await().untilAsserted(
                        () -> assertThat(world.environment()).noneMatch(entry -> entry.startsWith("DEFAULT_BACKEND")));
        world.roll();
        awaitReason("s3main", "Ready", "True", Reasons.READY);
        String before = secretInUse();

        edit("s3main", backend -> backend.setSpec(specWith("another")));
        world.end(awaitCount(), passed(3));
        Condition stalled = awaitReason("s3main", "Stalled", "True", Reasons.IMMUTABLE_WHILE_IN_USE);
        assertThat(stalled.getMessage())
                .contains("spec.s3.bucket is \"another\", the workload has \"flynnblobstore\"", "set it back");
        assertThat(secretInUse()).isEqualTo(before);

        replaceWithoutOurs();
        world.roll();
        awaitCount();
        assertThat(world.environment())
                .as("what somebody took away doesn't make it forgotten")
                .containsExactly("PGHOST=database");
    }

    @Test
    void aBucketThatNoRowReliesOnIsLeft() {
        ready();
        edit("s3main", backend -> backend.setSpec(specWith("flynnblobstore")));
        await().untilAsserted(
                        () -> assertThat(world.environment()).noneMatch(entry -> entry.startsWith("DEFAULT_BACKEND")));
        world.roll();
        awaitReason("s3main", "Ready", "True", Reasons.READY);
        String before = secretInUse();

        edit("s3main", backend -> backend.setSpec(specWith("another")));
        world.end(awaitCount(), passed(0));
        world.end(awaitProbe(), passed(0));
        await().untilAsserted(() -> assertThat(secretInUse()).isNotEqualTo(before));
        world.roll();
        awaitReason("s3main", "Ready", "True", Reasons.READY);
    }

    private io.flynn.blobstore.api.v1alpha1.BlobstoreBackendSpec specWith(String bucket) {
        return world.backendOf(spec("s3main").replace("flynnblobstore", bucket)).getSpec();
    }

    private Job awaitCount() {
        await().untilAsserted(() -> assertThat(world.running())
                .anySatisfy(job ->
                        assertThat(job.getMetadata().getAnnotations()).containsEntry(ProbeJob.INVENTORY, "true")));
        return awaitProbe();
    }

    @Test
    void goesWhenNoRowUsesIt() {
        ready();
        world.client.resource(world.find("s3main").orElseThrow()).delete();
        await().untilAsserted(
                        () -> assertThat(world.environment()).noneMatch(entry -> entry.startsWith("DEFAULT_BACKEND")));
        assertThat(world.environment()).as("default first").containsAll(OURS);
        world.roll();

        Job count = awaitProbe();
        assertThat(count.getMetadata().getAnnotations()).containsEntry(ProbeJob.INVENTORY, "true");
        world.end(count, passed(3));
        Condition stalled = awaitReason("s3main", "Stalled", "True", Reasons.IN_USE);
        assertThat(stalled.getMessage()).contains("3 rows", "blobstore.flynn.io/force-delete=3");
        assertThat(world.environment()).containsAll(OURS);

        world.client
                .resources(BlobstoreBackend.class)
                .inNamespace(world.namespace)
                .withName("s3main")
                .edit(backend -> {
                    backend.getMetadata().setAnnotations(Map.of(BlobstoreBackend.FORCE_DELETE_ANNOTATION, "3"));
                    return backend;
                });
        touchDeploymentUntil(() -> assertThat(world.environment()).containsExactly("PGHOST=database"));
        world.roll();
        await().untilAsserted(() -> assertThat(world.find("s3main")).isEmpty());
        assertThat(world.configSecrets(world.client)).isEmpty();
    }

    /** As {@code kubectl delete -f} does with the file that both are in. */
    @Test
    void goesThoughItsSecretWentWithIt() {
        ready();
        world.client.secrets().inNamespace(world.namespace).withName("s3main").delete();
        world.client.resource(world.find("s3main").orElseThrow()).delete();
        await().untilAsserted(
                        () -> assertThat(world.environment()).noneMatch(entry -> entry.startsWith("DEFAULT_BACKEND")));
        world.roll();

        Job count = awaitCount();
        assertThat(count.getSpec()
                        .getTemplate()
                        .getSpec()
                        .getContainers()
                        .getFirst()
                        .getEnv())
                .as("a pod doesn't start that refers to a Secret which is not there")
                .extracting(EnvVar::getName)
                .containsExactly("PGHOST", "BLOBSTORE_INSTALLATION");
        world.end(count, passed(0));
        awaitEnvironment("PGHOST=database", List.of());
        world.roll();
        await().untilAsserted(() -> assertThat(world.find("s3main")).isEmpty());
        assertThat(world.configSecrets(world.client)).isEmpty();
    }

    @Test
    void anOrphanLeavesAllThatTheDeploymentRefersTo() {
        ready("deletionPolicy: Orphan");
        world.client.resource(world.find("s3main").orElseThrow()).delete();
        await().untilAsserted(() -> assertThat(world.find("s3main")).isEmpty());
        assertThat(world.environment()).containsAll(OURS).contains("DEFAULT_BACKEND=s3main");
        assertThat(world.configSecrets(world.client)).hasSize(1);
    }

    @Test
    void whatIsNotThereYetIsWaitedFor() {
        world.backend();
        Condition noDeployment = awaitReason("s3main", "Reconciling", "True", Reasons.WORKLOAD_MISSING);
        assertThat(noDeployment.getMessage()).contains("\"blobstore\"", "create it");
        world.deployment();
        Condition noSecret = awaitReason("s3main", "Reconciling", "True", Reasons.SECRET_MISSING);
        assertThat(noSecret.getMessage()).contains("\"s3main\"", "access-key-id", "create it");
        world.secret(BackendWorld.KEY_ID, "");
        touchDeployment();
        Condition noKey = awaitReason("s3main", "Stalled", "True", Reasons.SECRET_KEY_MISSING);
        assertThat(noKey.getMessage()).contains("secret-access-key", "add it");
        world.secret(BackendWorld.KEY_ID, BackendWorld.KEY + "\n");
        touchDeployment();
        Condition newline = awaitReason("s3main", "CredentialsValid", "False", Reasons.CREDENTIALS_INVALID);
        assertThat(newline.getMessage()).contains("secret_access_key", "newline");
        assertThat(world.running()).isEmpty();
        world.secret();
        touchDeployment();
        awaitProbe();
    }

    @Test
    void anAnnotationOfSomebodyElseIsAConflictThatNamesItsManager() {
        world.secret().deployment();
        Deployment theirs = new io.fabric8.kubernetes.api.model.apps.DeploymentBuilder()
                .withNewMetadata()
                .withName("blobstore")
                .withNamespace(world.namespace)
                .endMetadata()
                .withNewSpec()
                .withNewTemplate()
                .withNewMetadata()
                .addToAnnotations("config.blobstore.flynn.io/s3main", "0123456789")
                .endMetadata()
                .endTemplate()
                .endSpec()
                .build();
        world.client.resource(theirs).fieldManager("argocd").serverSideApply();
        world.backend();
        Condition stalled = awaitReason("s3main", "Stalled", "True", Reasons.FIELD_CONFLICT);
        assertThat(stalled.getMessage())
                .contains("config.blobstore.flynn.io/s3main", "\"argocd\"", "spec.workload.takeOwnership");
        assertThat(world.running()).isEmpty();
    }

    @Test
    void aJobThatTheApiServerRefusesIsACondition() {
        world.secret()
                .deployment()
                .backend(spec("s3main", "podTemplate: {metadata: {labels: {team: \"not a label\"}}}"));
        Condition refused = awaitReason("s3main", "Reconciling", "True", Reasons.JOB_REFUSED);
        assertThat(refused.getMessage()).contains("not a label");
    }

    @Test
    void aJobOfSomebodyElseIsNotOurs() {
        world.secret().deployment();
        // Suspended, so that nothing is done before the name is taken.
        world.backend(spec("s3main", "suspend: true"));
        awaitReason("s3main", "Suspended", "True", Reasons.SUSPENDED);
        String uid = world.find("s3main").orElseThrow().getMetadata().getUid();
        world.client
                .resource(new io.fabric8.kubernetes.api.model.batch.v1.JobBuilder()
                        .withNewMetadata()
                        .withName(StageJob.name(uid, io.flynn.blobstore.decide.Stage.PROBE, 1))
                        .withNamespace(world.namespace)
                        .endMetadata()
                        .withNewSpec()
                        .withNewTemplate()
                        .withNewSpec()
                        .withRestartPolicy("Never")
                        .addNewContainer()
                        .withName("other")
                        .withImage("other:1")
                        .endContainer()
                        .endSpec()
                        .endTemplate()
                        .endSpec()
                        .build())
                .create();
        edit(
                "s3main",
                backend -> backend.setSpec(world.backendOf(spec("s3main")).getSpec()));
        Condition refused = awaitReason("s3main", "Reconciling", "True", Reasons.JOB_REFUSED);
        assertThat(refused.getMessage()).contains(uid + "-probe-1", "isn't this backend's", "delete it");
    }

    /** Another backend may have become the default since: under the manager that both have. */
    @Test
    void nothingIsTakenAwayFromADeploymentThatChangedSinceItWasLookedAt() {
        world.deployment();
        BackendFields fields = new BackendFields("s3main", new io.flynn.blobstore.blob.BackendName("s3main"));
        DeploymentWriter writer = new DeploymentWriter(world.client, fields, false);
        writer.makeDefault(live(), "blobstore");
        Deployment seen = live();
        touchDeployment();
        for (java.util.function.BiConsumer<Deployment, String> takesAway :
                List.<java.util.function.BiConsumer<Deployment, String>>of(writer::dropDefault, writer::remove)) {
            assertThatThrownBy(() -> takesAway.accept(seen, "blobstore"))
                    .isInstanceOfSatisfying(
                            io.fabric8.kubernetes.client.KubernetesClientException.class,
                            failure -> assertThat(failure.getCode()).isEqualTo(409));
        }
        assertThat(world.environment()).contains("DEFAULT_BACKEND=s3main");
        writer.dropDefault(live(), "blobstore");
        assertThat(world.environment()).containsExactly("PGHOST=database");
    }

    @Test
    void aConfigurationThatIsReturnedToForgetsNoneBeforeIt() {
        ConfigSecrets secrets = new ConfigSecrets(world.client, world.namespace);
        secrets.store(configuration(0, List.of()));
        secrets.store(configuration(1, List.of("s3main-config-0")));
        secrets.store(configuration(2, List.of("s3main-config-1")));

        secrets.store(configuration(1, List.of("s3main-config-2")));
        assertThat(world.configSecrets(world.client)).hasSize(3);
        secrets.prune("s3main-config-1");

        assertThat(world.configSecrets(world.client)).containsExactlyInAnyOrder("s3main-config-1", "s3main-config-2");
        secrets.deleteAll("s3main-config-1");
        assertThat(world.configSecrets(world.client)).isEmpty();
    }

    private io.fabric8.kubernetes.api.model.Secret configuration(int revision, List<String> previous) {
        return ConfigSecret.build(
                new BackendFields("s3main", new io.flynn.blobstore.blob.BackendName("s3main")),
                world.namespace,
                Integer.toString(revision),
                new io.flynn.blobstore.decide.BackendEnvironment.Encoded("BACKEND_S3MAIN", "backend=s3", Map.of()),
                previous);
    }

    @Test
    void aContainerThatIsNotThereIsNamed() {
        world.secret()
                .deployment()
                .backend(spec("s3main").replace("{name: blobstore}", "{name: blobstore, container: server}"));
        Condition stalled = awaitReason("s3main", "Stalled", "True", Reasons.CONTAINER_UNKNOWN);
        assertThat(stalled.getMessage()).contains("has no container server", "blobstore", "spec.workload.container");
        assertThat(world.running()).isEmpty();
    }

    @Test
    void aPodThatEndsStillCounts() {
        world.secret().deployment().backend();
        world.end(awaitProbe(), passed(0));
        awaitEnvironment("PGHOST=database", OURS);
        io.fabric8.kubernetes.api.model.Pod ending = world.holdOnePod();
        world.roll();
        assertThat(world.client.resource(ending).get().isMarkedForDeletion()).isTrue();
        touchDeployment();
        await().during(Duration.ofSeconds(2))
                .atMost(Duration.ofSeconds(4))
                .untilAsserted(() -> assertThat(world.environment())
                        .as("it may still answer, and doesn't know the backend")
                        .noneMatch(entry -> entry.startsWith("DEFAULT_BACKEND")));
        world.release(ending);
        touchDeploymentUntil(() -> assertThat(world.environment()).contains("DEFAULT_BACKEND=s3main"));
    }

    @Test
    void twoContainersNeedAName() {
        world.secret().deployment();
        world.client
                .apps()
                .deployments()
                .inNamespace(world.namespace)
                .withName("blobstore")
                .edit(deployment -> {
                    deployment
                            .getSpec()
                            .getTemplate()
                            .getSpec()
                            .getContainers()
                            .add(new io.fabric8.kubernetes.api.model.ContainerBuilder()
                                    .withName("proxy")
                                    .withImage("proxy:1")
                                    .build());
                    return deployment;
                });
        world.backend();
        Condition stalled = awaitReason("s3main", "Stalled", "True", Reasons.CONTAINER_AMBIGUOUS);
        assertThat(stalled.getMessage()).contains("blobstore", "proxy", "spec.workload.container");
        assertThat(world.running()).isEmpty();
    }

    @Test
    void whatTheProbeFindsIsSaidAndNothingElseIsTouched() {
        Map<String, ExitCode> findings = Map.of(
                Reasons.CREDENTIALS_REFUSED, ExitCode.FAILED,
                Reasons.BUCKET_MISSING, ExitCode.FAILED,
                Reasons.ACCESS_DENIED, ExitCode.FAILED,
                Reasons.ENDPOINT_UNREACHABLE, ExitCode.RETRY,
                Reasons.DATABASE_UNREACHABLE, ExitCode.RETRY);
        world.secret().deployment();
        String version = live().getMetadata().getResourceVersion();
        findings.forEach((reason, outcome) -> {
            String name = "b" + reason.toLowerCase(java.util.Locale.ROOT);
            world.backend(spec(name));
            StageReport report = failed(outcome, reason, "what came back, and what to do");
            world.end(awaitProbe(), report);
            Condition condition =
                    awaitReason(name, outcome == ExitCode.RETRY ? "Reconciling" : "Stalled", "True", reason);
            assertThat(condition.getMessage()).isEqualTo("what came back, and what to do");
            awaitReason(name, "StorageVerified", "False", reason);
            world.client.resource(world.find(name).orElseThrow()).delete();
            await().untilAsserted(() -> assertThat(world.find(name)).isEmpty());
        });
        assertThat(live().getMetadata().getResourceVersion()).isEqualTo(version);
        assertThat(world.configSecrets(world.client)).isEmpty();
    }

    @Test
    void podIsToldWhichInstallationItWorksForAndFromWhomToTakeTheBucketOver() {
        world.secret().deployment().backend(spec("s3main").replace("{name: s3main}\nspec", """
                {name: s3main, annotations: {blobstore.flynn.io/adopt-bucket: "$(PGPASSWORD)"}}
                spec"""));

        Container worker =
                awaitProbe().getSpec().getTemplate().getSpec().getContainers().getFirst();

        String uid = world.client
                .namespaces()
                .withName(world.namespace)
                .get()
                .getMetadata()
                .getUid();
        assertThat(worker.getEnv()).anySatisfy(variable -> {
            assertThat(variable.getName()).isEqualTo("BLOBSTORE_INSTALLATION");
            assertThat(variable.getValue()).isEqualTo(uid + "/blobstore").hasSizeGreaterThan(20);
        });
        assertThat(worker.getArgs()).contains("--adopt-bucket=$$(PGPASSWORD)");
    }

    @Test
    void anEndpointThatTheOperatorForbids() {
        world.secret().deployment().backend(spec("s3main").replace("https://s3.example.com", "http://s3.example.com"));
        Condition stalled = awaitReason("s3main", "Stalled", "True", Reasons.ENDPOINT_REFUSED);
        assertThat(stalled.getMessage())
                .contains("spec.s3.endpoint", "\"http://s3.example.com\"", "BLOBSTORE_ALLOW_INSECURE_ENDPOINTS");
        assertThat(world.running()).isEmpty();
    }

    private void ready(String... more) {
        world.secret().deployment();
        String[] lines = java.util.stream.Stream.concat(
                        java.util.stream.Stream.of("default: true"), java.util.Arrays.stream(more))
                .toArray(String[]::new);
        world.backend(spec("s3main", lines));
        world.end(awaitProbe(), passed(0));
        await().untilAsserted(() -> assertThat(world.environment()).containsAll(OURS));
        world.roll();
        await().untilAsserted(() -> assertThat(world.environment()).contains("DEFAULT_BACKEND=s3main"));
        world.roll();
        awaitReason("s3main", "Ready", "True", Reasons.READY);
    }

    private Deployment live() {
        return world.live();
    }

    private List<String> managers() {
        return live().getMetadata().getManagedFields().stream()
                .filter(entry ->
                        entry.getSubresource() == null || entry.getSubresource().isEmpty())
                .map(entry -> entry.getManager() + " " + entry.getOperation())
                .toList();
    }

    String secretInUse() {
        return live().getSpec().getTemplate().getSpec().getContainers().getFirst().getEnv().stream()
                .filter(entry -> entry.getName().equals("BACKEND_S3MAIN"))
                .findFirst()
                .orElseThrow()
                .getValueFrom()
                .getSecretKeyRef()
                .getName();
    }

    Job awaitProbe() {
        await().untilAsserted(() -> assertThat(world.running()).isNotEmpty());
        return world.running().getFirst();
    }

    private void awaitEnvironment(String first, List<String> others) {
        List<String> expected = java.util.stream.Stream.concat(java.util.stream.Stream.of(first), others.stream())
                .toList();
        await().untilAsserted(() -> assertThat(world.environment()).containsExactlyElementsOf(expected));
    }

    Condition awaitReason(String backend, String type, String status, String reason) {
        await().untilAsserted(() -> assertThat(condition(backend, type))
                .extracting(Condition::getStatus, Condition::getReason)
                .as(() -> "status: " + world.find(backend).map(BlobstoreBackend::getStatus))
                .containsExactly(status, reason));
        return condition(backend, type);
    }

    Condition condition(String backend, String type) {
        return world
                .find(backend)
                .map(BlobstoreBackend::getStatus)
                .map(status -> Objects.requireNonNullElse(status.conditions(), List.<Condition>of()))
                .orElse(List.of())
                .stream()
                .filter(condition -> condition.getType().equals(type))
                .findFirst()
                .orElseGet(Condition::new);
    }

    private void edit(String backend, java.util.function.Consumer<BlobstoreBackend> change) {
        world.client
                .resources(BlobstoreBackend.class)
                .inNamespace(world.namespace)
                .withName(backend)
                .edit(live -> {
                    change.accept(live);
                    return live;
                });
    }

    /** As {@code kubectl replace -f} with the manifest from before the operator came. */
    private void replaceWithoutOurs() {
        Deployment manifest = live();
        manifest.getMetadata().setManagedFields(null);
        List<EnvVar> entries = manifest.getSpec()
                .getTemplate()
                .getSpec()
                .getContainers()
                .getFirst()
                .getEnv();
        entries.removeIf(entry -> !entry.getName().equals("PGHOST"));
        manifest.getSpec().getTemplate().getMetadata().setAnnotations(null);
        world.client.resource(manifest).update();
    }

    /** An event; what is looked at every minute is looked at now. */
    private void touchDeployment() {
        world.client
                .apps()
                .deployments()
                .inNamespace(world.namespace)
                .withName("blobstore")
                .edit(deployment -> {
                    deployment.getMetadata().setLabels(Map.of("touched", Long.toString(System.nanoTime())));
                    return deployment;
                });
    }

    /** The operator may hear of the Deployment before it hears of what was changed before it. */
    void touchDeploymentUntil(ThrowingRunnable assertion) {
        await().pollInterval(Duration.ofMillis(500)).untilAsserted(() -> {
            touchDeployment();
            assertion.run();
        });
    }

    /** Nothing is written any more, although the operator looks. */
    private void assertStill() {
        String before = Serialization.asYaml(world.find("s3main").orElseThrow()) + Serialization.asYaml(live());
        await().during(Duration.ofSeconds(2))
                .atMost(Duration.ofSeconds(4))
                .untilAsserted(() -> assertThat(
                                Serialization.asYaml(world.find("s3main").orElseThrow()) + Serialization.asYaml(live()))
                        .isEqualTo(before));
    }
}
