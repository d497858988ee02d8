package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubernetes.client.KubernetesClient;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

/** The contract of the controllers is held to {@code kube-controller-manager}. */
@EnabledIfEnvironmentVariable(
        named = RealApiServer.DIRECTORY,
        matches = ".+",
        disabledReason = "KUBE_API_TEST_DIR names no API server's binaries")
class ControllerManagerContractIT extends ControllerContract {

    private static Process controllers;
    private static KubernetesClient client;

    @BeforeAll
    static void start() throws Exception {
        controllers = RealApiServer.shared().startControllers();
        client = RealApiServer.shared().client();
    }

    @AfterAll
    static void stop() {
        client.close();
        controllers.destroyForcibly();
    }

    @Override
    KubernetesClient connect() {
        return client;
    }
}
