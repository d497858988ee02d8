package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubernetes.client.KubernetesClient;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** {@link LocalCluster} is held to what the product relies on. */
class LocalClusterContractTest extends ClusterContract {

    private static LocalCluster cluster;
    private static KubernetesClient client;

    @BeforeAll
    static void start() throws Exception {
        cluster = LocalCluster.startWithoutControllers();
        client = cluster.client("tester", "default");
    }

    @AfterAll
    static void stop() {
        client.close();
        cluster.close();
    }

    @Override
    KubernetesClient connect() {
        return client;
    }
}
