package io.flynn.blobstore.move;

import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.store.Traffic;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.UUID;
import java.util.function.Consumer;

/** Counts what a stage has done, and how fast. Thread-safe; never blocks for long. */
public final class ProgressMeter {

    private static final long RATE_WINDOW_NANOS = Duration.ofSeconds(30).toNanos();

    private record Sample(long nanos, long bytes) {}

    private final Stage stage;
    private final Traffic traffic = new Traffic();
    private final ArrayDeque<Sample> samples = new ArrayDeque<>();
    private long totalBlobs;
    private long totalBytes;
    private long doneBlobs;
    private long doneBytes;
    private long failedBlobs;
    private String blob = "";
    private volatile Consumer<UUID> told = id -> {};

    public ProgressMeter(Stage stage) {
        this.stage = stage;
    }

    /** What the stage's stores take and give, and how long is waited for them. */
    public Traffic traffic() {
        return traffic;
    }

    /** What is still to do, counted anew: the total is that and what was done before. */
    synchronized void remaining(long blobs, long bytes) {
        totalBlobs = doneBlobs + blobs;
        totalBytes = doneBytes + bytes;
    }

    /** Nothing is done yet of so much: the stage starts from the beginning. */
    synchronized void restart(long blobs, long bytes) {
        doneBlobs = 0;
        doneBytes = 0;
        samples.clear();
        remaining(blobs, bytes);
    }

    void started(UUID id) {
        synchronized (this) {
            blob = id.toString();
        }
        told.accept(id);
    }

    /** @param told of every blob that is begun, by many threads; must not block */
    public void whenStarted(Consumer<UUID> told) {
        this.told = told;
    }

    public synchronized long totalBlobs() {
        return totalBlobs;
    }

    synchronized void done(long blobs, long bytes) {
        doneBlobs += blobs;
        doneBytes += bytes;
        // More may turn up than was counted: uploads arrive, rows are put back.
        totalBlobs = Math.max(totalBlobs, doneBlobs);
        totalBytes = Math.max(totalBytes, doneBytes);
    }

    synchronized void failed() {
        failedBlobs++;
    }

    /** @param nanos the present time of {@link System#nanoTime} */
    public synchronized Progress progress(long nanos) {
        samples.addLast(new Sample(nanos, doneBytes));
        while (samples.size() > 2 && nanos - samples.peekFirst().nanos() > RATE_WINDOW_NANOS) {
            samples.removeFirst();
        }
        Sample first = samples.peekFirst();
        long elapsed = nanos - first.nanos();
        long rate = elapsed <= 0 ? 0 : (long) ((doneBytes - first.bytes()) * 1e9 / elapsed);
        String bottleneck = traffic.bottleneck().map(Traffic.Wait::word).orElse("");
        return new Progress(stage, totalBlobs, totalBytes, doneBlobs, doneBytes, failedBlobs, rate, blob, bottleneck);
    }
}
