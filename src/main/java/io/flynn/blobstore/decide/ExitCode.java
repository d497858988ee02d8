package io.flynn.blobstore.decide;

/** What a process of ours says with its exit code; Jobs act on it ({@code podFailurePolicy}). */
public enum ExitCode {
    /** Done, and proven done. */
    DONE(0),
    /** Failed for good: no retry can help before somebody changes something. */
    FAILED(1),
    /** Wrong usage or configuration: nothing was tried. */
    USAGE(2),
    /** Try again (EX_TEMPFAIL of sysexits.h); also on SIGTERM, once drained. */
    RETRY(75);

    private final int value;

    ExitCode(int value) {
        this.value = value;
    }

    public int value() {
        return value;
    }
}
