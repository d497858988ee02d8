package io.flynn.blobstore.move;

import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Runs pieces of work on virtual threads, at most a number of them at once, which may change meanwhile. The first failure that a piece
 * throws stops the taking of more; {@link #close} waits for those that run and throws it. For one submitting thread.
 */
final class InFlight implements AutoCloseable {

    /** How soon a limit is noticed that was changed while nothing ended. */
    private static final Duration LOOK = Duration.ofMillis(500);

    private final Traffic traffic;
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final AtomicReference<@Nullable RuntimeException> failure = new AtomicReference<>();
    private int taken;

    /** @throws IllegalArgumentException if {@code atOnce} is less than 1: nothing would ever start */
    InFlight(int atOnce) {
        this(unchanging(atOnce));
    }

    /** @param traffic says how much may be on its way */
    InFlight(Traffic traffic) {
        this.traffic = traffic;
    }

    private static Traffic unchanging(int atOnce) {
        if (atOnce < 1) {
            throw new IllegalArgumentException("nothing can run " + atOnce + " at once");
        }
        Traffic traffic = new Traffic();
        traffic.limitBlobs(atOnce);
        return traffic;
    }

    /** Waits for a place, then starts the work; does nothing after a failure. */
    void submit(Runnable work) {
        submit(Traffic.SHARES, work);
    }

    /** @param shares what the work counts as: many of few take one's place */
    void submit(int shares, Runnable work) {
        take(shares);
        if (hasFailed()) {
            giveBack(shares);
            return;
        }
        threads.execute(() -> {
            try {
                work.run();
            } catch (RuntimeException e) {
                if (!failure.compareAndSet(null, e) && failure.get() instanceof StorageFailure first && first != e) {
                    first.addSuppressed(e);
                }
            } finally {
                giveBack(shares);
            }
        });
    }

    /** What counts more than there is goes alone. */
    private synchronized void take(int shares) {
        try {
            while (taken > 0 && taken + shares > traffic.shares()) {
                wait(LOOK.toMillis());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("nobody interrupts this thread", e);
        }
        taken += shares;
    }

    private synchronized void giveBack(int shares) {
        taken -= shares;
        notifyAll();
    }

    boolean hasFailed() {
        return failure.get() != null;
    }

    /** @throws RuntimeException the first failure of a piece of work */
    @Override
    public void close() {
        threads.close();
        RuntimeException first = failure.get();
        if (first != null) {
            throw first;
        }
    }
}
