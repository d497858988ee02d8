package io.flynn.blobstore.move;

import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.MoveCatalog.Flip;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.Predicate;
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

    private final Function<List<Flip>, Set<UUID>> flip;
    private final Predicate<Flip> isFlipped;
    private final BiConsumer<List<Flip>, Set<UUID>> flipped;
    private final BlockingQueue<Optional<Flip>> queue = new ArrayBlockingQueue<>(2 * BATCH);
    private final Thread thread;
    private volatile @Nullable RuntimeException failure;
    private volatile boolean isTryingAgain;

    /**
     * @param flip flips a batch in one transaction and returns the ids of those that were flipped
     * @param isFlipped whether a row is as its flip leaves it, by the row itself
     * @param flipped told of every batch: what was tried, and the ids of those that were flipped
     */
    Flipper(
            Function<List<Flip>, Set<UUID>> flip,
            Predicate<Flip> isFlipped,
            BiConsumer<List<Flip>, Set<UUID>> flipped) {
        this.flip = flip;
        this.isFlipped = isFlipped;
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

    /** Blocks while a batch is tried again: if the fence was lost with the connection, all that is proven is proven again. */
    void awaitCalm() {
        while (isTryingAgain && !hasFailed()) {
            Pauses.sleep(PAUSE);
        }
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

    private void flip(List<Flip> batch) {
        try {
            flipped.accept(batch, flippedOf(batch));
        } catch (RuntimeException e) {
            failure = e;
        } finally {
            isTryingAgain = false;
        }
    }

    /**
     * A batch whose answer was lost is tried again: rows that were flipped after all no longer match, which the rows themselves
     * tell, and the others need no second upload.
     */
    private Set<UUID> flippedOf(List<Flip> batch) {
        boolean hasFailed = false;
        for (int attempt = 1; ; attempt++) {
            try {
                Set<UUID> ids = new HashSet<>(flip.apply(batch));
                if (hasFailed) {
                    batch.stream()
                            .filter(one -> !ids.contains(one.row().id()) && isFlipped.test(one))
                            .forEach(one -> ids.add(one.row().id()));
                }
                return ids;
            } catch (StorageFailure e) {
                if (!e.isTransient() || attempt == ATTEMPTS) {
                    throw e;
                }
                hasFailed = true;
                isTryingAgain = true;
            }
            Pauses.sleep(PAUSE);
        }
    }
}
