package io.flynn.blobstore.operate;

import static io.flynn.blobstore.operate.BackendWorld.passed;
import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.manifest.Permission;
import io.flynn.blobstore.testkit.cluster.ApiCall;
import io.flynn.blobstore.testkit.cluster.ApiCalls;
import io.flynn.blobstore.testkit.cluster.LocalCluster;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** On LocalCluster: everywhere. It loses answers on request besides. */
class BackendReconcilerIT extends BackendContract {

    private static LocalCluster cluster;
    private static KubernetesClient client;
    private static int mortals;

    @BeforeAll
    static void startCluster() throws Exception {
        cluster = LocalCluster.startWithoutControllers();
        client = cluster.client("tester", "default");
        BackendWorld.installCrds(client);
    }

    @AfterAll
    static void stopCluster() {
        client.close();
        cluster.close();
        assertThat(Permission.notGranted(
                        cluster.calls().matching(call -> !call.user().equals("tester"))))
                .as("what an operator used")
                .isEmpty();
    }

    @Override
    KubernetesClient connect() {
        return client;
    }

    @Override
    KubernetesClient connectOperator() {
        return cluster.client("operator", "default");
    }

    /** Each operator writes once, doesn't learn whether that was done, and dies: between any two writes there is a death. */
    @Test
    void operatorsThatDieAfterEveryWriteFinishTheBackendTogether() throws Exception {
        world.secret().deployment().backend();
        dieUntil(() -> "True".equals(condition("s3main", "Ready").getStatus()));
        assertThat(world.find("s3main").orElseThrow().getStatus()).satisfies(status -> {
            assertThat(status.configSecret()).isEqualTo(secretInUse()).isEqualTo(status.lastGoodConfigSecret());
            assertThat(status.workload().phase()).isEqualTo(WorkloadPhase.DEFAULT.word());
        });

        client.resource(world.find("s3main").orElseThrow()).delete();
        dieUntil(() -> world.find("s3main").isEmpty());
        assertThat(world.environment()).containsExactly("PGHOST=database");
        assertThat(world.configSecrets(client)).isEmpty();
        assertThat(mortals).isGreaterThan(12);
    }

    @Test
    void aChangeThatAWebhookRefusesIsACondition() {
        cluster.calls()
                .failNext(
                        3,
                        403,
                        call -> isWrite("operator", call) && call.resource().equals("deployments"));
        world.secret().deployment().backend();
        world.end(awaitProbe(), passed(0));
        assertThat(awaitReason("s3main", "Reconciling", "True", Reasons.CHANGE_REFUSED)
                        .getMessage())
                .isEqualTo("injected failure");
        assertThat(world.find("s3main").orElseThrow().getStatus().configSecret())
                .as("nothing is said to be done that isn't")
                .isNull();
        touchDeploymentUntil(() -> assertThat(world.environment()).hasSize(4));
    }

    private void dieUntil(BooleanSupplier done) throws InterruptedException {
        Instant end = Instant.now().plus(Duration.ofMinutes(2));
        while (!done.getAsBoolean()) {
            stopOperator();
            String user = "mortal-" + mortals++;
            cluster.calls().loseNextAnswer(call -> isWrite(user, call));
            cluster.calls().failNext(1000, ApiCalls.CUT, call -> call.user().equals(user) && hasWritten(user));
            startOperator(cluster.client(user, "default"));
            while (!hasWritten(user) && !done.getAsBoolean()) {
                assertThat(Instant.now())
                        .as(() -> world.find("s3main").toString())
                        .isBefore(end);
                if (!world.isRolledOut()) {
                    world.roll();
                }
                world.running().forEach(job -> world.end(job, passed(0)));
                Thread.sleep(Duration.ofMillis(50));
            }
        }
    }

    private static boolean hasWritten(String user) {
        return !cluster.calls().matching(call -> isWrite(user, call)).isEmpty();
    }

    private static boolean isWrite(String user, ApiCall call) {
        return call.user().equals(user)
                && List.of("create", "patch", "update", "delete").contains(call.verb());
    }
}
