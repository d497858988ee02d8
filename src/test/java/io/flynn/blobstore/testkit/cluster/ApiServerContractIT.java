package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubeapitest.KubeAPIServer;
import io.fabric8.kubeapitest.KubeAPIServerConfigBuilder;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

/** The contract itself is held to a real API server. */
@EnabledIfEnvironmentVariable(
        named = "KUBE_API_TEST_DIR",
        matches = ".+",
        disabledReason = "KUBE_API_TEST_DIR names no API server's binaries")
class ApiServerContractIT extends ClusterContract {

    /** Far more than it takes on a loaded machine. */
    private static final int START_MILLIS_MAX = 180_000;

    private static KubeAPIServer server;
    private static KubernetesClient client;

    @BeforeAll
    static void start() {
        server = new KubeAPIServer(KubeAPIServerConfigBuilder.anAPIServerConfig()
                .withOfflineMode(true)
                .withStartupTimeout(START_MILLIS_MAX)
                .build());
        server.start();
        client = new KubernetesClientBuilder()
                .withConfig(Config.fromKubeconfig(server.getKubeConfigYaml()))
                .build();
    }

    @AfterAll
    static void stop() {
        client.close();
        server.stop();
    }

    @Override
    KubernetesClient connect() {
        return client;
    }
}
