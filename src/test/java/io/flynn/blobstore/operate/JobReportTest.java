package io.flynn.blobstore.operate;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.ContainerStatus;
import io.fabric8.kubernetes.api.model.ContainerStatusBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageRun;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class JobReportTest {

    private static final String RETRY =
            "{\"stage\":\"COPY\",\"outcome\":\"RETRY\",\"reason\":\"StoreBusy\",\"message\":\"slow down\",\"identity\":\"\",\"figures\":{},\"findings\":[]}";
    private static final String DONE =
            "{\"stage\":\"COPY\",\"outcome\":\"DONE\",\"reason\":\"Done\",\"message\":\"all\",\"identity\":\"\",\"figures\":{},\"findings\":[]}";

    @Test
    void completeWithItsReportHasEnded() {
        assertThat(run(finished("Complete", "CompletionsReached"), pod("a", 1, terminated(0, "Completed", DONE))))
                .isEqualTo(new StageRun.Ended(report(ExitCode.DONE, "Done", "all")));
    }

    @Test
    void failedWithItsReportHasEnded() {
        assertThat(run(finished("Failed", "BackoffLimitExceeded"), pod("a", 1, terminated(75, "Error", RETRY))))
                .isEqualTo(new StageRun.Ended(report(ExitCode.RETRY, "StoreBusy", "slow down")));
    }

    @Test
    void newestPodIsTheOneThatCounts() {
        assertThat(run(
                        finished("Complete", "CompletionsReached"),
                        pod("c", 1, terminated(75, "Error", RETRY)),
                        pod("a", 3, terminated(0, "Completed", DONE)),
                        pod("b", 2, terminated(75, "Error", RETRY))))
                .isInstanceOf(StageRun.Ended.class);
    }

    @Test
    void podOfAnotherJobIsNotLookedAt() {
        Pod foreign = new PodBuilder(pod("a", 9, terminated(0, "Completed", DONE)))
                .editMetadata()
                .editMatchingOwnerReference(owner -> true)
                .withUid("another")
                .endOwnerReference()
                .endMetadata()
                .build();

        assertThat(run(finished("Complete", "CompletionsReached"), foreign)).isInstanceOf(StageRun.Lost.class);
    }

    @Test
    void completeWithoutAReportIsLost() {
        assertThat(run(finished("Complete", "CompletionsReached"), pod("a", 1, terminated(0, "Completed", "all fine"))))
                .isEqualTo(new StageRun.Lost(
                        "Job j ended without a valid report: its container exited with 0 (Completed)"));
        assertThat(run(finished("Failed", "DeadlineExceeded")))
                .isEqualTo(new StageRun.Lost("Job j ended without a report: DeadlineExceeded, and its pod is gone"));
    }

    @Test
    void reportThatTheExitCodeContradictsIsNone() {
        assertThat(run(finished("Failed", "BackoffLimitExceeded"), pod("a", 1, terminated(137, "OOMKilled", DONE))))
                .isEqualTo(new StageRun.Lost(
                        "Job j ended without a valid report: its container exited with 137 (OOMKilled)"));
        assertThat(run(finished("Complete", "CompletionsReached"), pod("a", 1, terminated(75, "Error", RETRY))))
                .isInstanceOf(StageRun.Lost.class);
    }

    @Test
    void injectedContainersAreNotLookedAt() {
        Pod withSidecar = new PodBuilder(pod("a", 1, terminated(0, "Completed", DONE)))
                .editStatus()
                .addToContainerStatuses(
                        0,
                        new ContainerStatusBuilder(terminated(1, "Error", "no"))
                                .withName("sidecar")
                                .build())
                .endStatus()
                .build();

        assertThat(run(finished("Complete", "CompletionsReached"), withSidecar)).isInstanceOf(StageRun.Ended.class);
    }

    @Test
    void runningIsSaidPlainly() {
        assertThat(run(job(), pod("a", 1, running())))
                .isEqualTo(new StageRun.Running(Reasons.RUNNING, "the copy stage is running"));
        assertThat(run(job(), pod("a", 1, waiting("ContainerCreating", null))))
                .isEqualTo(new StageRun.Running(Reasons.RUNNING, "the copy stage is running"));
    }

    @Test
    void whatKeepsAPodFromStartingIsTheMessage() {
        assertThat(run(job(), pod("a", 1, waiting("CreateContainerConfigError", "secret \"postgres\"\n not found"))))
                .isEqualTo(new StageRun.Running(
                        Reasons.POD_NOT_STARTED, "pod a: CreateContainerConfigError: secret \"postgres\" not found"));
        assertThat(run(job(), pod("a", 1, waiting("ImagePullBackOff", "Back-off " + "x".repeat(2000)))))
                .isInstanceOfSatisfying(
                        StageRun.Running.class,
                        running -> assertThat(running.message())
                                .startsWith("pod a: ImagePullBackOff: Back-off")
                                .hasSizeLessThanOrEqualTo(512));
        assertThat(run(job())).isEqualTo(new StageRun.Running(Reasons.POD_NOT_STARTED, "Job j has no pod yet"));
    }

    @Test
    void unschedulableIsTheMessage() {
        Pod pending = new PodBuilder(pod("a", 1))
                .editStatus()
                .addNewCondition()
                .withType("PodScheduled")
                .withStatus("False")
                .withReason("Unschedulable")
                .withMessage("0/3 nodes are available")
                .endCondition()
                .endStatus()
                .build();

        assertThat(run(job(), pending))
                .isEqualTo(
                        new StageRun.Running(Reasons.POD_NOT_STARTED, "pod a: Unschedulable: 0/3 nodes are available"));
    }

    @Test
    void podThatWillBeFollowedByAnotherSaysWhy() {
        assertThat(run(job(), pod("a", 1, terminated(75, "Error", RETRY))))
                .isEqualTo(new StageRun.Running("StoreBusy", "slow down"));
    }

    // Several pods that share a stage

    @Test
    void allThatSharedItAreOneReport() {
        assertThat(run(
                        queue(finished("Complete", "CompletionsReached")),
                        pod("a", 1, terminated(0, "Completed", copied("DONE", 30, 0))),
                        pod("b", 2, terminated(75, "Error", copied("RETRY", 5, 90))),
                        pod("c", 3, terminated(0, "Completed", copied("DONE", 60, 0)))))
                .isEqualTo(new StageRun.Ended(new StageReport(
                        Stage.COPY,
                        ExitCode.DONE,
                        "Done",
                        "3 pods copied at least 95 blobs, and none is left",
                        "",
                        Map.of(Figure.COPIED_BLOBS, 95L, Figure.REMAINING_BLOBS, 0L),
                        List.of())));
    }

    @Test
    void whoIsDoneIsBelievedWhateverBecameOfTheOthers() {
        assertThat(run(
                        queue(finished("Complete", "CompletionsReached")),
                        pod("a", 1, terminated(0, "Completed", DONE)),
                        pod("b", 2, terminated(137, "OOMKilled", ""))))
                .isEqualTo(new StageRun.Ended(report(ExitCode.DONE, "Done", "all")));
        assertThat(run(
                        queue(finished("Failed", "BackoffLimitExceeded")),
                        pod("a", 1, terminated(0, "Completed", DONE)),
                        pod("b", 2, terminated(137, "OOMKilled", ""))))
                .isEqualTo(new StageRun.Ended(report(ExitCode.DONE, "Done", "all")));
    }

    @Test
    void theOneThatFailedForGoodIsWhyTheOthersWereStopped() {
        String denied = RETRY.replace("RETRY", "FAILED").replace("StoreBusy", "AccessDenied");

        assertThat(run(
                        queue(finished("Failed", "PodFailurePolicy")),
                        pod("a", 1, terminated(1, "Error", denied)),
                        pod("b", 2, terminated(75, "Error", RETRY))))
                .isEqualTo(new StageRun.Ended(report(ExitCode.FAILED, "AccessDenied", "slow down")));
    }

    @Test
    void whoSucceededIsHeardOnceTheOthersEnded() {
        assertThat(run(
                        queue(job()),
                        pod("a", 1, terminated(0, "Completed", DONE)),
                        pod("b", 2, running()),
                        pod("c", 3, waiting("ContainerCreating", null))))
                .isInstanceOf(StageRun.Running.class);
        assertThat(run(queue(job()), pod("a", 1, terminated(0, "Completed", DONE))))
                .as("its Job is about to be complete")
                .isInstanceOf(StageRun.Running.class);
    }

    @Test
    void podThatFindsNoPlaceIsNotWaitedForOnceNothingIsLeft() {
        assertThat(run(queue(job()), pod("a", 1, terminated(0, "Completed", DONE)), pod("b", 2)))
                .isEqualTo(new StageRun.Ended(report(ExitCode.DONE, "Done", "all")));
        Pod onALostNode = new PodBuilder(pod("b", 2, running()))
                .editMetadata()
                .withDeletionTimestamp("2026-01-01T00:01:00Z")
                .endMetadata()
                .build();
        assertThat(run(queue(job()), pod("a", 1, terminated(0, "Completed", DONE)), onALostNode))
                .isInstanceOf(StageRun.Ended.class);
    }

    @Test
    void howManyOfThemWorkIsSaid() {
        assertThat(run(queue(job()), pod("a", 1, running()), pod("b", 2, running()), pod("c", 3, running())))
                .isEqualTo(new StageRun.Running(Reasons.RUNNING, "the copy stage is running in 3 pods"));
        assertThat(run(
                        queue(job()),
                        pod("a", 1, running()),
                        pod("b", 2, terminated(75, "Error", RETRY)),
                        pod("c", 3, running())))
                .isEqualTo(
                        new StageRun.Running(Reasons.RUNNING, "the copy stage is running in 2 of 3 pods; slow down"));
        assertThat(run(queue(job()), pod("a", 1, running()), pod("b", 2, waiting("ImagePullBackOff", "no image"))))
                .isEqualTo(new StageRun.Running(
                        Reasons.RUNNING,
                        "the copy stage is running in 1 of 3 pods; pod b: ImagePullBackOff: no image"));
        assertThat(run(queue(job()), pod("a", 1, terminated(75, "Error", RETRY))))
                .isEqualTo(new StageRun.Running("StoreBusy", "slow down"));
    }

    private static Job queue(Job job) {
        return new JobBuilder(job)
                .editSpec()
                .withCompletions(null)
                .withParallelism(3)
                .endSpec()
                .build();
    }

    private static String copied(String outcome, long blobs, long left) {
        return "{\"stage\":\"COPY\",\"outcome\":\"%s\",\"reason\":\"%s\",\"message\":\"some\",\"identity\":\"\",\"figures\":{\"COPIED_BLOBS\":%d,\"REMAINING_BLOBS\":%d},\"findings\":[]}"
                .formatted(outcome, outcome.equals("DONE") ? "Done" : "Interrupted", blobs, left);
    }

    private static StageRun run(Job job, Pod... pods) {
        return JobReport.of(job, Stage.COPY, List.of(pods));
    }

    private static Job job() {
        return new JobBuilder(StageJobs.job())
                .editMetadata()
                .withName("j")
                .withUid("job")
                .endMetadata()
                .build();
    }

    private static Job finished(String type, String reason) {
        return new JobBuilder(job())
                .withNewStatus()
                .addNewCondition()
                .withType("FailureTarget")
                .withStatus("True")
                .endCondition()
                .addNewCondition()
                .withType(type)
                .withStatus("True")
                .withReason(reason)
                .endCondition()
                .endStatus()
                .build();
    }

    private static Pod pod(String name, int second, ContainerStatus... containers) {
        return new PodBuilder()
                .withNewMetadata()
                .withName(name)
                .withCreationTimestamp("2026-01-01T00:00:%02dZ".formatted(second))
                .addNewOwnerReference()
                .withUid("job")
                .endOwnerReference()
                .endMetadata()
                .withNewStatus()
                .withContainerStatuses(containers)
                .endStatus()
                .build();
    }

    private static ContainerStatus terminated(int exitCode, String reason, String message) {
        return new ContainerStatusBuilder()
                .withName("server")
                .withNewState()
                .withNewTerminated()
                .withExitCode(exitCode)
                .withReason(reason)
                .withMessage(message)
                .endTerminated()
                .endState()
                .build();
    }

    private static ContainerStatus waiting(String reason, String message) {
        return new ContainerStatusBuilder()
                .withName("server")
                .withNewState()
                .withNewWaiting(message, reason)
                .endState()
                .build();
    }

    private static ContainerStatus running() {
        return new ContainerStatusBuilder()
                .withName("server")
                .withNewState()
                .withNewRunning("2026-01-01T00:00:00Z")
                .endState()
                .build();
    }

    private static StageReport report(ExitCode outcome, String reason, String message) {
        return new StageReport(Stage.COPY, outcome, reason, message, "", Map.of(), List.of());
    }
}
