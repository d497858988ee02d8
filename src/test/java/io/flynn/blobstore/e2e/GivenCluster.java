package io.flynn.blobstore.e2e;

import io.fabric8.kubernetes.api.model.NodeAddress;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.flynn.blobstore.testkit.Folders;
import io.flynn.blobstore.testkit.story.Bucket;
import io.flynn.blobstore.testkit.story.Database;
import io.flynn.blobstore.testkit.story.Postgres;
import java.io.IOException;
import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * The cluster that {@code KUBECONFIG} names, whose nodes have the image already. PostgreSQL and MinIO are processes of this machine, at an
 * address that pods reach: {@code -Dhost.address}, by default the first node's if this machine has it.
 */
final class GivenCluster implements Site {

    private static final int MINIO_STARTS_MAX = 3;
    private static final Duration MINIO_START_MAX = Duration.ofSeconds(20);
    private static final Duration MINIO_LOOK = Duration.ofMillis(200);

    private final Path kubeconfig;
    private final String nodeAddress;
    private final Path folder;
    private final Postgres postgres;
    private final Process minioServer;
    private final Minio minio;

    private GivenCluster(
            Path kubeconfig, String nodeAddress, Path folder, Postgres postgres, Process minioServer, Minio minio) {
        this.kubeconfig = kubeconfig;
        this.nodeAddress = nodeAddress;
        this.folder = folder;
        this.postgres = postgres;
        this.minioServer = minioServer;
        this.minio = minio;
    }

    static GivenCluster start(Path kubeconfig) throws Exception {
        String nodeAddress = nodeAddress(kubeconfig);
        String host = System.getProperty("host.address", "");
        if (host.isEmpty()) {
            if (NetworkInterface.getByInetAddress(InetAddress.getByName(nodeAddress)) == null) {
                throw new IllegalStateException(
                        "the cluster is elsewhere: say with -Dhost.address=… where its pods reach this machine");
            }
            host = nodeAddress;
        }
        Path folder = Files.createTempDirectory("e2e");
        Postgres postgres = Postgres.start(host, folder.resolve("postgres.access"));
        for (int attempt = 1; ; attempt++) {
            URI endpoint = URI.create("http://%s:%d".formatted(host, freePort(host)));
            Path log = folder.resolve("minio.log");
            ProcessBuilder builder = new ProcessBuilder(
                            Programs.find("minio")
                                    .orElseThrow(() -> new IllegalStateException("minio is not on the PATH"))
                                    .toString(),
                            "server",
                            folder.resolve("minio").toString(),
                            "--quiet",
                            "--address",
                            endpoint.getAuthority())
                    .redirectErrorStream(true)
                    .redirectOutput(log.toFile());
            builder.environment().put("MINIO_ROOT_USER", Minio.USER);
            builder.environment().put("MINIO_ROOT_PASSWORD", Minio.PASSWORD);
            Process server = builder.start();
            if (listens(server, endpoint)) {
                return new GivenCluster(kubeconfig, nodeAddress, folder, postgres, server, new Minio(endpoint));
            }
            server.destroyForcibly().onExit().join();
            // A port that was free a moment ago need not be so any more.
            if (attempt == MINIO_STARTS_MAX) {
                postgres.close();
                throw new IllegalStateException("minio does not start: " + Files.readString(log));
            }
        }
    }

    private static boolean listens(Process server, URI endpoint) throws InterruptedException {
        long deadline = System.nanoTime() + MINIO_START_MAX.toNanos();
        while (server.isAlive() && System.nanoTime() < deadline) {
            try (Socket socket = new Socket(endpoint.getHost(), endpoint.getPort())) {
                return socket.isConnected();
            } catch (IOException notYet) {
                server.waitFor(MINIO_LOOK.toMillis(), TimeUnit.MILLISECONDS);
            }
        }
        return false;
    }

    private static String nodeAddress(Path kubeconfig) throws IOException {
        Config config = Config.fromKubeconfig(Files.readString(kubeconfig));
        try (KubernetesClient client =
                new KubernetesClientBuilder().withConfig(config).build()) {
            return client.nodes().list().getItems().getFirst().getStatus().getAddresses().stream()
                    .filter(address -> address.getType().equals("InternalIP"))
                    .map(NodeAddress::getAddress)
                    .findFirst()
                    .orElseThrow();
        }
    }

    private static int freePort(String host) throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getByName(host))) {
            return socket.getLocalPort();
        }
    }

    @Override
    public Path kubeconfig() {
        return kubeconfig;
    }

    @Override
    public Database database(String name) throws SQLException {
        return postgres.create(name);
    }

    @Override
    public void restartDatabase() throws SQLException, InterruptedException {
        postgres.crash();
    }

    @Override
    public Bucket.Location bucket(String name) {
        return minio.create(name);
    }

    @Override
    public URI node(int port) {
        return URI.create("http://%s:%d".formatted(nodeAddress, port));
    }

    @Override
    public void close() throws IOException {
        minioServer.destroyForcibly().onExit().join();
        postgres.close();
        Folders.delete(folder);
    }
}
