package io.flynn.blobstore.decide;

/** How one attempt at a stage stands, as its Job and its pods show it. */
public sealed interface StageRun {

    /**
     * Not over: its pod works, is waited for, or is tried again by Kubernetes.
     *
     * @param reason {@link Reasons#RUNNING}, {@link Reasons#POD_NOT_STARTED}, or that of a pod that failed and is followed by another
     * @param message one line for people
     */
    record Running(String reason, String message) implements StageRun {}

    /** Over, and it said how. */
    record Ended(StageReport report) implements StageRun {}

    /** Over, but nobody knows how: whatever it did is done, and to run the stage again is the only way to find out. */
    record Lost(String message) implements StageRun {}
}
