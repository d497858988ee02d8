package io.flynn.blobstore.serve;

import io.flynn.blobstore.decide.InvalidSettingException;
import java.time.Duration;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How one server listens and stops.
 *
 * @param port {@code PORT}, 8080; 0 = any free one
 * @param databaseConnections {@code BLOBSTORE_DATABASE_CONNECTIONS}, 16: at most so many blobs go from or to the database at
 *     once, each through a connection of its own
 * @param drainDelay {@code BLOBSTORE_DRAIN_DELAY}, 5s: how long a server that was told to stop still takes new requests, until
 *     everybody knows that it isn't ready any more
 * @param drainGrace {@code BLOBSTORE_DRAIN_GRACE}, 20s: how long running requests may then take; together with the delay less
 *     than the pod's termination grace period
 */
public record ServerSettings(int port, int databaseConnections, Duration drainDelay, Duration drainGrace) {

    private static final Pattern DURATION = Pattern.compile("(\\d{1,6})(ms|s|m)");

    /** @throws InvalidSettingException if a variable holds what it can't mean; it names the variable */
    public static ServerSettings decode(Map<String, String> environment) {
        return new ServerSettings(
                number(environment, "PORT", 8080, 0, 65_535),
                number(environment, "BLOBSTORE_DATABASE_CONNECTIONS", 16, 1, 1_000),
                duration(environment, "BLOBSTORE_DRAIN_DELAY", Duration.ofSeconds(5)),
                duration(environment, "BLOBSTORE_DRAIN_GRACE", Duration.ofSeconds(20)));
    }

    private static int number(Map<String, String> environment, String variable, int ifUnset, int min, int max) {
        String value = environment.getOrDefault(variable, "");
        if (value.isEmpty()) {
            return ifUnset;
        }
        if (value.matches("\\d{1,6}")) {
            int number = Integer.parseInt(value);
            if (number >= min && number <= max) {
                return number;
            }
        }
        throw new InvalidSettingException(variable, "is \"%s\"; use a number from %d to %d".formatted(value, min, max));
    }

    private static Duration duration(Map<String, String> environment, String variable, Duration ifUnset) {
        String value = environment.getOrDefault(variable, "");
        if (value.isEmpty()) {
            return ifUnset;
        }
        Matcher duration = DURATION.matcher(value);
        if (!duration.matches()) {
            throw new InvalidSettingException(variable, "is \"%s\"; use a duration such as 5s or 1m".formatted(value));
        }
        long amount = Long.parseLong(duration.group(1));
        return switch (duration.group(2)) {
            case "ms" -> Duration.ofMillis(amount);
            case "s" -> Duration.ofSeconds(amount);
            default -> Duration.ofMinutes(amount);
        };
    }
}
