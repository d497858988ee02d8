package io.flynn.blobstore.operate;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.flynn.blobstore.manifest.Permission;
import io.flynn.blobstore.testkit.cluster.LocalCluster;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** On LocalCluster: everywhere. */
class MigrationTargetIT extends MigrationTargetContract {

    private static LocalCluster cluster;
    private static KubernetesClient client;

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
}
