package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodConditionBuilder;
import io.fabric8.kubernetes.api.model.PodStatusBuilder;
import io.flynn.blobstore.testkit.Folders;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A node that runs each pod's container as a local process: same arguments, same environment, same signals, same exit codes, no isolation.
 *
 * <p>An image is the command that it is mapped to. All pods share {@code 127.0.0.1}: a container that declares a port is told by {@code PORT} to listen on another one,
 * which its probes are sent to and {@link #port} names. {@code BLOBSTORE_REPORT} names the file of the termination message. What of a pod
 * is not implemented keeps its container waiting, with a message that says so. Security contexts, resources and affinities mean nothing to a local process.
 *
 * <p>Thread-safe. Its processes end with it, and with the JVM.
 */
public final class LocalNode implements AutoCloseable, PodLogs {

    static final String NAME = "local-node";
    static final String ADDRESS = "127.0.0.1";

    private final ClusterObjects objects;
    private final Map<String, List<String>> images;
    private final Path root;
    private final Probes probes = new Probes();
    private final Map<ObjectStore.Key, PodRun> runs = new ConcurrentHashMap<>();
    private final Set<Process> processes = ConcurrentHashMap.newKeySet();
    private final WorkQueue queue;
    private final Runnable stopListening;
    private volatile boolean closed;
    private final Thread lastResort = new Thread(this::killAll);

    LocalNode(ApiServer api, Map<String, List<String>> images) throws IOException {
        this.objects = new ClusterObjects(api, "kubelet");
        this.images = Map.copyOf(images);
        this.root = Files.createTempDirectory("local-node");
        Runtime.getRuntime().addShutdownHook(lastResort);
        queue = new WorkQueue("local-node", this::reconcile);
        synchronized (api.store()) {
            stopListening = api.store().listen(api.store().revision(), this::noteChange);
            api.store().keys().stream()
                    .filter(key -> key.resource().equals("pods"))
                    .forEach(queue::add);
        }
    }

    /** Where the pod's container listens; empty if the node doesn't have that pod. */
    public Optional<Integer> port(String namespace, String pod) {
        return run(namespace, pod).map(PodRun::port);
    }

    /**
     * Kills the pod's process as the kernel would (SIGKILL).
     *
     * @throws IllegalArgumentException if the node doesn't have that pod
     */
    public void kill(String namespace, String pod) {
        known(namespace, pod).kill();
    }

    /**
     * Evicts the pod as a drained node does: deleted, with the condition {@code DisruptionTarget}.
     *
     * @throws IllegalArgumentException if the node doesn't have that pod
     */
    public void evict(String namespace, String pod) {
        known(namespace, pod).evict();
    }

    @Override
    public Optional<String> read(String namespace, String pod, String container) {
        return run(namespace, pod).flatMap(PodRun::log);
    }

    /** Kills what runs, and deletes its files; the pods are not told. */
    @Override
    public void close() {
        stopListening.run();
        killAll();
        Runtime.getRuntime().removeShutdownHook(lastResort);
        queue.close();
        processes.forEach(process -> process.onExit().join());
        try {
            Folders.delete(root);
        } catch (IOException | UncheckedIOException e) {
            // A volume may be written anew at this instant: rubbish in the machine's folder for temporary files,
            // nothing else.
        }
    }

    List<String> image(String name) throws ContainerWaits {
        List<String> command = images.get(name);
        if (command == null) {
            throw ContainerWaits.image(name);
        }
        return command;
    }

    boolean isClosed() {
        return closed;
    }

    Probes probes() {
        return probes;
    }

    /** From now on it ends with the node. */
    void started(Process process) {
        processes.add(process);
        if (closed) {
            process.destroyForcibly();
        }
        process.onExit().thenRun(() -> processes.remove(process));
    }

    private void noteChange(ObjectStore.Change change) {
        switch (change.key().resource()) {
            case "pods" -> queue.add(change.key());
            case "secrets", "configmaps" ->
                runs.forEach((key, run) -> {
                    if (key.namespace().equals(change.key().namespace())) {
                        run.wake();
                    }
                });
            default -> {}
        }
    }

    private void reconcile(ObjectStore.Key key) {
        if (closed) {
            return;
        }
        Optional<Pod> found = objects.find(ResourceTypes.PODS, Pod.class, key.namespace(), key.name());
        Optional<PodRun> run = Optional.ofNullable(runs.get(key));
        boolean replaced = run.isPresent()
                && !found.map(pod -> pod.getMetadata().getUid())
                        .equals(Optional.of(run.get().pod().getMetadata().getUid()));
        if (replaced) {
            run.get().end(Duration.ZERO);
            runs.remove(key);
            run = Optional.empty();
        }
        if (found.isEmpty()) {
            return;
        }
        Pod pod = found.get();
        if (run.isPresent() && PodFacts.isTerminating(pod)) {
            run.get().end(Duration.ofSeconds(pod.getMetadata().getDeletionGracePeriodSeconds()));
        } else if (run.isEmpty() && !PodFacts.isTerminating(pod) && !PodFacts.isFinished(pod)) {
            take(key, pod);
        }
    }

    private void take(ObjectStore.Key key, Pod pod) {
        Map<String, String> wanted = pod.getSpec().getNodeSelector();
        if (wanted != null && !wanted.isEmpty() && !wanted.equals(Map.of("kubernetes.io/os", "linux"))) {
            objects.writeStatus(ResourceTypes.PODS, pod, unschedulable());
            return;
        }
        objects.edit(
                Target.of(ResourceTypes.PODS, key.namespace(), key.name()),
                tree -> ((ObjectNode) tree.get("spec")).put("nodeName", NAME));
        PodRun run =
                new PodRun(this, objects, pod, root.resolve(pod.getMetadata().getUid()), freePort());
        runs.put(key, run);
        Thread.ofVirtual().name("pod-" + key.name()).start(() -> {
            try {
                run.run();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
    }

    private static io.fabric8.kubernetes.api.model.PodStatus unschedulable() {
        return new PodStatusBuilder()
                .withPhase("Pending")
                .withConditions(new PodConditionBuilder()
                        .withType("PodScheduled")
                        .withStatus("False")
                        .withReason("Unschedulable")
                        .withMessage("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")
                        .build())
                .build();
    }

    private Optional<PodRun> run(String namespace, String pod) {
        return Optional.ofNullable(runs.get(ObjectStore.Key.of(ResourceTypes.PODS, namespace, pod)));
    }

    private PodRun known(String namespace, String pod) {
        return run(namespace, pod)
                .orElseThrow(() -> new IllegalArgumentException("no pod %s/%s here".formatted(namespace, pod)));
    }

    private void killAll() {
        closed = true;
        runs.values().forEach(PodRun::abandon);
        processes.forEach(Process::destroyForcibly);
    }

    private static int freePort() {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
