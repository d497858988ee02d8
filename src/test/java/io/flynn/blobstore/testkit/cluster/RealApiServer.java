package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubeapitest.KubeAPIServer;
import io.fabric8.kubeapitest.KubeAPIServerConfigBuilder;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.util.TimeZone;

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

    /** One more, for a test of how it starts; the caller stops it. */
    RealApiServer() {
        server = new KubeAPIServer(KubeAPIServerConfigBuilder.anAPIServerConfig()
                .withOfflineMode(true)
                .withStartupTimeout(START_MILLIS_MAX)
                .build());
        // Before it starts: of one that doesn't get ready, its database runs.
        Runtime.getRuntime().addShutdownHook(new Thread(server::stop));
        start();
    }

    /** One JVM at a time: they share the certificates in {@code KUBE_API_TEST_DIR}, and whoever comes first makes them. */
    private void start() {
        TimeZone here = TimeZone.getDefault();
        Path lock = Path.of(System.getenv(DIRECTORY), ".starting");
        try (FileChannel file = FileChannel.open(lock, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            // Until the file is closed.
            file.lock();
            // kube-api-test compares times of day: a deadline past midnight has passed before it starts to wait. So let
            // it be noon.
            TimeZone.setDefault(zoneWhereItIs(LocalTime.NOON));
            server.start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            TimeZone.setDefault(here);
        }
    }

    static TimeZone zoneWhereItIs(LocalTime time) {
        long ahead = Duration.between(LocalTime.now(ZoneOffset.UTC), time).toSeconds();
        long halfDay = Duration.ofHours(12).toSeconds();
        return TimeZone.getTimeZone(
                ZoneOffset.ofTotalSeconds((int) (Math.floorMod(ahead + halfDay, 2 * halfDay) - halfDay)));
    }

    /** The one of this JVM, started if it is not yet. */
    public static synchronized RealApiServer shared() {
        if (shared == null) {
            shared = new RealApiServer();
        }
        return shared;
    }

    void stop() {
        server.stop();
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
