package io.flynn.blobstore.store;

import java.time.Duration;

/** Waiting, for threads that nobody interrupts. */
public final class Pauses {

    private Pauses() {}

    public static void sleep(Duration duration) {
        try {
            Thread.sleep(duration);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("nobody interrupts this thread", e);
        }
    }
}
