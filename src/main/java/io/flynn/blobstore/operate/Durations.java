package io.flynn.blobstore.operate;

import java.time.Duration;

/** Lengths of time, for people, as kubectl prints ages. */
final class Durations {

    private Durations() {}

    /** The two largest units that matter: {@code 850ms}, {@code 45s}, {@code 6m}, {@code 2h10m}, {@code 3d4h}. */
    static String display(Duration duration) {
        long seconds = duration.toSeconds();
        if (seconds < 1) {
            return duration.toMillis() + "ms";
        }
        if (seconds < 120) {
            return seconds + "s";
        }
        if (seconds < 2 * 3600) {
            return duration.toMinutes() + "m";
        }
        if (seconds < 48 * 3600) {
            return pair(duration.toHours(), "h", duration.toMinutesPart(), "m");
        }
        return pair(duration.toDays(), "d", duration.toHoursPart(), "h");
    }

    private static String pair(long large, String largeUnit, long small, String smallUnit) {
        return small == 0 ? large + largeUnit : large + largeUnit + small + smallUnit;
    }
}
