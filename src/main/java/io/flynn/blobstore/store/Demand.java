package io.flynn.blobstore.store;

import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** How many items a subscriber asked for and hasn't been given yet. Thread-safe; saturates instead of overflowing. */
final class Demand {

    enum Answer {
        WANTED,
        CANCELLED,
        NOT_IN_TIME
    }

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private long wanted;
    private boolean cancelled;

    void add(long items) {
        lock.lock();
        try {
            wanted = wanted + items < 0 ? Long.MAX_VALUE : wanted + items;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    void cancel() {
        lock.lock();
        try {
            cancelled = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Takes one item off the demand, waiting for it if need be. */
    Answer take(Duration patience) throws InterruptedException {
        lock.lock();
        try {
            long nanos = patience.toNanos();
            while (wanted == 0 && !cancelled) {
                if (nanos <= 0) {
                    return Answer.NOT_IN_TIME;
                }
                nanos = changed.awaitNanos(nanos);
            }
            if (cancelled) {
                return Answer.CANCELLED;
            }
            wanted--;
            return Answer.WANTED;
        } finally {
            lock.unlock();
        }
    }
}
