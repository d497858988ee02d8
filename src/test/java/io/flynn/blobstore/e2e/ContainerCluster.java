package io.flynn.blobstore.e2e;

import io.flynn.blobstore.testkit.story.Bucket;
import io.flynn.blobstore.testkit.story.Database;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import org.awaitility.Awaitility;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.MinIOContainer;
import org.testcontainers.k3s.K3sContainer;
import org.testcontainers.postgresql.PostgreSQLContainer;
import org.testcontainers.utility.DockerImageName;
import org.testcontainers.utility.MountableFile;

/**
 * A cluster, a PostgreSQL and a MinIO of this suite's own, in containers; {@code target/image.tar} is imported into the node. Addresses are those
 * on Docker's own network, which a Linux machine reaches.
 */
final class ContainerCluster implements Site {

    private static final String ROLE = "blobstore";
    private static final String PASSWORD = "blobstore-password";
    private static final Path IMAGE = Path.of("target/image.tar");

    /**
     * The pods' bridge takes the lowest hardware address of its ports, so a pod that comes or goes may change it. Unless it is told, the
     * others send to the old one until their neighbour tables forget it: half a minute in which their connections are silent.
     */
    private static final Map<String, String> GATEWAY_TELLS_ITS_ADDRESS =
            Map.of("net.ipv4.conf.all.arp_notify", "1", "net.ipv4.conf.default.arp_notify", "1");

    private final K3sContainer k3s = new K3sContainer(DockerImageName.parse("rancher/k3s:v1.36.3-k3s1"))
            .withCopyFileToContainer(
                    MountableFile.forHostPath(IMAGE), "/var/lib/rancher/k3s/agent/images/blobstore-operator.tar")
            .withCreateContainerCmdModifier(
                    command -> Objects.requireNonNull(command.getHostConfig()).withSysctls(GATEWAY_TELLS_ITS_ADDRESS));
    private final PostgreSQLContainer postgres = new PostgreSQLContainer("postgres:17");
    private final MinIOContainer minio =
            new MinIOContainer("minio/minio:latest").withUserName(Minio.USER).withPassword(Minio.PASSWORD);
    private final Path kubeconfig;

    private ContainerCluster() throws Exception {
        if (!Files.exists(IMAGE)) {
            throw new IllegalStateException(IMAGE + " is missing: run image/build first");
        }
        kubeconfig = Files.createTempFile("kubeconfig", ".yaml");
    }

    static ContainerCluster start() throws Exception {
        ContainerCluster cluster = new ContainerCluster();
        try {
            cluster.k3s.start();
            cluster.postgres.start();
            cluster.minio.start();
            Files.writeString(cluster.kubeconfig, cluster.k3s.getKubeConfigYaml());
            cluster.superuser().execute("CREATE ROLE %s LOGIN PASSWORD '%s'".formatted(ROLE, PASSWORD));
            return cluster;
        } catch (Exception e) {
            cluster.close();
            throw e;
        }
    }

    private Database superuser() {
        return new Database(
                address(postgres),
                PostgreSQLContainer.POSTGRESQL_PORT,
                postgres.getDatabaseName(),
                postgres.getUsername(),
                postgres.getPassword());
    }

    @Override
    public Path kubeconfig() {
        return kubeconfig;
    }

    @Override
    public Database database(String name) throws SQLException {
        superuser().execute("CREATE DATABASE %s OWNER %s".formatted(name, ROLE));
        return new Database(address(postgres), PostgreSQLContainer.POSTGRESQL_PORT, name, ROLE, PASSWORD);
    }

    @Override
    public void restartDatabase() {
        String id = postgres.getContainerId();
        postgres.getDockerClient().killContainerCmd(id).exec();
        postgres.getDockerClient().startContainerCmd(id).exec();
        Awaitility.await().atMost(Duration.ofMinutes(1)).ignoreExceptions().until(() -> {
            superuser().number("SELECT 1");
            return true;
        });
    }

    @Override
    public Bucket.Location bucket(String name) {
        return new Minio(URI.create("http://%s:9000".formatted(address(minio)))).create(name);
    }

    @Override
    public URI node(int port) {
        return URI.create("http://%s:%d".formatted(address(k3s), port));
    }

    private static String address(GenericContainer<?> container) {
        return container.getContainerInfo().getNetworkSettings().getNetworks().values().stream()
                .map(network -> network.getIpAddress())
                .findFirst()
                .orElseThrow();
    }

    @Override
    public void close() throws IOException {
        minio.stop();
        postgres.stop();
        k3s.stop();
        Files.deleteIfExists(kubeconfig);
    }
}
