package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubernetes.client.KubernetesClient;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

/** The contract itself is held to a real API server. */
@EnabledIfEnvironmentVariable(
        named = RealApiServer.DIRECTORY,
        matches = ".+",
        disabledReason = "KUBE_API_TEST_DIR names no API server's binaries")
class ApiServerContractIT extends ClusterContract {

    private static KubernetesClient client;

    @BeforeAll
    static void start() {
        client = RealApiServer.shared().client();
    }

    @AfterAll
    static void stop() {
        client.close();
    }

    @Override
    KubernetesClient connect() {
        return client;
    }
}
