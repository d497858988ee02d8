package io.flynn.blobstore.testkit.cluster;

import java.time.Duration;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;

/**
 * Calls one controller, one key at a time, on one thread; a key that is asked for again while it waits is looked at once.
 *
 * <p>Thread-safe. What the controller throws is a bug of ours: it is kept, and {@link #close} throws it.
 */
final class WorkQueue implements AutoCloseable {

    private static final Duration RETRY = Duration.ofMillis(50);

    private static final Duration RETRY_FORBIDDEN = Duration.ofSeconds(1);

    private final ScheduledExecutorService thread;
    private final Consumer<ObjectStore.Key> controller;
    private final Set<ObjectStore.Key> waiting = new HashSet<>();
    private final AtomicReference<Optional<RuntimeException>> failure = new AtomicReference<>(Optional.empty());

    WorkQueue(String name, Consumer<ObjectStore.Key> controller) {
        this.controller = controller;
        thread = Executors.newSingleThreadScheduledExecutor(
                task -> Thread.ofPlatform().daemon().name(name).unstarted(task));
    }

    void add(ObjectStore.Key key) {
        synchronized (waiting) {
            if (!waiting.add(key)) {
                return;
            }
        }
        submit(() -> run(key), Duration.ZERO);
    }

    void addAfter(ObjectStore.Key key, Duration delay) {
        submit(() -> add(key), delay);
    }

    /** @throws IllegalStateException if the controller ever threw */
    @Override
    public void close() {
        thread.shutdownNow();
        failure.get().ifPresent(e -> {
            throw new IllegalStateException("a controller of LocalCluster failed", e);
        });
    }

    private void submit(Runnable task, Duration delay) {
        try {
            thread.schedule(task, delay.toMillis(), TimeUnit.MILLISECONDS);
        } catch (RejectedExecutionException closed) {
            // The cluster is being closed: nothing is to be done any more.
        }
    }

    private void run(ObjectStore.Key key) {
        synchronized (waiting) {
            waiting.remove(key);
        }
        try {
            controller.accept(key);
        } catch (ApiFailure e) {
            if (e.code() == 404 || e.code() == 409) {
                addAfter(key, RETRY); // somebody else was faster: look again
            } else if (e.code() == 403) {
                addAfter(key, RETRY_FORBIDDEN); // a pod that may not be: until it may, or its owner changes
            } else {
                failure.compareAndSet(Optional.empty(), Optional.of(e));
            }
        } catch (RuntimeException e) {
            failure.compareAndSet(Optional.empty(), Optional.of(e));
        }
    }
}
