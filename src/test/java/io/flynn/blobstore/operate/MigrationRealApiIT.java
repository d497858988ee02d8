package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.flynn.blobstore.testkit.cluster.RealApiServer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

/** The same on a real API server, with the real Job controller and garbage collector. */
@EnabledIfEnvironmentVariable(
        named = RealApiServer.DIRECTORY,
        matches = ".+",
        disabledReason = "KUBE_API_TEST_DIR names no API server's binaries")
class MigrationRealApiIT extends MigrationContract {

    private static Process controllers;

    @BeforeAll
    static void startControllers() throws Exception {
        controllers = RealApiServer.shared().startControllers();
    }

    @AfterAll
    static void stopControllers() {
        controllers.destroyForcibly();
    }

    @Override
    KubernetesClient connect(String user, String namespace) {
        Config config = new ConfigBuilder(
                        Config.fromKubeconfig(RealApiServer.shared().kubeconfig()))
                .withNamespace(namespace)
                .build();
        return new KubernetesClientBuilder().withConfig(config).build();
    }
}
