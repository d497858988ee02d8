package io.flynn.blobstore.app;

import io.flynn.blobstore.move.ProgressMeter;
import io.flynn.blobstore.move.Route;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.BlobNames;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A line for each blob whose copying begins, as the old command prints it. Names are looked up many at a time; a reader who is too
 * slow loses lines, never time.
 */
final class MoveLines implements AutoCloseable {

    private static final int QUEUED_MAX = 65_536;

    private static final int AT_ONCE = 1_000;

    /** What a reader who has stopped reading may cost in the end. */
    private static final Duration END = Duration.ofSeconds(5);

    private final BlobNames names;
    private final Route route;
    private final ProgressMeter progress;
    private final PrintStream out;
    private final BlockingQueue<UUID> started = new ArrayBlockingQueue<>(QUEUED_MAX);
    private final AtomicLong lost = new AtomicLong();
    private final Thread printer;
    private volatile boolean isClosing;
    private long printed;

    MoveLines(BlobNames names, Route route, ProgressMeter progress, PrintStream out) {
        this.names = names;
        this.route = route;
        this.progress = progress;
        this.out = out;
        printer = Thread.ofPlatform().daemon().name("lines").start(this::print);
        progress.whenStarted(this::started);
    }

    private void started(UUID id) {
        if (!started.offer(id)) {
            lost.incrementAndGet();
        }
    }

    private void print() {
        List<UUID> batch = new ArrayList<>(AT_ONCE);
        while (true) {
            boolean isLast = isClosing;
            try {
                UUID first = started.poll(100, TimeUnit.MILLISECONDS);
                if (first != null) {
                    batch.add(first);
                    started.drainTo(batch, AT_ONCE - 1);
                    print(batch);
                    batch.clear();
                } else if (isLast) {
                    return;
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    private void print(List<UUID> batch) {
        Map<UUID, BlobNames.Named> named;
        try {
            named = names.of(batch);
        } catch (StorageFailure e) {
            lost.addAndGet(batch.size());
            return;
        }
        for (UUID id : batch) {
            BlobNames.Named blob = named.get(id);
            printed++;
            if (blob != null) {
                out.printf(
                        "[%d/%d] Moving %s (%s, %d bytes) from %s to %s%n",
                        printed,
                        Math.max(printed, progress.totalBlobs()),
                        CheckTerminalOutput.printable(blob.name()),
                        id,
                        blob.sizeBytes(),
                        route.from(),
                        route.to());
            }
        }
        out.flush();
    }

    /** Prints what is left, if anybody takes it. */
    @Override
    public void close() {
        isClosing = true;
        try {
            printer.join(END);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        if (lost.get() > 0) {
            out.printf("and %d more%n", lost.get());
        }
    }
}
