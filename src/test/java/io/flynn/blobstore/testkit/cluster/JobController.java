package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.node.ArrayNode;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobCondition;
import io.fabric8.kubernetes.api.model.batch.v1.JobConditionBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.JobStatus;
import io.fabric8.kubernetes.api.model.batch.v1.JobStatusBuilder;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Runs Jobs: makes their pods, counts how they end, and says how the Job ended.
 *
 * <p>As in Kubernetes each pod holds a finalizer until it is counted, so that one that is deleted in mid-run counts too; a Job that is over
 * says why ({@code SuccessCriteriaMet}, {@code FailureTarget}) before its last pods are gone, and that it is {@code Complete} or
 * {@code Failed} only after.
 */
final class JobController {

    private static final String TRACKING = "batch.kubernetes.io/job-tracking";
    private static final int BACKOFF_DOUBLINGS_MAX = 6;

    private final ClusterObjects objects;
    private final InstantSource clock;
    private final Duration backoff;
    private final WorkQueue queue;
    /** When the pods that failed last were counted, by the Job's uid. */
    private final Map<String, Instant> lastFailures = new HashMap<>();

    /** @param backoff before the second pod; doubles with each failure (in Kubernetes it is ten seconds) */
    JobController(ClusterObjects objects, InstantSource clock, Duration backoff) {
        this.objects = objects;
        this.clock = clock;
        this.backoff = backoff;
        queue = new WorkQueue("local-jobs", this::reconcile);
    }

    WorkQueue queue() {
        return queue;
    }

    /** How a Job is to end. */
    private record End(String type, String reason, String message) {

        static final End COMPLETE =
                new End("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods");

        static End failed(String reason, String message) {
            return new End("FailureTarget", reason, message);
        }

        String finalType() {
            return type.equals("SuccessCriteriaMet") ? "Complete" : "Failed";
        }
    }

    private void reconcile(ObjectStore.Key key) {
        Optional<Job> found = objects.find(ResourceTypes.JOBS, Job.class, key.namespace(), key.name());
        if (found.isEmpty()) {
            letGoOfOrphans(key.namespace());
            return;
        }
        Job job = found.get();
        JobStatus status = job.getStatus() == null ? new JobStatus() : job.getStatus();
        if (isTrue(status, "Complete") || isTrue(status, "Failed")) {
            objects.podsOf(job).forEach(this::release);
            removeWhenOld(key, job, status);
        } else if (job.getMetadata().getDeletionTimestamp() == null) {
            advance(key, job, status);
        }
    }

    private void advance(ObjectStore.Key key, Job job, JobStatus before) {
        JobStatus status = new JobStatusBuilder(before).build();
        boolean suspended = Boolean.TRUE.equals(job.getSpec().getSuspend());
        suspendOrResume(status, suspended);

        List<Pod> pods = objects.podsOf(job);
        Optional<End> end = stated(status);
        List<Pod> counted = new ArrayList<>();
        for (Pod pod : pods) {
            if (isOver(job, pod) && pod.getMetadata().getFinalizers().contains(TRACKING)) {
                Optional<End> failure = count(job, status, pod);
                end = end.or(() -> failure);
                counted.add(pod);
            }
        }
        if (end.isEmpty()) {
            end = decide(key, job, status);
        }
        boolean over = end.isPresent();
        if (over || suspended) {
            pods.stream().filter(pod -> !isOver(job, pod)).forEach(pod -> objects.delete(ResourceTypes.PODS, pod));
            pods = objects.podsOf(job);
        }
        if (!over && !suspended && removeTooMany(job, status, pods)) {
            pods = objects.podsOf(job);
        }
        // Of the pods that were counted, not of a newer look: one that ended in between would be taken for missing.
        List<Pod> running = pods.stream().filter(pod -> !isOver(job, pod)).toList();
        int active = (int)
                running.stream().filter(pod -> !PodFacts.isTerminating(pod)).count();
        if (!over && !suspended) {
            active += create(key, job, status, active, running.size());
        }
        status.setActive(active == 0 ? null : active);
        status.setTerminating(running.size()
                - (int) running.stream()
                        .filter(pod -> !PodFacts.isTerminating(pod))
                        .count());
        status.setReady((int) running.stream().filter(PodFacts::isReady).count());
        end.ifPresent(e -> conclude(status, e, running.isEmpty()));
        objects.writeStatus(ResourceTypes.JOBS, job, status);
        // Only what is in the status is counted: a pod that is let go of earlier could be lost to it.
        counted.forEach(this::release);
    }

    private void suspendOrResume(JobStatus status, boolean suspended) {
        if (suspended) {
            status.setStartTime(null);
            set(status, "Suspended", "True", "JobSuspended", "Job suspended");
        } else {
            if (isTrue(status, "Suspended")) {
                set(status, "Suspended", "False", "JobResumed", "Job resumed");
            }
            if (status.getStartTime() == null) {
                status.setStartTime(now());
            }
        }
    }

    /**
     * Whether a pod is to be counted: it ended, or it was deleted before a node had it (which Kubernetes' pod collector calls Failed), or it
     * is being deleted and the Job doesn't care how it ends.
     */
    private static boolean isOver(Job job, Pod pod) {
        return PodFacts.isFinished(pod)
                || (PodFacts.isTerminating(pod)
                        && (pod.getSpec().getNodeName() == null
                                || job.getSpec().getPodReplacementPolicy().equals("TerminatingOrFailed")));
    }

    /** Adds one ended pod to the counters; says how the Job fails if a rule of its policy says so. */
    private Optional<End> count(Job job, JobStatus status, Pod pod) {
        if (PodFacts.phase(pod).equals("Succeeded")) {
            status.setSucceeded(orZero(status.getSucceeded()) + 1);
            return Optional.empty();
        }
        PodFailurePolicies.Verdict verdict = PodFailurePolicies.judge(job, pod);
        if (verdict.action() != PodFailurePolicies.Action.IGNORE) {
            status.setFailed(orZero(status.getFailed()) + 1);
            lastFailures.put(job.getMetadata().getUid(), clock.instant());
        }
        return verdict.action() == PodFailurePolicies.Action.FAIL_JOB
                ? Optional.of(End.failed("PodFailurePolicy", verdict.message()))
                : Optional.empty();
    }

    private Optional<End> decide(ObjectStore.Key key, Job job, JobStatus status) {
        if (orZero(status.getFailed()) > job.getSpec().getBackoffLimit()) {
            return Optional.of(End.failed("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
        }
        if (job.getSpec().getActiveDeadlineSeconds() != null && status.getStartTime() != null) {
            Instant deadline = Instant.parse(status.getStartTime())
                    .plusSeconds(job.getSpec().getActiveDeadlineSeconds());
            Duration left = Duration.between(clock.instant(), deadline);
            if (!left.isPositive()) {
                return Optional.of(End.failed("DeadlineExceeded", "Job was active longer than specified deadline"));
            }
            queue.addAfter(key, left);
        }
        Integer completions = job.getSpec().getCompletions();
        boolean reached = completions == null
                ? orZero(status.getSucceeded()) > 0 && orZero(status.getActive()) == 0
                : orZero(status.getSucceeded()) >= completions;
        return reached ? Optional.of(End.COMPLETE) : Optional.empty();
    }

    /** A work queue that was made smaller, before one of its pods succeeded: those that go are let go of first, and so never counted. */
    private boolean removeTooMany(Job job, JobStatus status, List<Pod> pods) {
        if (job.getSpec().getCompletions() != null || orZero(status.getSucceeded()) > 0) {
            return false;
        }
        List<Pod> active = pods.stream()
                .filter(pod -> !isOver(job, pod) && !PodFacts.isTerminating(pod))
                .sorted(Comparator.comparing(PodFacts::isReady)
                        .thenComparing(pod -> pod.getMetadata().getCreationTimestamp(), Comparator.reverseOrder()))
                .toList();
        int tooMany = active.size() - job.getSpec().getParallelism();
        active.stream().limit(Math.max(0, tooMany)).forEach(pod -> {
            release(pod);
            objects.delete(ResourceTypes.PODS, pod);
        });
        return tooMany > 0;
    }

    /** Makes the pods that are missing, unless the last failure is too recent; says how many. */
    private int create(ObjectStore.Key key, Job job, JobStatus status, int active, int present) {
        Integer completions = job.getSpec().getCompletions();
        int succeeded = orZero(status.getSucceeded());
        int wanted = completions == null
                ? (succeeded > 0 ? active : job.getSpec().getParallelism())
                : Math.min(job.getSpec().getParallelism(), completions - succeeded);
        int missing = wanted - present;
        if (missing <= 0) {
            return 0;
        }
        Duration wait = backoffLeft(job, status);
        if (wait.isPositive()) {
            queue.addAfter(key, wait);
            return 0;
        }
        for (int i = 0; i < missing; i++) {
            var template = job.getSpec().getTemplate();
            objects.create(
                    ResourceTypes.PODS,
                    new PodBuilder()
                            .withMetadata(template.getMetadata())
                            .editMetadata()
                            .withName(PodFacts.uniqueName(job.getMetadata().getName()))
                            .withNamespace(job.getMetadata().getNamespace())
                            .addToFinalizers(TRACKING)
                            .withOwnerReferences(PodFacts.controlledBy(job))
                            .endMetadata()
                            .withSpec(template.getSpec())
                            .build());
        }
        return missing;
    }

    private Duration backoffLeft(Job job, JobStatus status) {
        Instant last = lastFailures.get(job.getMetadata().getUid());
        int failed = orZero(status.getFailed());
        if (last == null || failed == 0) {
            return Duration.ZERO;
        }
        Duration wait = backoff.multipliedBy(1L << Math.min(failed - 1, BACKOFF_DOUBLINGS_MAX));
        return Duration.between(clock.instant(), last.plus(wait));
    }

    private void conclude(JobStatus status, End end, boolean allGone) {
        set(status, end.type(), "True", end.reason(), end.message());
        if (allGone) {
            set(status, end.finalType(), "True", end.reason(), end.message());
            if (end.finalType().equals("Complete")) {
                status.setCompletionTime(now());
            }
        }
    }

    /** What an earlier reconciliation decided: it stays. */
    private static Optional<End> stated(JobStatus status) {
        return status.getConditions().stream()
                .filter(condition ->
                        List.of("SuccessCriteriaMet", "FailureTarget").contains(condition.getType()))
                .map(condition -> new End(condition.getType(), condition.getReason(), condition.getMessage()))
                .findFirst();
    }

    private void removeWhenOld(ObjectStore.Key key, Job job, JobStatus status) {
        Integer seconds = job.getSpec().getTtlSecondsAfterFinished();
        if (seconds == null) {
            return;
        }
        Instant finished = status.getConditions().stream()
                .filter(condition -> Set.of("Complete", "Failed").contains(condition.getType()))
                .map(condition -> Instant.parse(condition.getLastTransitionTime()))
                .findFirst()
                .orElseThrow();
        Duration left = Duration.between(clock.instant(), finished.plusSeconds(seconds));
        if (left.isPositive()) {
            queue.addAfter(key, left);
        } else {
            objects.delete(ResourceTypes.JOBS, job);
        }
    }

    /** Pods whose Job is gone need not be counted. */
    private void letGoOfOrphans(String namespace) {
        Set<String> jobs = new HashSet<>();
        objects.list(ResourceTypes.JOBS, Job.class, namespace)
                .forEach(job -> jobs.add(job.getMetadata().getUid()));
        for (Pod pod : objects.list(ResourceTypes.PODS, Pod.class, namespace)) {
            if (ClusterObjects.controllerUid(pod).filter(jobs::contains).isEmpty()) {
                release(pod);
            }
        }
    }

    private void release(Pod pod) {
        if (!pod.getMetadata().getFinalizers().contains(TRACKING)) {
            return;
        }
        Target target = Target.of(
                ResourceTypes.PODS,
                pod.getMetadata().getNamespace(),
                pod.getMetadata().getName());
        objects.edit(target, tree -> {
            ArrayNode finalizers = Json.array(Json.metadata(tree), "finalizers");
            for (var it = finalizers.elements(); it.hasNext(); ) {
                if (it.next().asText().equals(TRACKING)) {
                    it.remove();
                }
            }
        });
    }

    private void set(JobStatus status, String type, String value, String reason, String message) {
        List<JobCondition> conditions = new ArrayList<>(status.getConditions());
        boolean same = conditions.stream()
                .anyMatch(condition -> condition.getType().equals(type)
                        && condition.getStatus().equals(value)
                        && condition.getReason().equals(reason));
        if (same) {
            return;
        }
        conditions.removeIf(condition -> condition.getType().equals(type));
        conditions.add(new JobConditionBuilder()
                .withType(type)
                .withStatus(value)
                .withReason(reason)
                .withMessage(message)
                .withLastProbeTime(now())
                .withLastTransitionTime(now())
                .build());
        status.setConditions(conditions);
    }

    private static boolean isTrue(JobStatus status, String type) {
        return status.getConditions().stream()
                .anyMatch(condition -> condition.getType().equals(type)
                        && condition.getStatus().equals("True"));
    }

    private String now() {
        return clock.instant().truncatedTo(ChronoUnit.SECONDS).toString();
    }

    private static int orZero(Integer count) {
        return count == null ? 0 : count;
    }
}
