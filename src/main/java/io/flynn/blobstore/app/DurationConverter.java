package io.flynn.blobstore.app;

import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Durations as the custom resources have them: {@code 500ms}, {@code 30s}, {@code 15m}, {@code 1h}; longer than 0. */
final class DurationConverter implements ITypeConverter<Duration> {

    private static final Pattern FORM = Pattern.compile("([0-9]{1,9})(ms|s|m|h)");

    @Override
    public Duration convert(String value) {
        Matcher form = FORM.matcher(value);
        if (!form.matches()) {
            throw new TypeConversionException("\"" + value + "\" is no duration: write 500ms, 30s, 15m or 1h");
        }
        long amount = Long.parseLong(form.group(1));
        if (amount == 0) {
            // To PostgreSQL, no time for a lock means to wait for ever.
            throw new TypeConversionException("\"" + value + "\" can't be used: write a duration longer than 0");
        }
        return switch (form.group(2)) {
            case "ms" -> Duration.ofMillis(amount);
            case "s" -> Duration.ofSeconds(amount);
            case "m" -> Duration.ofMinutes(amount);
            default -> Duration.ofHours(amount);
        };
    }
}
