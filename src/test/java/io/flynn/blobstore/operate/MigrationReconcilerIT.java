package io.flynn.blobstore.operate;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.flynn.blobstore.manifest.Permission;
import io.flynn.blobstore.testkit.cluster.ApiCall;
import io.flynn.blobstore.testkit.cluster.ApiCalls;
import io.flynn.blobstore.testkit.cluster.LocalCluster;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** On LocalCluster, which besides loses answers on request. */
class MigrationReconcilerIT extends MigrationContract {

    private static LocalCluster cluster;

    @BeforeAll
    static void startCluster() throws Exception {
        cluster = LocalCluster.start();
    }

    @AfterAll
    static void stopCluster() {
        cluster.close();
        assertThat(Permission.notGranted(
                        cluster.calls().matching(call -> !call.user().equals("tester"))))
                .as("what an operator used")
                .isEmpty();
    }

    @Override
    KubernetesClient connect(String user, String namespace) {
        return cluster.client(user, namespace);
    }

    /** Each operator writes once, doesn't learn whether that was done, and dies: between any two writes there is a death. */
    @Test
    void operatorsThatDieAfterEveryWriteFinishTheMigrationTogether() {
        AtomicInteger operators = new AtomicInteger();
        currentOperator().close();
        replaceOperator(mortal(operators));
        migration("m", "");

        while (!"Complete".equals(holdingOrNone("m"))) {
            String user = "mortal-" + operators.get();
            soon(() -> assertThat(isDead(user) || "Complete".equals(holdingOrNone("m")))
                    .isTrue());
            currentOperator().close();
            replaceOperator(mortal(operators));
        }

        assertThat(node.stages()).containsExactly("plan", "copy", "verify", "clean", "vacuum");
        assertThat(operators.get()).isGreaterThan(9);
        assertThat(client.batch().v1().jobs().list().getItems()).hasSize(5);
    }

    @Test
    void apiServerThatStumblesIsAskedAgain() {
        cluster.calls()
                .failNext(
                        2,
                        500,
                        call -> isOf("operator", call) && call.resource().equals("jobs") && isWrite(call));
        cluster.calls()
                .failNext(
                        2,
                        429,
                        call -> isOf("operator", call) && call.resource().equals("pods"));
        cluster.calls()
                .failNext(
                        2,
                        409,
                        call -> isOf("operator", call) && call.resource().endsWith("/status"));

        migration("m", "");

        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
        assertThat(node.stages()).containsExactly("plan", "copy", "verify", "clean", "vacuum");
    }

    @Test
    void refusedJobIsACondition() {
        cluster.calls()
                .failNext(
                        1,
                        403,
                        call -> isOf("operator", call) && call.resource().equals("jobs") && isWrite(call));

        migration("m", "");

        soon(() -> assertThat(status("m").message()).isEqualTo("injected failure"));
        soon(() -> assertThat(holding("m")).isEqualTo("Complete"));
    }

    private Running mortal(AtomicInteger operators) {
        String user = "mortal-" + operators.incrementAndGet();
        cluster.calls().loseNextAnswer(call -> isOf(user, call) && isWrite(call));
        cluster.calls().failNext(1000, ApiCalls.CUT, call -> isOf(user, call) && isDead(user));
        return operator(user);
    }

    private boolean isDead(String user) {
        return !cluster.calls()
                .matching(call -> isOf(user, call) && isWrite(call))
                .isEmpty();
    }

    private String holdingOrNone(String name) {
        return status(name) == null || status(name).conditions() == null ? "" : holding(name);
    }

    private static boolean isOf(String user, ApiCall call) {
        return call.user().equals(user);
    }

    private static boolean isWrite(ApiCall call) {
        return List.of("create", "patch", "update", "delete").contains(call.verb());
    }
}
