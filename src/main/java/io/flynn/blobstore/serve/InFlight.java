package io.flynn.blobstore.serve;

import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** How many requests run, for waiting until none does. Thread-safe. */
final class InFlight {

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition none = lock.newCondition();
    private final Condition entering = lock.newCondition();
    private int count;
    private long entered;

    void enter() {
        lock.lock();
        try {
            count++;
            entered++;
            entering.signalAll();
        } finally {
            lock.unlock();
        }
    }

    void leave() {
        lock.lock();
        try {
            count--;
            if (count == 0) {
                none.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }

    int count() {
        lock.lock();
        try {
            return count;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Returns when no request ran for {@code quiet}: one that was received is counted only once it has its thread.
     *
     * @return how many still run when {@code patience} is over
     */
    int awaitQuiet(Duration patience, Duration quiet) throws InterruptedException {
        long end = System.nanoTime() + patience.toNanos();
        lock.lock();
        try {
            while (true) {
                for (long left = end - System.nanoTime(); count > 0 && left > 0; ) {
                    left = none.awaitNanos(left);
                }
                if (count > 0) {
                    return count;
                }
                long before = entered;
                for (long left = quiet.toNanos(); entered == before && left > 0; ) {
                    left = entering.awaitNanos(left);
                }
                if (entered == before || System.nanoTime() - end >= 0) {
                    return count;
                }
            }
        } finally {
            lock.unlock();
        }
    }
}
