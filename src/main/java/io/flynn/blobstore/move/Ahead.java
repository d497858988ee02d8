package io.flynn.blobstore.move;

import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Makes things on a thread of its own, a few more than were taken: what is read waits for nobody, and who sends it doesn't wait for
 * reading. For one taking thread; {@link #close} ends the making.
 */
final class Ahead<T> implements AutoCloseable {

    private final BlockingQueue<Optional<T>> made;
    private final Thread thread;
    private volatile boolean isClosed;
    private volatile @Nullable RuntimeException failure;

    /**
     * @param count how many are kept at most
     * @param making hands over what it makes, and ends when it is told that no more is wanted
     */
    Ahead(int count, Consumer<Predicate<T>> making) {
        made = new ArrayBlockingQueue<>(count);
        // A platform thread: it reads sockets, where virtual ones were measured slower.
        thread = Thread.ofPlatform().daemon().name("read-ahead").start(() -> {
            try {
                making.accept(one -> put(Optional.of(one)));
            } catch (RuntimeException e) {
                failure = e;
            } finally {
                put(Optional.empty());
            }
        });
    }

    /** @return whether more is wanted */
    private boolean put(Optional<T> one) {
        try {
            if (!isClosed) {
                made.put(one);
            }
            return !isClosed;
        } catch (InterruptedException e) {
            // Closed meanwhile.
            return false;
        }
    }

    /**
     * The next, waiting for it; empty after the last.
     *
     * @throws RuntimeException what the making threw, after all that was made before
     */
    Optional<T> take() {
        try {
            Optional<T> next = made.take();
            RuntimeException failed = failure;
            if (next.isEmpty() && failed != null) {
                throw failed;
            }
            return next;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("nobody interrupts this thread", e);
        }
    }

    @Override
    public void close() {
        isClosed = true;
        made.clear();
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
