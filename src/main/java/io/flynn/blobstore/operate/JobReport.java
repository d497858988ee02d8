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
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageRun;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Makes one {@link StageRun} of a Job and its pods. Pure. */
final class JobReport {

    /** What a container waits for while all is well. */
    private static final Set<String> STARTING = Set.of("ContainerCreating", "PodInitializing");

    /** Kubernetes repeats itself in these; the beginning says it. */
    private static final int MESSAGE_LENGTH_MAX = 512;

    /** Counted by each worker of what it did itself. */
    private static final Set<Figure> PARTS =
            Set.of(Figure.COPIED_BLOBS, Figure.COPIED_BYTES, Figure.UPLOADS, Figure.SETTLED_BLOBS);

    private JobReport() {}

    /**
     * @param job as last seen
     * @param stage that it was made for
     * @param pods of the Job's namespace; those of others are left out
     */
    static StageRun of(Job job, Stage stage, List<Pod> pods) {
        List<Pod> newestFirst = pods.stream()
                .filter(pod -> isOf(job, pod))
                .sorted(Comparator.comparing((Pod pod) -> pod.getMetadata().getCreationTimestamp())
                        .thenComparing(pod -> pod.getMetadata().getName())
                        .reversed())
                .toList();
        return finished(job)
                .map(how -> ended(how, job, stage, newestFirst))
                .or(() -> doneWithoutThoseThatNeverCame(job, stage, newestFirst))
                .orElseGet(() -> running(job, stage, newestFirst));
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

    private static StageRun ended(JobCondition how, Job job, Stage stage, List<Pod> newestFirst) {
        Optional<Pod> newest = newestFirst.stream().findFirst();
        return done(job, stage, newestFirst)
                .or(() -> "Complete".equals(how.getType()) ? Optional.empty() : failed(job, stage, newestFirst))
                .<StageRun>map(StageRun.Ended::new)
                .orElseGet(() -> new StageRun.Lost(lost(how, job, newest)));
    }

    /**
     * Who is done has seen that nothing is left for anybody, so one such word is enough, whatever became of the others.
     */
    private static Optional<StageReport> done(Job job, Stage stage, List<Pod> newestFirst) {
        List<StageReport> reports = newestFirst.stream()
                .flatMap(pod -> report(job, stage, pod).stream())
                .toList();
        Optional<StageReport> done = reports.stream()
                .filter(report -> report.outcome() == ExitCode.DONE)
                .findFirst();
        return StageJob.isWorkQueue(job) && reports.size() > 1 ? done.map(one -> ofAll(one, reports)) : done;
    }

    /** What is left and what is wrong is what the last one saw; of what was done each tells its part, unless it died. */
    private static StageReport ofAll(StageReport last, List<StageReport> all) {
        Map<Figure, Long> figures = new EnumMap<>(Figure.class);
        figures.putAll(last.figures());
        for (Figure part : PARTS) {
            figures.computeIfPresent(
                    part,
                    (figure, own) -> all.stream()
                            .mapToLong(report -> report.figure(figure).orElse(0))
                            .sum());
        }
        return new StageReport(
                last.stage(),
                last.outcome(),
                last.reason(),
                "%d pods copied at least %d blobs, and none is left"
                        .formatted(all.size(), figures.getOrDefault(Figure.COPIED_BLOBS, 0L)),
                last.identity(),
                figures,
                last.findings());
    }

    /** The word of one whom no retry can help is why its Job stopped the others; else the newest pod's counts. */
    private static Optional<StageReport> failed(Job job, Stage stage, List<Pod> newestFirst) {
        return newestFirst.stream()
                .flatMap(pod -> report(job, stage, pod).stream())
                .filter(report -> report.outcome() == ExitCode.FAILED || report.outcome() == ExitCode.USAGE)
                .findFirst()
                .or(() -> newestFirst.stream().findFirst().flatMap(pod -> report(job, stage, pod)));
    }

    /**
     * Kubernetes starts no pod of a work queue any more once one has succeeded, but waits for those that it has made: also for one that
     * finds no place to run, or whose node is gone. Nothing is left for them to do.
     */
    private static Optional<StageRun> doneWithoutThoseThatNeverCame(Job job, Stage stage, List<Pod> newestFirst) {
        List<Pod> notOver =
                newestFirst.stream().filter(pod -> isNotOver(job, pod)).toList();
        return StageJob.isWorkQueue(job)
                        && !notOver.isEmpty()
                        && notOver.stream()
                                .allMatch(
                                        pod -> pod.getMetadata().getDeletionTimestamp() != null || !isWorking(job, pod))
                ? done(job, stage, newestFirst).map(StageRun.Ended::new)
                : Optional.empty();
    }

    private static boolean isNotOver(Job job, Pod pod) {
        String phase = pod.getStatus() == null ? null : pod.getStatus().getPhase();
        return !"Succeeded".equals(phase)
                && !"Failed".equals(phase)
                && terminated(job, pod).isEmpty();
    }

    private static boolean isWorking(Job job, Pod pod) {
        return state(job, pod).map(ContainerState::getRunning).isPresent();
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

    private static StageRun running(Job job, Stage stage, List<Pod> newestFirst) {
        if (newestFirst.isEmpty()) {
            return new StageRun.Running(
                    Reasons.POD_NOT_STARTED,
                    "Job %s has no pod yet".formatted(job.getMetadata().getName()));
        }
        String plainly = "the %s stage is running".formatted(stage.word());
        long working = newestFirst.stream()
                .filter(pod -> isNotOver(job, pod) && isWorking(job, pod))
                .count();
        int wanted = job.getSpec().getParallelism();
        if (working > 0 && wanted == 1) {
            return new StageRun.Running(Reasons.RUNNING, plainly);
        }
        if (working > 0) {
            String together = working >= wanted
                    ? "%s in %d pods".formatted(plainly, wanted)
                    : "%s in %d of %d pods".formatted(plainly, working, wanted);
            return new StageRun.Running(
                    Reasons.RUNNING,
                    newestFirst.stream()
                            .flatMap(pod -> hindrance(job, stage, pod).stream())
                            .filter(other -> working < wanted)
                            .findFirst()
                            .map(other -> clipped("%s; %s".formatted(together, other.message())))
                            .orElse(together));
        }
        return hindrance(job, stage, newestFirst.getFirst())
                .orElseGet(() -> new StageRun.Running(Reasons.RUNNING, plainly));
    }

    /** Why this pod doesn't work, if it is to be tried again or can't be started. */
    private static Optional<StageRun.Running> hindrance(Job job, Stage stage, Pod pod) {
        return report(job, stage, pod)
                .filter(report -> report.outcome() == ExitCode.RETRY)
                .map(report -> new StageRun.Running(report.reason(), report.message()))
                .or(() -> obstacle(job, pod)
                        .map(message -> new StageRun.Running(Reasons.POD_NOT_STARTED, clipped(message))));
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
