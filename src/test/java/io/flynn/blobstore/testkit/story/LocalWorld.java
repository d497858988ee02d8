package io.flynn.blobstore.testkit.story;

import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentStatus;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.cluster.ApiCall;
import io.flynn.blobstore.testkit.cluster.LocalCluster;
import io.flynn.blobstore.testkit.cluster.LocalNode;
import io.flynn.blobstore.testkit.cluster.LocalService;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The whole story on this machine: LocalCluster and the other parts in this process; PostgreSQL, the operator and every pod as
 * processes of their own. Needs {@code mvn package} to have run.
 */
final class LocalWorld implements World, AutoCloseable {

    private static final String NAMESPACE = "default";
    private static final String OPERATOR = "operator";
    private static final String OPERATOR_LOG = "operator.log";
    private static final String IMAGE = "blobstore:local";
    private static final String BUCKET = "flynnblobstore";
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    private final Path folder;
    private final Postgres postgres;
    private final LocalS3 s3;
    private final LocalCluster cluster;
    private final LocalNode node;
    private final LocalService service;
    private final KubernetesClient kubernetes;
    private final Database database;
    private final Deque<AutoCloseable> parts = new ArrayDeque<>();
    private @Nullable Program operator;

    private LocalWorld(Path folder) throws IOException, SQLException {
        this.folder = folder;
        try {
            postgres = opened(Postgres.start());
            s3 = opened(LocalS3.start());
            s3.createBucket(BUCKET);
            cluster = opened(LocalCluster.start());
            node = opened(cluster.startNode(Map.of(IMAGE, Program.command())));
            service = opened(cluster.startService(node, NAMESPACE, Map.of("app", "blobstore"), 0));
            kubernetes = opened(cluster.client("kubectl", NAMESPACE));
            database = postgres.create("blobstore");
        } catch (IOException | SQLException | RuntimeException e) {
            close();
            throw e;
        }
    }

    /**
     * @param folder gets what the processes write
     */
    static LocalWorld start(Path folder) throws Exception {
        LocalWorld world = new LocalWorld(folder);
        try {
            for (String crd : List.of("crds/blobstorebackends.yaml", "crds/blobmigrations.yaml")) {
                world.apply(Files.readString(Path.of(crd)));
            }
            world.startOperator();
            return world;
        } catch (Exception e) {
            world.close();
            throw e;
        }
    }

    private <T extends AutoCloseable> T opened(T part) {
        parts.push(part);
        return part;
    }

    LocalS3 s3() {
        return s3;
    }

    Postgres postgres() {
        return postgres;
    }

    /** What the operator asked the API server for. */
    List<ApiCall> operatorsCalls() {
        return cluster.calls().matching(call -> call.user().equals(OPERATOR));
    }

    @Override
    public KubernetesClient kubernetes() {
        return kubernetes;
    }

    @Override
    public String namespace() {
        return NAMESPACE;
    }

    @Override
    public Database database() {
        return database;
    }

    @Override
    public List<String> otherOutput() {
        try {
            return List.of(Files.readString(folder.resolve(OPERATOR_LOG)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public Database scratch(String name) throws SQLException {
        return postgres.create(name);
    }

    @Override
    public Bucket.Location bucket() {
        return new Bucket.Location(
                s3.endpoint(), LocalS3.REGION, BUCKET, LocalS3.ACCESS_KEY_ID, LocalS3.SECRET_ACCESS_KEY);
    }

    @Override
    public URI endpointForPods() {
        return s3.endpoint();
    }

    @Override
    public URI startBlobstore() throws Exception {
        apply(workload());
        kubernetes
                .apps()
                .deployments()
                .withName("blobstore")
                .waitUntilCondition(
                        deployment -> Optional.ofNullable(deployment)
                                .map(Deployment::getStatus)
                                .map(DeploymentStatus::getReadyReplicas)
                                .equals(Optional.of(2)),
                        PATIENCE.toSeconds(),
                        TimeUnit.SECONDS);
        return URI.create(service.url());
    }

    private String workload() throws IOException {
        try (InputStream yaml = LocalWorld.class.getResourceAsStream("/story/blobstore.yaml")) {
            return new String(yaml.readAllBytes(), StandardCharsets.UTF_8)
                    .replace("{IMAGE}", IMAGE)
                    .replace("{DRAIN_DELAY}", "1s")
                    .replace("{PGHOST}", database.host())
                    .replace("{PGPORT}", Integer.toString(database.port()))
                    .replace("{PGDATABASE}", database.name())
                    .replace("{PGUSER}", database.user())
                    .replace("{PGPASSWORD}", database.password());
        }
    }

    void startOperator() throws IOException {
        operator = Program.start(
                List.of("operator"),
                Map.of(
                        "KUBECONFIG",
                        cluster.kubeconfig(folder.resolve("operator.kubeconfig"), OPERATOR, NAMESPACE)
                                .toString(),
                        "POD_NAMESPACE",
                        NAMESPACE,
                        "POD_NAME",
                        "operator",
                        "BLOBSTORE_IMAGE",
                        IMAGE,
                        "BLOBSTORE_ALLOW_INSECURE_ENDPOINTS",
                        "true",
                        "BLOBSTORE_HTTP_PORT",
                        Integer.toString(freePort())),
                folder.resolve(OPERATOR_LOG));
    }

    /** As Kubernetes ends it. */
    void stopOperator() {
        if (operator != null) {
            operator.close();
        }
    }

    /** As when its node loses power. */
    void killOperator() {
        if (operator != null) {
            operator.kill();
        }
    }

    /** Kills the process of a running pod of this stage; returns the pod's name. */
    String killPodOf(String stage) {
        Pod pod = kubernetes.pods().withLabel("blobstore.flynn.io/stage", stage).list().getItems().stream()
                .filter(candidate -> "Running".equals(candidate.getStatus().getPhase()))
                .findFirst()
                .orElseThrow();
        killPod(pod.getMetadata().getName());
        return pod.getMetadata().getName();
    }

    void killPod(String pod) {
        node.kill(NAMESPACE, pod);
    }

    /** Waits until at least so many blobs are moved, and returns the keys of their objects. */
    Set<String> awaitMoved(int blobs) throws SQLException, InterruptedException {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        Set<String> moved = database.movedObjects();
        while (moved.size() < blobs) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("fewer than %d blobs moved in %s".formatted(blobs, PATIENCE));
            }
            Thread.sleep(Duration.ofMillis(10));
            moved = database.movedObjects();
        }
        return moved;
    }

    /** For people who want to look around: where everything is, and what to type. */
    List<String> ways() throws IOException {
        Path kubeconfig = cluster.kubeconfig(folder.resolve("kubeconfig"), "you", NAMESPACE);
        return List.of(
                "kubeconfig  " + kubeconfig,
                "blobstore   " + service.url(),
                "S3          %s  (bucket %s, key %s, secret %s)"
                        .formatted(s3.endpoint(), BUCKET, LocalS3.ACCESS_KEY_ID, LocalS3.SECRET_ACCESS_KEY),
                "PostgreSQL  postgresql://%s:%s@%s:%d/%s"
                        .formatted(
                                database.user(),
                                database.password(),
                                database.host(),
                                database.port(),
                                database.name()),
                "",
                "Try:",
                "  kubectl --kubeconfig %s get bsb,bm".formatted(kubeconfig),
                "  kubectl --kubeconfig %s get bm pg-to-s3 -o yaml".formatted(kubeconfig),
                "  curl -s '%s/?dir=/'".formatted(service.url()),
                "");
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    @Override
    public synchronized void close() {
        if (operator != null) {
            operator.close();
        }
        while (!parts.isEmpty()) {
            try {
                parts.pop().close();
            } catch (Exception e) {
                System.err.println("could not stop a part: " + e);
            }
        }
    }
}
