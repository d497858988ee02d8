package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.MoveCatalog;
import io.flynn.blobstore.store.postgres.MoveCatalog.Flip;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Flips proven blobs, many to a transaction, on a thread of its own: what is proven waits no longer than {@value
 * #GATHER_MILLIS} ms for company, so a worker that dies leaves little to do again. {@link #close} flips what is left.
 */
final class Flipper implements AutoCloseable {

    private static final int BATCH = 500;
    private static final long GATHER_MILLIS = 200;

    /** Long enough for a database that restarts at once. */
    private static final int ATTEMPTS = 10;

    private static final Duration PAUSE = Duration.ofMillis(500);

    private final MoveCatalog catalog;
    private final BackendName from;
    private final BackendName to;
    private final BiConsumer<List<Flip>, Set<UUID>> flipped;
    private final BlockingQueue<Optional<Flip>> queue = new ArrayBlockingQueue<>(2 * BATCH);
    private final Thread thread;
    private volatile @Nullable RuntimeException failure;

    /** @param flipped told of every batch: what was tried, and the ids of those that were flipped */
    Flipper(MoveCatalog catalog, BackendName from, BackendName to, BiConsumer<List<Flip>, Set<UUID>> flipped) {
        this.catalog = catalog;
        this.from = from;
        this.to = to;
        this.flipped = flipped;
        thread = Thread.ofVirtual().name("flip").start(this::run);
    }

    /** Blocks while too many wait. After a failure it takes nothing more: what is proven then is proven again later. */
    void add(Flip flip) {
        if (!hasFailed()) {
            put(Optional.of(flip));
        }
    }

    boolean hasFailed() {
        return failure != null;
    }

    /** @throws RuntimeException what the catalog threw */
    @Override
    public void close() {
        put(Optional.empty());
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("nobody interrupts this thread", e);
        }
        RuntimeException failed = failure;
        if (failed != null) {
            throw failed;
        }
    }

    private void put(Optional<Flip> flip) {
        try {
            queue.put(flip);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("nobody interrupts this thread", e);
        }
    }

    private void run() {
        try {
            boolean isOpen = true;
            while (isOpen) {
                List<Flip> batch = new ArrayList<>();
                isOpen = gather(batch);
                if (!batch.isEmpty() && !hasFailed()) {
                    flip(batch);
                }
            }
        } catch (InterruptedException e) {
            throw new IllegalStateException("nobody interrupts this thread", e);
        }
    }

    /** @return false once the end was seen */
    private boolean gather(List<Flip> batch) throws InterruptedException {
        Optional<Flip> next = queue.take();
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(GATHER_MILLIS);
        while (next != null && next.isPresent()) {
            batch.add(next.get());
            if (batch.size() == BATCH) {
                return true;
            }
            next = queue.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);
        }
        return next == null;
    }

    /**
     * A batch whose answer was lost is tried again: rows that were flipped after all no longer match, and the others need no
     * second upload.
     */
    private void flip(List<Flip> batch) {
        for (int attempt = 1; ; attempt++) {
            try {
                flipped.accept(batch, catalog.flip(batch, from, to));
                return;
            } catch (StorageFailure | IllegalStateException e) {
                boolean mayPass = e instanceof StorageFailure world && world.isTransient();
                if (!mayPass || attempt == ATTEMPTS) {
                    failure = e;
                    return;
                }
            }
            Pauses.sleep(PAUSE);
        }
    }
}
