package io.flynn.blobstore.operate;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fabric8.kubernetes.api.model.ContainerState;
import io.fabric8.kubernetes.api.model.ContainerStateBuilder;
import io.fabric8.kubernetes.api.model.ContainerStatusBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodStatus;
import io.fabric8.kubernetes.api.model.PodStatusBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import io.fabric8.kubernetes.client.informers.SharedIndexInformer;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import java.net.HttpURLConnection;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * Stands in for the kubelet and the worker at once: says of each worker's pod what a test wants to have happened in it. It writes pods'
 * statuses only, so it works with any API server; Jobs are the Job controller's.
 */
final class ScriptedNode implements AutoCloseable {

    /** What becomes of one pod. */
    sealed interface Turn {

        /** Its container ends so, saying this. */
        record Ends(int exitCode, String message) implements Turn {}

        /** It works until it is stopped. */
        record Works() implements Turn {}

        /** Its container can't be started. */
        record Waits(String reason, String message) implements Turn {}
    }

    private final KubernetesClient client;
    private final Map<Stage, Deque<Turn>> turns = new EnumMap<>(Stage.class);
    private final List<String> seen = new CopyOnWriteArrayList<>();
    private final SharedIndexInformer<Pod> pods;

    ScriptedNode(KubernetesClient client) {
        this.client = client;
        pods = client.pods().withLabel(Labels.COMPONENT, Labels.WORKER).inform(new ResourceEventHandler<>() {
            @Override
            public void onAdd(Pod pod) {
                play(pod);
            }

            @Override
            public void onUpdate(Pod before, Pod after) {}

            @Override
            public void onDelete(Pod pod, boolean finalStateUnknown) {}
        });
    }

    /** The next pods of {@code stage}, in order; those after them end well. */
    synchronized ScriptedNode on(Stage stage, Turn... next) {
        turns.computeIfAbsent(stage, same -> new ArrayDeque<>()).addAll(List.of(next));
        return this;
    }

    /** The stages whose pods were seen, in order. */
    List<String> stages() {
        return List.copyOf(seen);
    }

    /** Lets a pod that works, or can't start, end. */
    void end(Stage stage, Turn.Ends how) {
        pods.getStore().list().stream()
                .filter(pod -> pod.getMetadata().getLabels().get(Labels.STAGE).equals(stage.word()))
                .filter(pod -> client.resource(pod).get() != null)
                .filter(pod -> !List.of("Succeeded", "Failed")
                        .contains(client.resource(pod).get().getStatus().getPhase()))
                .forEach(pod -> write(pod, status(pod, how)));
    }

    /** Lets only those end whose container runs. */
    void endThatWorks(Stage stage, Turn.Ends how) {
        pods.getStore().list().stream()
                .filter(pod -> pod.getMetadata().getLabels().get(Labels.STAGE).equals(stage.word()))
                .filter(pod -> client.resource(pod).get() != null)
                .filter(pod ->
                        "Running".equals(client.resource(pod).get().getStatus().getPhase()))
                .forEach(pod -> write(pod, status(pod, how)));
    }

    @Override
    public void close() {
        pods.close();
    }

    static Turn.Ends ends(
            Stage stage, ExitCode outcome, String reason, Map<Figure, Long> figures, Finding... findings) {
        StageReport report = new StageReport(
                stage, outcome, reason, "%s says so".formatted(stage.word()), "", figures, List.of(findings));
        try {
            return new Turn.Ends(outcome.value(), new ObjectMapper().writeValueAsString(report));
        } catch (JsonProcessingException failure) {
            throw new AssertionError(failure);
        }
    }

    static Turn.Ends ends(Stage stage, ExitCode outcome, String reason) {
        return ends(stage, outcome, reason, Map.of());
    }

    private synchronized void play(Pod pod) {
        Stage stage =
                Stage.valueOf(pod.getMetadata().getLabels().get(Labels.STAGE).toUpperCase(Locale.ROOT));
        seen.add(stage.word());
        Deque<Turn> script = turns.getOrDefault(stage, new ArrayDeque<>());
        Turn turn = script.isEmpty() ? ends(stage, ExitCode.DONE, "Done") : script.poll();
        write(pod, status(pod, turn));
    }

    private void write(Pod pod, PodStatus status) {
        try {
            client.resource(pod).editStatus(live -> {
                live.setStatus(status);
                return live;
            });
        } catch (KubernetesClientException failure) {
            switch (failure.getCode()) {
                case HttpURLConnection.HTTP_NOT_FOUND -> {}
                // Its Job's controller changed it in between.
                case HttpURLConnection.HTTP_CONFLICT -> write(pod, status);
                default -> throw failure;
            }
        }
    }

    private static PodStatus status(Pod pod, Turn turn) {
        String now = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
        String phase = switch (turn) {
            case Turn.Ends ends -> ends.exitCode() == 0 ? "Succeeded" : "Failed";
            case Turn.Works works -> "Running";
            case Turn.Waits waits -> "Pending";
        };
        ContainerState state = switch (turn) {
            case Turn.Ends ends ->
                new ContainerStateBuilder()
                        .withNewTerminated()
                        .withExitCode(ends.exitCode())
                        .withReason(ends.exitCode() == 0 ? "Completed" : "Error")
                        .withMessage(ends.message())
                        .withStartedAt(now)
                        .withFinishedAt(now)
                        .endTerminated()
                        .build();
            case Turn.Works works ->
                new ContainerStateBuilder().withNewRunning(now).build();
            case Turn.Waits waits ->
                new ContainerStateBuilder()
                        .withNewWaiting(waits.message(), waits.reason())
                        .build();
        };
        String container = pod.getSpec().getContainers().getFirst().getName();
        return new PodStatusBuilder()
                .withPhase(phase)
                .withStartTime(now)
                .addToContainerStatuses(new ContainerStatusBuilder()
                        .withName(container)
                        .withImage("worker")
                        .withImageID("worker")
                        .withReady(false)
                        .withRestartCount(0)
                        .withState(state)
                        .build())
                .build();
    }
}
