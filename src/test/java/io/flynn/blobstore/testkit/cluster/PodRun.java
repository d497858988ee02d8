package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.ContainerState;
import io.fabric8.kubernetes.api.model.ContainerStateBuilder;
import io.fabric8.kubernetes.api.model.ContainerStatusBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodCondition;
import io.fabric8.kubernetes.api.model.PodConditionBuilder;
import io.fabric8.kubernetes.api.model.PodStatus;
import io.fabric8.kubernetes.api.model.PodStatusBuilder;
import io.fabric8.kubernetes.api.model.Probe;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * The life of one pod on the node: waiting for what it refers to, running, restarted if it is to be, ended.
 *
 * <p>{@link #run} blocks a thread of its own for as long as that takes; everything else may be called from any thread and returns at once.
 */
final class PodRun {

    /** How long a container that ended is waited with before it starts again; doubles up to {@link #RESTART_MAX}. */
    private static final Duration RESTART_MIN = Duration.ofMillis(250);

    private static final Duration RESTART_MAX = Duration.ofSeconds(10);

    /** Until a container was ready once it is asked more often than its probe says: only the start is faster by it. */
    private static final Duration FIRST_PROBES = Duration.ofMillis(200);

    /** Kubernetes keeps no more of a termination message. */
    private static final int MESSAGE_BYTES_MAX = 4096;

    private static final int MESSAGE_FROM_LOG_BYTES_MAX = 2048;

    private final LocalNode node;
    private final ClusterObjects objects;
    private final Pod pod;
    private final Container container;
    private final PodDirectory directory;
    private final int port;
    private final String startTime = now();

    private final Object lock = new Object();
    private int wakings;
    private boolean ending;
    private boolean evicted;
    private Optional<Process> process = Optional.empty();
    private int restarts;
    private boolean ready;
    private ContainerState lastState = new ContainerState();

    /** @param port where the container is told to listen */
    PodRun(LocalNode node, ClusterObjects objects, Pod pod, Path root, int port) {
        this.node = node;
        this.objects = objects;
        this.pod = pod;
        this.container = pod.getSpec().getContainers().getFirst();
        this.directory = new PodDirectory(root);
        this.port = port;
    }

    Pod pod() {
        return pod;
    }

    int port() {
        return port;
    }

    void run() throws InterruptedException {
        ContainerState last = live();
        if (node.isClosed()) {
            return;
        }
        ready = false;
        report(phase(last), last);
        if (isEnding()) {
            objects.deleteAtOnce(pod);
        }
    }

    /** Something that a waiting container may refer to, or a running one has mounted, has changed. */
    void wake() {
        synchronized (lock) {
            wakings++;
            lock.notifyAll();
        }
        if (current().filter(Process::isAlive).isPresent()) {
            Thread.ofVirtual().name("volumes-" + pod.getMetadata().getName()).start(this::refreshVolumes);
        }
    }

    private void refreshVolumes() {
        try {
            directory.mount(objects, pod, container);
        } catch (ContainerWaits e) {
            // The kubelet too leaves what it wrote before.
        }
    }

    /** The node is gone: what is killed now is not started again. */
    void abandon() {
        synchronized (lock) {
            ending = true;
            lock.notifyAll();
        }
    }

    /** SIGTERM, after the hook if there is one, and SIGKILL when the grace is over. */
    void end(Duration grace) {
        synchronized (lock) {
            if (ending) {
                return;
            }
            ending = true;
            lock.notifyAll();
        }
        Thread.ofVirtual().name("end-" + pod.getMetadata().getName()).start(() -> {
            try {
                long deadline = System.nanoTime() + grace.toNanos();
                Thread.sleep(preStop().compareTo(grace) < 0 ? preStop() : grace);
                Optional<Process> running = current();
                running.ifPresent(Process::destroy);
                if (running.isPresent()
                        && !running.get().waitFor(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS)) {
                    kill();
                }
            } catch (InterruptedException e) {
                kill();
            }
        });
    }

    /** As eviction from a node that is drained: the pod says that it was not its fault. */
    void evict() {
        synchronized (lock) {
            evicted = true;
        }
        objects.delete(ResourceTypes.PODS, pod);
    }

    /** SIGKILL, as from the kernel. */
    void kill() {
        current().ifPresent(Process::destroyForcibly);
    }

    /** Empty until the container has started once. */
    Optional<String> log() {
        Path log;
        synchronized (lock) {
            log = directory.log(restarts);
            if (!Files.exists(log) && restarts > 0) {
                log = directory.log(restarts - 1);
            }
        }
        return Files.exists(log) ? Optional.of(read(log)) : Optional.empty();
    }

    /** Until the container has ended for the last time; how it ended. */
    private ContainerState live() throws InterruptedException {
        Duration backoff = RESTART_MIN;
        while (true) {
            int seen = wakings();
            ContainerState state;
            try {
                state = runOnce();
            } catch (ContainerWaits e) {
                state = waiting(e.reason(), e.getMessage());
                report("Pending", state);
                awaitWaking(seen);
                if (isEnding()) {
                    return state;
                }
                continue;
            }
            if (isEnding() || !restarts()) {
                return state;
            }
            lastState = state;
            synchronized (lock) {
                restarts++;
            }
            report("Running", waiting("CrashLoopBackOff", "back-off %d ms".formatted(backoff.toMillis())));
            awaitEnding(backoff);
            if (isEnding()) {
                return state;
            }
            backoff = backoff.multipliedBy(2).compareTo(RESTART_MAX) < 0 ? backoff.multipliedBy(2) : RESTART_MAX;
        }
    }

    private boolean restarts() {
        return pod.getSpec().getRestartPolicy().equals("Always");
    }

    private ContainerState runOnce() throws ContainerWaits, InterruptedException {
        refuseWhatIsNotImplemented();
        List<String> image = node.image(container.getImage());
        Map<String, String> environment = new HashMap<>(ContainerEnvironment.of(objects, pod, container));
        directory.mount(objects, pod, container);
        List<String> command = new ArrayList<>(image);
        container
                .getArgs()
                .forEach(argument -> command.add(directory.localPath(Expansion.expand(argument, environment))));
        environment.replaceAll((name, value) -> directory.localPath(value));
        environment.put("HOSTNAME", pod.getMetadata().getName());
        environment.put("BLOBSTORE_REPORT", directory.report(restarts).toString());
        if (!container.getPorts().isEmpty()) {
            environment.put("PORT", String.valueOf(port));
        }
        return runProcess(command, environment);
    }

    private void refuseWhatIsNotImplemented() throws ContainerWaits {
        if (pod.getSpec().getContainers().size() > 1
                || !pod.getSpec().getInitContainers().isEmpty()) {
            throw ContainerWaits.notImplemented("more than one container in a pod");
        }
        if (!container.getCommand().isEmpty()) {
            throw ContainerWaits.notImplemented("a command of the container's own: images are mapped to commands");
        }
        if (container.getPorts().size() > 1) {
            throw ContainerWaits.notImplemented("more than one port of a container");
        }
        if (container.getLifecycle() != null
                && (container.getLifecycle().getPostStart() != null
                        || container.getLifecycle().getPreStop().getSleep() == null)) {
            throw ContainerWaits.notImplemented("hooks other than a sleep before the stop");
        }
        Probes.check(container);
    }

    private ContainerState runProcess(List<String> command, Map<String, String> environment)
            throws ContainerWaits, InterruptedException {
        Process started;
        String startedAt = now();
        synchronized (lock) {
            if (ending) {
                return waiting("ContainerCreating", "");
            }
            try {
                ProcessBuilder builder = new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(directory.log(restarts).toFile());
                builder.environment().clear();
                builder.environment().putAll(environment);
                Files.createFile(directory.report(restarts));
                started = builder.start();
            } catch (IOException e) {
                throw ContainerWaits.start(e.getMessage());
            }
            process = Optional.of(started);
        }
        node.started(started);
        ContainerState running = new ContainerStateBuilder()
                .withNewRunning()
                .withStartedAt(startedAt)
                .endRunning()
                .build();
        ready = container.getReadinessProbe() == null;
        report("Running", running);
        Thread prober = Thread.ofVirtual().start(() -> probe(started, running));
        int code = started.waitFor();
        prober.interrupt();
        prober.join();
        ready = false;
        return new ContainerStateBuilder()
                .withNewTerminated()
                .withExitCode(code)
                .withReason(code == 0 ? "Completed" : "Error")
                .withMessage(terminationMessage(code))
                .withStartedAt(startedAt)
                .withFinishedAt(now())
                .endTerminated()
                .build();
    }

    private void probe(Process started, ContainerState running) {
        Optional<Probe> readiness = Optional.ofNullable(container.getReadinessProbe());
        Optional<Probe> liveness = Optional.ofNullable(container.getLivenessProbe());
        try {
            // One after the other would let a slow one delay the other: each has a thread.
            Thread alive = Thread.ofVirtual().start(() -> liveness.ifPresent(probe -> watchLife(started, probe)));
            try {
                readiness.ifPresent(probe -> watchReadiness(probe, running));
                alive.join();
            } finally {
                alive.interrupt();
            }
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }

    private void watchReadiness(Probe probe, ContainerState running) {
        try {
            sleepSeconds(probe.getInitialDelaySeconds());
            int failures = 0;
            boolean wasReady = false;
            while (true) {
                boolean succeeded = node.probes().succeeds(probe, container, port);
                failures = succeeded ? 0 : failures + 1;
                boolean next = succeeded || (ready && failures < probe.getFailureThreshold());
                if (next != ready) {
                    ready = next;
                    report("Running", running);
                }
                wasReady |= succeeded;
                Duration period = Duration.ofSeconds(probe.getPeriodSeconds());
                Thread.sleep(!wasReady && FIRST_PROBES.compareTo(period) < 0 ? FIRST_PROBES : period);
            }
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }

    private void watchLife(Process started, Probe probe) {
        try {
            sleepSeconds(probe.getInitialDelaySeconds());
            int failures = 0;
            while (failures < probe.getFailureThreshold()) {
                failures = node.probes().succeeds(probe, container, port) ? 0 : failures + 1;
                Thread.sleep(Duration.ofSeconds(probe.getPeriodSeconds()));
            }
            started.destroy();
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }

    private static void sleepSeconds(Integer seconds) throws InterruptedException {
        if (seconds != null) {
            Thread.sleep(Duration.ofSeconds(seconds));
        }
    }

    private Duration preStop() {
        return container.getLifecycle() == null
                ? Duration.ZERO
                : Duration.ofSeconds(
                        container.getLifecycle().getPreStop().getSleep().getSeconds());
    }

    private String terminationMessage(int code) {
        Path report = directory.report(restarts);
        String message = first(Files.exists(report) ? read(report) : "", MESSAGE_BYTES_MAX);
        boolean fromLog = message.isEmpty()
                && code != 0
                && container.getTerminationMessagePolicy().equals("FallbackToLogsOnError");
        if (!fromLog) {
            return message;
        }
        byte[] log = read(directory.log(restarts)).getBytes(StandardCharsets.UTF_8);
        int from = Math.max(0, log.length - MESSAGE_FROM_LOG_BYTES_MAX);
        return new String(log, from, log.length - from, StandardCharsets.UTF_8);
    }

    private String phase(ContainerState last) {
        if (last.getTerminated() == null) {
            return isEnding() ? "Failed" : "Pending";
        }
        return last.getTerminated().getExitCode() == 0 ? "Succeeded" : "Failed";
    }

    private synchronized void report(String phase, ContainerState state) {
        boolean running = phase.equals("Running");
        List<PodCondition> conditions = new ArrayList<>(List.of(
                condition("PodScheduled", true),
                condition("Initialized", true),
                condition("ContainersReady", running && ready),
                condition("Ready", running && ready)));
        synchronized (lock) {
            if (evicted) {
                conditions.add(new PodConditionBuilder()
                        .withType("DisruptionTarget")
                        .withStatus("True")
                        .withReason("EvictionByEvictionAPI")
                        .withLastTransitionTime(now())
                        .build());
            }
        }
        PodStatus status = new PodStatusBuilder()
                .withPhase(phase)
                .withStartTime(startTime)
                .withHostIP(LocalNode.ADDRESS)
                .withPodIP(LocalNode.ADDRESS)
                .addNewPodIP(LocalNode.ADDRESS)
                .withConditions(conditions)
                .withContainerStatuses(new ContainerStatusBuilder()
                        .withName(container.getName())
                        .withImage(container.getImage())
                        .withImageID(container.getImage())
                        .withReady(running && ready)
                        .withStarted(running)
                        .withRestartCount(restarts)
                        .withState(state)
                        .withLastState(lastState)
                        .build())
                .build();
        objects.writeStatus(ResourceTypes.PODS, pod, status);
    }

    private static PodCondition condition(String type, boolean is) {
        return new PodConditionBuilder()
                .withType(type)
                .withStatus(is ? "True" : "False")
                .build();
    }

    private static ContainerState waiting(String reason, String message) {
        return new ContainerStateBuilder()
                .withNewWaiting()
                .withReason(reason)
                .withMessage(message)
                .endWaiting()
                .build();
    }

    private int wakings() {
        synchronized (lock) {
            return wakings;
        }
    }

    private void awaitWaking(int seen) throws InterruptedException {
        synchronized (lock) {
            while (wakings == seen && !ending) {
                lock.wait();
            }
        }
    }

    private void awaitEnding(Duration atMost) throws InterruptedException {
        synchronized (lock) {
            if (!ending) {
                lock.wait(atMost.toMillis());
            }
        }
    }

    private boolean isEnding() {
        synchronized (lock) {
            return ending;
        }
    }

    private Optional<Process> current() {
        synchronized (lock) {
            return process;
        }
    }

    private static String first(String text, int bytes) {
        byte[] all = text.getBytes(StandardCharsets.UTF_8);
        return new String(all, 0, Math.min(bytes, all.length), StandardCharsets.UTF_8);
    }

    /** Not every program writes UTF-8 to its end: what can't be read is replaced, not refused. */
    private static String read(Path file) {
        try {
            return new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String now() {
        return Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
    }
}
