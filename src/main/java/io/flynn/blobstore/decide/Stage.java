package io.flynn.blobstore.decide;

import java.util.Locale;

/** What a worker can be told to do; each is a process of its own, idempotent, and may be killed at any instant. */
public enum Stage {
    PROBE,
    PLAN,
    COPY,
    VERIFY,
    CLEAN,
    VACUUM;

    /** The word on the command line, in a Job's name and in reports. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }
}
