package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A Kubernetes in this process, on a loopback port.
 *
 * <p>Thread-safe. Clients talk to it over plain HTTP, so that other processes can too: {@link #kubeconfig} writes what they need. The bearer
 * token in it is the user's name, by which {@link #calls} tells apart who asked for what; everybody may do everything.
 */
public final class LocalCluster implements AutoCloseable {

    private final ApiCalls calls = new ApiCalls();
    private final ApiServer api;
    private final Optional<Controllers> controllers;
    private volatile PodLogs logs = PodLogs.NONE;
    private final HttpFront http;

    private LocalCluster(Optional<Duration> jobBackoff) throws IOException {
        api = new ApiServer(new ObjectStore(), new ResourceTypes(), InstantSource.system());
        controllers = jobBackoff.map(backoff -> new Controllers(api, InstantSource.system(), backoff));
        http = new HttpFront(api, (namespace, pod, container) -> logs.read(namespace, pod, container), calls);
    }

    /** An API server, controllers and the namespace {@code default}; a Job's second pod comes after 200 ms. */
    public static LocalCluster start() throws IOException {
        return start(Duration.ofMillis(200));
    }

    /** @param jobBackoff how long after its first failed pod a Job makes another one (in Kubernetes ten seconds); doubles each time */
    public static LocalCluster start(Duration jobBackoff) throws IOException {
        return new LocalCluster(Optional.of(jobBackoff));
    }

    /** Nothing happens to objects but what clients do: as kube-apiserver alone. */
    public static LocalCluster startWithoutControllers() throws IOException {
        return new LocalCluster(Optional.empty());
    }

    /**
     * Adds the node: from now on pods run. The caller closes it before the cluster.
     *
     * @param images each image's command, which a container's arguments follow
     */
    public LocalNode startNode(Map<String, List<String>> images) throws IOException {
        LocalNode node = new LocalNode(api, images);
        logs = node;
        return node;
    }

    /**
     * One local address for the ready pods with these labels; the caller closes it.
     *
     * @param port to listen on; 0 for any
     */
    public LocalService startService(LocalNode node, String namespace, Map<String, String> selector, int port)
            throws IOException {
        return new LocalService(api, node, namespace, selector, port);
    }

    public String url() {
        return http.url();
    }

    /** Every request that came over HTTP, and failures to order. */
    public ApiCalls calls() {
        return calls;
    }

    /** A client that says it is {@code user}; the caller closes it. */
    public KubernetesClient client(String user, String namespace) {
        Config config = new ConfigBuilder(Config.empty())
                .withMasterUrl(url())
                .withOauthToken(user)
                .withNamespace(namespace)
                .withRequestRetryBackoffLimit(0)
                .build();
        return new KubernetesClientBuilder().withConfig(config).build();
    }

    /** Writes a kubeconfig for {@code user} into {@code file}. */
    public Path kubeconfig(Path file, String user, String namespace) throws IOException {
        return Files.writeString(file, """
                apiVersion: v1
                kind: Config
                clusters: [{name: local, cluster: {server: "%s"}}]
                users: [{name: "%s", user: {token: "%s"}}]
                contexts: [{name: local, context: {cluster: local, user: "%s", namespace: "%s"}}]
                current-context: local
                """.formatted(url(), user, user, user, namespace));
    }

    /** @throws IllegalStateException if a controller failed meanwhile, which is a bug of LocalCluster */
    @Override
    public void close() {
        http.close();
        controllers.ifPresent(Controllers::close);
    }
}
