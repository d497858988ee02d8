package io.flynn.blobstore.move;

/** Told once, asked often: whether the process should end. Thread-safe. */
public final class StopSignal {

    private volatile boolean requested;

    public void request() {
        requested = true;
    }

    public boolean isRequested() {
        return requested;
    }
}
