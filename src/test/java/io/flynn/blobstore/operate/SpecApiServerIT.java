package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.flynn.blobstore.testkit.cluster.RealApiServer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

/** On a real API server: patterns and CEL as they really are. */
@EnabledIfEnvironmentVariable(
        named = RealApiServer.DIRECTORY,
        matches = ".+",
        disabledReason = "KUBE_API_TEST_DIR names no API server's binaries")
class SpecApiServerIT extends SpecContract {

    private static KubernetesClient client;

    @BeforeAll
    static void startServer() throws Exception {
        client = RealApiServer.shared().client();
        BackendWorld.installCrds(client);
    }

    @AfterAll
    static void stopServer() {
        client.close();
    }

    @Override
    KubernetesClient connect() {
        return client;
    }
}
