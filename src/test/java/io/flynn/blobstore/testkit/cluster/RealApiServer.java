package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubeapitest.KubeAPIServer;
import io.fabric8.kubeapitest.KubeAPIServerConfigBuilder;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A real API server and, for tests that need them, the real controllers, started once in this JVM from the binaries in
 * {@code KUBE_API_TEST_DIR}: {@code k8s/VERSION-OS-ARCH/} as kube-api-test wants it, and {@code bin/kube-controller-manager}.
 *
 * <p>Everything ends with the JVM at the latest. Tests share the server: each uses a namespace of its own.
 */
public final class RealApiServer {

    /** Names the folder of binaries; without it tests on a real API server are skipped. */
    public static final String DIRECTORY = "KUBE_API_TEST_DIR";

    /** Far more than it takes on a loaded machine. */
    private static final int START_MILLIS_MAX = 180_000;

    private static final String CONTROLLERS =
            "deployment-controller,replicaset-controller,job-controller,garbage-collector-controller,namespace-controller,"
                    + "ttl-after-finished-controller,pod-garbage-collector-controller";

    private static RealApiServer shared;

    private final KubeAPIServer server;

    private RealApiServer() {
        server = new KubeAPIServer(KubeAPIServerConfigBuilder.anAPIServerConfig()
                .withOfflineMode(true)
                .withStartupTimeout(START_MILLIS_MAX)
                .build());
        server.start();
        Runtime.getRuntime().addShutdownHook(new Thread(server::stop));
    }

    /** The one of this JVM, started if it is not yet. */
    public static synchronized RealApiServer shared() {
        if (shared == null) {
            shared = new RealApiServer();
        }
        return shared;
    }

    public String kubeconfig() {
        return server.getKubeConfigYaml();
    }

    /** As cluster admin; the caller closes it. */
    public KubernetesClient client() {
        return new KubernetesClientBuilder()
                .withConfig(Config.fromKubeconfig(kubeconfig()))
                .build();
    }

    /** Starts the controllers for Deployments, Jobs, owners and namespaces; the caller stops them, so that other tests have none. */
    public Process startControllers() throws IOException {
        Path state = Files.createTempDirectory("controllers");
        Path config = Files.writeString(state.resolve("kubeconfig"), kubeconfig());
        Process process = new ProcessBuilder(
                        Path.of(System.getenv(DIRECTORY), "bin", "kube-controller-manager")
                                .toString(),
                        "--kubeconfig=" + config,
                        "--leader-elect=false",
                        "--secure-port=0",
                        "--controllers=" + CONTROLLERS)
                .redirectErrorStream(true)
                .redirectOutput(state.resolve("log").toFile())
                .start();
        Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
        return process;
    }
}
