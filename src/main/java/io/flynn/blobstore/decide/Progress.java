package io.flynn.blobstore.decide;

import java.util.Comparator;
import java.util.List;

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

    /**
     * What workers that share a stage have done together, and what is left by the one that knows of the least: each counts what is left
     * of the whole from time to time, and between two counts knows only of what it does itself.
     *
     * @param workers what each said last; at least one
     */
    public static Progress together(List<Progress> workers) {
        Progress first = workers.getFirst();
        Progress nearest = workers.stream()
                .filter(Progress::counted)
                .min(Comparator.comparingLong(Progress::leftBlobs).thenComparingLong(Progress::leftBytes))
                .orElse(first);
        long doneBlobs = workers.stream().mapToLong(Progress::doneBlobs).sum();
        long doneBytes = workers.stream().mapToLong(Progress::doneBytes).sum();
        return new Progress(
                first.stage,
                doneBlobs + nearest.leftBlobs(),
                doneBytes + nearest.leftBytes(),
                doneBlobs,
                doneBytes,
                // Each meets every blob that can't be moved.
                workers.stream().mapToLong(Progress::failedBlobs).max().orElse(0),
                workers.stream().mapToLong(Progress::bytesPerSecond).sum(),
                nearest.blob,
                nearest.bottleneck);
    }

    private long leftBlobs() {
        return Math.max(0, totalBlobs - doneBlobs);
    }

    private long leftBytes() {
        return Math.max(0, totalBytes - doneBytes);
    }

    /** Whether the stage knows by now how much there is to do; one that has nothing to do never does. */
    public boolean counted() {
        return totalBlobs > 0;
    }
}
