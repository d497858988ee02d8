package io.flynn.blobstore.move;

import io.flynn.blobstore.store.StorageFailure;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Runs pieces of work on virtual threads, at most a number of them at once. The first failure that a piece throws stops the
 * taking of more; {@link #close} waits for those that run and throws it. For one submitting thread.
 */
final class InFlight implements AutoCloseable {

    private final Semaphore permits;
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final AtomicReference<@Nullable RuntimeException> failure = new AtomicReference<>();

    /** @throws IllegalArgumentException if {@code atOnce} is less than 1: nothing would ever start */
    InFlight(int atOnce) {
        if (atOnce < 1) {
            throw new IllegalArgumentException("nothing can run " + atOnce + " at once");
        }
        permits = new Semaphore(atOnce);
    }

    /** Waits for a place, then starts the work; does nothing after a failure. */
    void submit(Runnable work) {
        permits.acquireUninterruptibly();
        if (hasFailed()) {
            permits.release();
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
                permits.release();
            }
        });
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
