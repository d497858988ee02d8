package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubernetes.api.model.Pod;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One address for the ready pods of a selector, as a Service gives: each new connection goes to the next of them; connections that are there
 * stay with their pod as long as both sides want.
 *
 * <p>As in Kubernetes, the network learns of a pod that ends a moment after the pod does ({@link #LAG}): whoever stops listening at SIGTERM
 * refuses connections that were sent to it in good faith.
 */
public final class LocalService implements AutoCloseable {

    /** Endpoint slices and kube-proxy take about that long. */
    private static final Duration LAG = Duration.ofMillis(100);

    private static final int BACKLOG = 128;

    private final LocalNode node;
    private final ClusterObjects objects;
    private final String namespace;
    private final Map<String, String> selector;
    private final ServerSocket listener;
    private final ScheduledExecutorService network = Executors.newSingleThreadScheduledExecutor(
            task -> Thread.ofPlatform().daemon().name("local-service").unstarted(task));
    private final Runnable stopListening;
    private final AtomicInteger turn = new AtomicInteger();
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private volatile List<Integer> endpoints = List.of();

    LocalService(ApiServer api, LocalNode node, String namespace, Map<String, String> selector, int port)
            throws IOException {
        this.node = node;
        this.objects = new ClusterObjects(api, "local-service");
        this.namespace = namespace;
        this.selector = Map.copyOf(selector);
        listener = new ServerSocket(port, BACKLOG, InetAddress.getByName(LocalNode.ADDRESS));
        stopListening = api.store().listen(api.store().revision(), change -> {
            if (change.key().resource().equals("pods")
                    && change.key().namespace().equals(namespace)) {
                refreshSoon();
            }
        });
        refresh();
        Thread.ofVirtual().name("local-service").start(this::accept);
    }

    public String url() {
        return "http://%s:%d".formatted(LocalNode.ADDRESS, listener.getLocalPort());
    }

    @Override
    public void close() throws IOException {
        stopListening.run();
        network.shutdownNow();
        listener.close();
        for (Socket socket : open) {
            socket.close();
        }
    }

    private void refreshSoon() {
        try {
            network.schedule(this::refresh, LAG.toMillis(), TimeUnit.MILLISECONDS);
        } catch (RejectedExecutionException closed) {
            // Nobody connects any more.
        }
    }

    private void refresh() {
        endpoints = objects.list(ResourceTypes.PODS, Pod.class, namespace).stream()
                .filter(pod -> pod.getMetadata().getLabels().entrySet().containsAll(selector.entrySet()))
                .filter(pod -> PodFacts.isReady(pod) && !PodFacts.isTerminating(pod))
                .map(pod -> node.port(namespace, pod.getMetadata().getName()))
                .flatMap(Optional::stream)
                .toList();
    }

    private void accept() {
        while (!listener.isClosed()) {
            try {
                Socket client = listener.accept();
                open.add(client);
                Thread.ofVirtual().start(() -> forward(client));
            } catch (IOException closed) {
                return;
            }
        }
    }

    /** Without a ready pod, or with one that no longer listens, the connection is closed: the client sees it refused. */
    private void forward(Socket client) {
        List<Integer> now = endpoints;
        try (client) {
            if (now.isEmpty()) {
                client.setSoLinger(true, 0); // a reset, as from a Service without endpoints
                return;
            }
            try (Socket server =
                    new Socket(LocalNode.ADDRESS, now.get(Math.floorMod(turn.getAndIncrement(), now.size())))) {
                open.add(server);
                Thread back = Thread.ofVirtual().start(() -> pump(server, client));
                pump(client, server);
                back.join();
                open.remove(server);
            } catch (IOException gone) {
                client.setSoLinger(true, 0);
            }
        } catch (IOException clientGone) {
            // It is the client's business to notice.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            open.remove(client);
        }
    }

    private static void pump(Socket from, Socket to) {
        try {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            in.transferTo(out);
            to.shutdownOutput();
        } catch (IOException broken) {
            closeBoth(from, to);
        }
    }

    private static void closeBoth(Socket one, Socket other) {
        try (one;
                other) {
            one.setSoLinger(true, 0);
            other.setSoLinger(true, 0);
        } catch (IOException closedAlready) {
            // That is what was wanted.
        }
    }
}
