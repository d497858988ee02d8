package io.flynn.blobstore.e2e;

import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.flynn.blobstore.testkit.story.Bucket;
import io.flynn.blobstore.testkit.story.Database;
import io.flynn.blobstore.testkit.story.World;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;

/**
 * One namespace of a real cluster, which enforces Pod Security {@code restricted}, with the operator installed by the chart; and a database and a
 * bucket that only it uses. Made and used with {@code kubectl} and {@code helm}, as a user would.
 */
final class ClusterWorld implements World, AutoCloseable {

    private static final String RELEASE = "blobstore-operator";

    /** Short, so that a resource that needs a person is noticed soon. */
    private static final Duration BETWEEN_LOOKS = Duration.ofSeconds(10);

    private final Site site;
    private final String namespace;
    private final Programs programs;
    private final KubernetesClient client;
    private final Database database;
    private final Bucket.Location bucket;

    private ClusterWorld(Site site, String name) throws Exception {
        this.site = site;
        namespace = "e2e-" + name;
        programs = new Programs(site.kubeconfig(), namespace);
        Config config = new ConfigBuilder(Config.fromKubeconfig(Files.readString(site.kubeconfig())))
                .withNamespace(namespace)
                .build();
        client = new KubernetesClientBuilder().withConfig(config).build();
        database = site.database("e2e_" + name.replace('-', '_'));
        bucket = site.bucket(namespace);
    }

    /**
     * @param name of the run: a DNS label
     */
    static ClusterWorld create(Site site, String name) throws Exception {
        ClusterWorld world = new ClusterWorld(site, name);
        try {
            world.programs.apply("""
                    apiVersion: v1
                    kind: Namespace
                    metadata:
                      name: %s
                      labels: {pod-security.kubernetes.io/enforce: restricted}
                    """.formatted(world.namespace));
            // Each run has an operator of its own; the kinds, which all share, go from one release to the next.
            world.programs.helm(
                    "install",
                    RELEASE,
                    "charts/blobstore-operator",
                    "--take-ownership",
                    "--wait",
                    "--timeout=2m",
                    "--set=image.repository=" + repository(),
                    "--set-string=image.tag=" + tag(),
                    "--set=allowInsecureEndpoints=true");
            return world;
        } catch (Exception e) {
            throw new IllegalStateException(world.programs.state(), e);
        }
    }

    private static String repository() {
        return image().replaceFirst(":[^:/]*$", "");
    }

    private static String tag() {
        return image().substring(repository().length() + 1);
    }

    private static String image() {
        return System.getProperty("image", "blobstore-operator:0.1.0");
    }

    Programs programs() {
        return programs;
    }

    @Override
    public KubernetesClient kubernetes() {
        return client;
    }

    @Override
    public String namespace() {
        return namespace;
    }

    @Override
    public Database database() {
        return database;
    }

    @Override
    public Database scratch(String name) throws SQLException {
        return site.database(database.name() + "_" + name);
    }

    @Override
    public Bucket.Location bucket() {
        return bucket;
    }

    @Override
    public URI endpointForPods() {
        return bucket.endpoint();
    }

    @Override
    public URI startBlobstore() throws Exception {
        String yaml = Files.readString(Path.of("src/test/resources/story/blobstore.yaml"));
        programs.apply(yaml.replace("{IMAGE}", image())
                .replace("{DRAIN_DELAY}", "5s")
                .replace("{PGHOST}", database.host())
                .replace("{PGPORT}", Integer.toString(database.port()))
                .replace("{PGDATABASE}", database.name())
                .replace("{PGUSER}", database.user())
                .replace("{PGPASSWORD}", database.password()));
        programs.kubectl("patch", "service/blobstore", "--patch={\"spec\": {\"type\": \"NodePort\"}}");
        programs.kubectl("rollout", "status", "deployment/blobstore", "--timeout=90s");
        Service service = client.services().withName("blobstore").require();
        return site.node(service.getSpec().getPorts().getFirst().getNodePort());
    }

    @Override
    public void apply(String yaml) throws IOException {
        programs.apply(yaml);
    }

    @Override
    public void await(String resource, String condition, Duration timeout) throws Exception {
        long deadline = System.nanoTime() + timeout.toNanos();
        while (true) {
            try {
                programs.kubectl(
                        "wait",
                        "--for=condition=" + condition,
                        resource,
                        "--timeout=" + BETWEEN_LOOKS.toSeconds() + "s");
                return;
            } catch (IOException e) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("%s is not %s after %s".formatted(resource, condition, timeout), e);
                }
            }
            String stalled = programs.kubectl(
                    "get", resource, "-o", "jsonpath={.status.conditions[?(@.type==\"Stalled\")].status}");
            if (stalled.equals("True")) {
                throw new IllegalStateException(resource + " needs a person: "
                        + programs.kubectl("get", resource, "-o", "jsonpath={.status.conditions}"));
            }
        }
    }

    /** Removes the run's own things from the cluster; the database and the bucket go with the site. */
    @Override
    public void close() throws IOException {
        try (client) {
            programs.kubectl("delete", "blobmigrations,blobstorebackends", "--all", "--wait=false");
            // Rows use the backend, which is therefore held; nobody will need it any more.
            for (String kind : new String[] {"blobmigrations", "blobstorebackends"}) {
                for (String name :
                        programs.kubectl("get", kind, "-o", "name").lines().toList()) {
                    programs.kubectl("patch", name, "--type=merge", "--patch={\"metadata\":{\"finalizers\":null}}");
                }
            }
            programs.helm("uninstall", RELEASE, "--wait");
            programs.kubectl("delete", "namespace", namespace, "--timeout=90s");
        }
    }
}
