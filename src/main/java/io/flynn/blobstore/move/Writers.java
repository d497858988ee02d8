package io.flynn.blobstore.move;

import io.flynn.blobstore.store.postgres.OlderTransactions;
import java.time.Duration;

/** Waits for writes that are under way: what they do to a store is seen before what they do to rows. */
record Writers(OlderTransactions transactions, Duration patience) {

    /** Blocks until all writes of now have ended; false if they don't in time. */
    boolean awaitEnd() {
        return transactions.haveEnded(patience);
    }
}
