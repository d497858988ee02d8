package io.flynn.blobstore.move;

import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.postgres.CheckedRows;
import java.time.Duration;
import java.util.Set;

/** Waits for writes that are under way: what they do to a store is seen before what they do to rows. */
final class Writers {

    private static final Duration LOOK_EVERY = Duration.ofMillis(200);

    private final CheckedRows rows;
    private final Duration patience;

    Writers(CheckedRows rows, Duration patience) {
        this.rows = rows;
        this.patience = patience;
    }

    /** Blocks until all writes of now have ended; false if they don't in time. */
    boolean awaitEnd() {
        Set<String> open = rows.writers();
        long end = System.nanoTime() + patience.toNanos();
        while (!open.isEmpty()) {
            if (System.nanoTime() > end) {
                return false;
            }
            Pauses.sleep(LOOK_EVERY);
            open.retainAll(rows.writers());
        }
        return true;
    }
}
