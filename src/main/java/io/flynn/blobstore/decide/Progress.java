package io.flynn.blobstore.decide;

/**
 * How far a stage is: one line of JSON on the worker's standard output every two seconds, under the key {@code progress}.
 *
 * @param stage which
 * @param totalBlobs in scope of the stage when it started; what came later is added
 * @param totalBytes theirs
 * @param doneBlobs of them
 * @param doneBytes theirs; a blob counts once it is done
 * @param failedBlobs quarantined so far
 * @param bytesPerSecond over the last 30 seconds
 * @param blob the id of one that is being worked on, or empty
 * @param bottleneck whom was waited for most since the last line: source, network, store, throttle or digest; empty if for nobody
 */
public record Progress(
        Stage stage,
        long totalBlobs,
        long totalBytes,
        long doneBlobs,
        long doneBytes,
        long failedBlobs,
        long bytesPerSecond,
        String blob,
        String bottleneck) {

    /** Whether the stage knows by now how much there is to do; one that has nothing to do never does. */
    public boolean counted() {
        return totalBlobs > 0;
    }
}
