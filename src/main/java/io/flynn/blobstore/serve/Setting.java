package io.flynn.blobstore.serve;

import io.flynn.blobstore.decide.InvalidSettingException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One variable of the environment that a server reads.
 *
 * @param variable its name
 * @param ifUnset the value of one that is unset or empty, as it would be written
 * @param meaning what it does, for people
 * @param form what values look like, in words that complete "use …"
 * @param parser empty for a value that can't be used
 */
public record Setting<T>(
        String variable, String ifUnset, String meaning, String form, Function<String, Optional<T>> parser) {

    private static final Pattern NUMBER = Pattern.compile("\\d{1,9}");
    private static final Pattern DURATION = Pattern.compile("(\\d{1,6})(ms|s|m|h)");
    private static final Pattern SIZE = Pattern.compile("(\\d{1,12})(Ki|Mi|Gi|Ti)?");

    static Setting<Integer> number(String variable, int ifUnset, int min, int max, String meaning) {
        return new Setting<>(
                variable,
                Integer.toString(ifUnset),
                meaning,
                "a number from %d to %d".formatted(min, max),
                value -> NUMBER.matcher(value).matches()
                        ? Optional.of(Integer.parseInt(value)).filter(number -> number >= min && number <= max)
                        : Optional.empty());
    }

    static Setting<Duration> duration(String variable, String ifUnset, Duration min, Duration max, String meaning) {
        return new Setting<>(
                variable,
                ifUnset,
                meaning,
                "a duration such as %s, from %s to %s".formatted(ifUnset, text(min), text(max)),
                value -> parseDuration(value)
                        .filter(duration -> duration.compareTo(min) >= 0 && duration.compareTo(max) <= 0));
    }

    /** Bytes, up to 2^53. */
    static Setting<Long> size(String variable, String ifUnset, long min, long max, String meaning) {
        return new Setting<>(
                variable,
                ifUnset,
                meaning,
                "a number of bytes such as 64Ki or 5Gi, from %d to %d".formatted(min, max),
                value -> parseSize(value).filter(size -> size >= min && size <= max));
    }

    /** Its absolute path; whether it is there, shows when it is used. */
    static Setting<Optional<Path>> directory(String variable, String ifUnset, String meaning) {
        return new Setting<>(
                variable,
                ifUnset,
                meaning,
                "a directory's path, beginning with a slash",
                value -> value.startsWith("/") && value.indexOf('\0') < 0
                        ? Optional.of(Optional.of(Path.of(value)))
                        : Optional.empty());
    }

    static Setting<Boolean> flag(String variable, boolean ifUnset, String meaning) {
        return new Setting<>(
                variable, Boolean.toString(ifUnset), meaning, "a word: true or false", value -> switch (value) {
                    case "true" -> Optional.of(true);
                    case "false" -> Optional.of(false);
                    default -> Optional.empty();
                });
    }

    /** This one, with {@code word} for {@code value}. */
    Setting<T> or(String word, T value) {
        return new Setting<>(
                variable,
                ifUnset,
                meaning,
                form + ", or " + word,
                text -> text.equals(word) ? Optional.of(value) : parser.apply(text));
    }

    /** @throws InvalidSettingException if the variable holds what it can't mean; it names the variable, the value and the fix */
    T in(Map<String, String> environment) {
        String set = environment.getOrDefault(variable, "");
        String value = set.isEmpty() ? ifUnset : set;
        return parser.apply(value)
                .orElseThrow(() -> new InvalidSettingException(variable, "is \"%s\"; use %s".formatted(value, form)));
    }

    private static Optional<Duration> parseDuration(String value) {
        Matcher duration = DURATION.matcher(value);
        if (!duration.matches()) {
            return Optional.empty();
        }
        long amount = Long.parseLong(duration.group(1));
        return Optional.of(
                switch (duration.group(2)) {
                    case "ms" -> Duration.ofMillis(amount);
                    case "s" -> Duration.ofSeconds(amount);
                    case "m" -> Duration.ofMinutes(amount);
                    default -> Duration.ofHours(amount);
                });
    }

    private static Optional<Long> parseSize(String value) {
        Matcher size = SIZE.matcher(value);
        if (!size.matches()) {
            return Optional.empty();
        }
        String unit = size.group(2) == null ? "" : size.group(2);
        int shift = switch (unit) {
            case "Ki" -> 10;
            case "Mi" -> 20;
            case "Gi" -> 30;
            case "Ti" -> 40;
            default -> 0;
        };
        long amount = Long.parseLong(size.group(1));
        return amount <= (1L << 53) >> shift ? Optional.of(amount << shift) : Optional.empty();
    }

    private static String text(Duration duration) {
        if (duration.toMillisPart() > 0 || duration.isZero()) {
            return duration.toMillis() + "ms";
        }
        return duration.toSecondsPart() > 0 ? duration.toSeconds() + "s" : duration.toMinutes() + "m";
    }
}
