package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.ContainerState;
import io.fabric8.kubernetes.api.model.ContainerStateTerminated;
import io.fabric8.kubernetes.api.model.ContainerStateWaiting;
import io.fabric8.kubernetes.api.model.ContainerStatus;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodCondition;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobCondition;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageRun;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Makes one {@link StageRun} of a Job and its pods. Pure. */
final class JobReport {

    /** What a container waits for while all is well. */
    private static final Set<String> STARTING = Set.of("ContainerCreating", "PodInitializing");

    /** Kubernetes repeats itself in these; the beginning says it. */
    private static final int MESSAGE_LENGTH_MAX = 512;

    private JobReport() {}

    /**
     * @param job as last seen
     * @param stage that it was made for
     * @param pods of the Job's namespace; those of others are left out
     */
    static StageRun of(Job job, Stage stage, List<Pod> pods) {
        Optional<Pod> newest = pods.stream()
                .filter(pod -> isOf(job, pod))
                .max(Comparator.comparing((Pod pod) -> pod.getMetadata().getCreationTimestamp())
                        .thenComparing(pod -> pod.getMetadata().getName()));
        return finished(job).map(how -> ended(how, job, stage, newest)).orElseGet(() -> running(job, stage, newest));
    }

    private static boolean isOf(Job job, Pod pod) {
        return pod.getMetadata().getOwnerReferences().stream()
                .anyMatch(owner -> owner.getUid().equals(job.getMetadata().getUid()));
    }

    private static Optional<JobCondition> finished(Job job) {
        return Optional.ofNullable(job.getStatus()).stream()
                .flatMap(status -> status.getConditions().stream())
                .filter(condition -> "True".equals(condition.getStatus()))
                .filter(condition -> "Complete".equals(condition.getType()) || "Failed".equals(condition.getType()))
                .findFirst();
    }

    private static StageRun ended(JobCondition how, Job job, Stage stage, Optional<Pod> newest) {
        boolean complete = "Complete".equals(how.getType());
        return newest.flatMap(pod -> report(job, stage, pod))
                .filter(report -> complete == (report.outcome() == ExitCode.DONE))
                .<StageRun>map(StageRun.Ended::new)
                .orElseGet(() -> new StageRun.Lost(lost(how, job, newest)));
    }

    /** The report, if the container's exit code agrees: a process that said "done" and was then killed is not done. */
    private static Optional<StageReport> report(Job job, Stage stage, Pod pod) {
        return terminated(job, pod)
                .flatMap(end -> Optional.ofNullable(end.getMessage())
                        .flatMap(message -> WorkerJson.report(message, stage))
                        .filter(report -> report.outcome().value() == end.getExitCode()));
    }

    private static String lost(JobCondition how, Job job, Optional<Pod> newest) {
        String stage = job.getMetadata().getName();
        return newest.flatMap(pod -> terminated(job, pod))
                .map(end -> "Job %s ended without a valid report: its container exited with %d (%s)"
                        .formatted(stage, end.getExitCode(), said(end.getReason(), "no reason given")))
                .orElseGet(() -> "Job %s ended without a report: %s, and its pod is gone"
                        .formatted(stage, said(how.getReason(), how.getType())));
    }

    private static StageRun running(Job job, Stage stage, Optional<Pod> newest) {
        if (newest.isEmpty()) {
            return new StageRun.Running(
                    Reasons.POD_NOT_STARTED,
                    "Job %s has no pod yet".formatted(job.getMetadata().getName()));
        }
        Pod pod = newest.get();
        Optional<StageReport> failed = report(job, stage, pod);
        if (failed.isPresent() && failed.get().outcome() == ExitCode.RETRY) {
            return new StageRun.Running(failed.get().reason(), failed.get().message());
        }
        return obstacle(job, pod)
                .map(message -> new StageRun.Running(Reasons.POD_NOT_STARTED, clipped(message)))
                .orElseGet(
                        () -> new StageRun.Running(Reasons.RUNNING, "the %s stage is running".formatted(stage.word())));
    }

    private static Optional<String> obstacle(Job job, Pod pod) {
        Optional<ContainerStateWaiting> waiting = state(job, pod)
                .map(ContainerState::getWaiting)
                .filter(state -> state.getReason() != null && !STARTING.contains(state.getReason()));
        if (waiting.isPresent()) {
            return waiting.map(state -> "pod %s: %s: %s"
                    .formatted(pod.getMetadata().getName(), state.getReason(), said(state.getMessage(), "")));
        }
        return Optional.ofNullable(pod.getStatus()).stream()
                .flatMap(status -> status.getConditions().stream())
                .filter(condition ->
                        "PodScheduled".equals(condition.getType()) && "False".equals(condition.getStatus()))
                .findFirst()
                .map(condition -> unscheduled(pod, condition));
    }

    private static String unscheduled(Pod pod, PodCondition condition) {
        return "pod %s: %s: %s"
                .formatted(
                        pod.getMetadata().getName(),
                        said(condition.getReason(), "Unschedulable"),
                        said(condition.getMessage(), ""));
    }

    private static Optional<ContainerStateTerminated> terminated(Job job, Pod pod) {
        return state(job, pod).map(ContainerState::getTerminated);
    }

    /** Of our container: others may have been injected beside it. */
    private static Optional<ContainerState> state(Job job, Pod pod) {
        String name =
                job.getSpec().getTemplate().getSpec().getContainers().getFirst().getName();
        return Optional.ofNullable(pod.getStatus()).stream()
                .flatMap(status -> status.getContainerStatuses().stream())
                .filter(status -> status.getName().equals(name))
                .findFirst()
                .map(ContainerStatus::getState);
    }

    private static String said(@Nullable String text, String otherwise) {
        return text == null || text.isBlank() ? otherwise : text;
    }

    private static String clipped(String message) {
        String line = message.replaceAll("\\s+", " ").strip();
        return line.length() <= MESSAGE_LENGTH_MAX ? line : line.substring(0, MESSAGE_LENGTH_MAX - 1) + "…";
    }
}
