package io.flynn.blobstore.move;

import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.StorageFailure;
import java.time.Duration;
import java.util.function.Supplier;

/**
 * Rides out short outages: transient failures are retried with growing pauses until nothing has gone forward for a while. Longer
 * ones end the process with "try again", and whoever started it decides when. For one thread; others may tell of progress.
 */
final class Patience {

    private static final Duration FIRST_PAUSE = Duration.ofMillis(500);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(10);

    private final Duration limit;
    private final StopSignal stop;
    private volatile Duration pause = FIRST_PAUSE;
    private volatile long lastProgress = System.nanoTime();

    Patience(Duration limit, StopSignal stop) {
        this.limit = limit;
        this.stop = stop;
    }

    /** Something went forward: whatever fails next starts a new outage. */
    void progressed() {
        lastProgress = System.nanoTime();
        pause = FIRST_PAUSE;
    }

    /** @throws StorageFailure the last one, once it is not transient or the patience is over */
    <T> T retrying(Supplier<T> work) {
        while (true) {
            try {
                return work.get();
            } catch (StorageFailure failure) {
                if (!failure.isTransient() || isOver() || stop.isRequested()) {
                    throw failure;
                }
                pause();
            }
        }
    }

    boolean isOver() {
        return System.nanoTime() - lastProgress > limit.toNanos();
    }

    void pause() {
        Pauses.sleep(pause);
        Duration doubled = pause.multipliedBy(2);
        pause = doubled.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : doubled;
    }
}
