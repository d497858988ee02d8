package io.flynn.blobstore.operate;

import java.time.Duration;

/** Durations as custom resources have them: one number and {@code s}, {@code m} or {@code h}. */
final class SpecDuration {

    private SpecDuration() {}

    /** @throws IllegalArgumentException if the schema was bypassed and the text is none */
    static Duration parse(String text) {
        if (!text.matches("(0|[1-9][0-9]{0,4})[smh]")) {
            throw new IllegalArgumentException("duration \"%s\": write a number and s, m or h, as 30s".formatted(text));
        }
        long number = Long.parseLong(text.substring(0, text.length() - 1));
        return switch (text.charAt(text.length() - 1)) {
            case 's' -> Duration.ofSeconds(number);
            case 'm' -> Duration.ofMinutes(number);
            default -> Duration.ofHours(number);
        };
    }
}
