package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubernetes.client.KubernetesClient;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** The controllers of {@link LocalCluster} are held to what the product relies on. */
class LocalControllersContractTest extends ControllerContract {

    private static LocalCluster cluster;
    private static KubernetesClient client;

    @BeforeAll
    static void start() throws Exception {
        cluster = LocalCluster.start();
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
