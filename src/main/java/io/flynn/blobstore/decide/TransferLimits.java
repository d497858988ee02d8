package io.flynn.blobstore.decide;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How much a stage may have on its way, as a file says that is changed while it runs. Lines of {@code key: value}; what is not there is
 * as the command line has it; {@code #} begins a comment.
 *
 * @param concurrency blobs at once, 1 to {@value #CONCURRENCY_MAX}
 * @param bytesPerSecond at least {@value #BYTES_MIN}; 0 = as fast as it goes
 */
public record TransferLimits(int concurrency, long bytesPerSecond) {

    /** Each may need a connection to the database, which has 100 unless it is told otherwise. */
    public static final int CONCURRENCY_MAX = 64;

    /** Slower, and a store would take a connection for dead that waits for its turn. */
    public static final long BYTES_MIN = 1_000_000;

    /** The largest number of bytes that a file can say; as good as no limit. */
    public static final long BYTES_MAX = 999_999_999_999L;

    private static final String CONCURRENCY = "concurrency";
    private static final String BYTES = "bytes-per-second";
    private static final Pattern NUMBER = Pattern.compile("[0-9]{1,9}");
    private static final Pattern SIZE = Pattern.compile("([0-9]{1,12})(|k|M|G|Ki|Mi|Gi)");
    private static final List<String> UNITS = List.of("", "k", "M", "G", "Ki", "Mi", "Gi");
    private static final long[] FACTORS = {1, 1_000, 1_000_000, 1_000_000_000, 1 << 10, 1 << 20, 1 << 30};

    /**
     * @param otherwise what holds where the text says nothing
     * @throws InvalidSettingException if it can't be used; it names the line, the field, its value and what to write
     */
    public static TransferLimits parse(String text, TransferLimits otherwise) {
        TransferLimits limits = otherwise;
        Set<String> seen = new HashSet<>();
        int number = 0;
        for (String whole : text.lines().toList()) {
            number++;
            String line = whole.replaceFirst("#.*", "").strip();
            if (line.isEmpty()) {
                continue;
            }
            String place = "line " + number + ":";
            String[] parts = line.split(":", 2);
            String key = parts[0].strip();
            String value = parts.length < 2 ? "" : parts[1].strip();
            if (!seen.add(key)) {
                throw new InvalidSettingException(place, key + " is there twice; leave one");
            }
            limits = switch (key) {
                case CONCURRENCY -> new TransferLimits(concurrency(place, value), limits.bytesPerSecond);
                case BYTES -> new TransferLimits(limits.concurrency, bytes(place, value));
                default ->
                    throw new InvalidSettingException(
                            place,
                            "\"%s\" is nothing that can be limited; write %s: 16 or %s: 50Mi"
                                    .formatted(key, CONCURRENCY, BYTES));
            };
        }
        return limits;
    }

    private static int concurrency(String place, String value) {
        if (NUMBER.matcher(value).matches()) {
            int number = Integer.parseInt(value);
            if (number >= 1 && number <= CONCURRENCY_MAX) {
                return number;
            }
        }
        throw new InvalidSettingException(
                place, "%s \"%s\" is not a number from 1 to %d".formatted(CONCURRENCY, value, CONCURRENCY_MAX));
    }

    private static long bytes(String place, String value) {
        Matcher size = SIZE.matcher(value);
        if (size.matches()) {
            long bytes = Math.multiplyHigh(Long.parseLong(size.group(1)), factor(size)) == 0
                    ? Long.parseLong(size.group(1)) * factor(size)
                    : -1;
            if (bytes == 0 || bytes >= BYTES_MIN) {
                return bytes;
            }
        }
        throw new InvalidSettingException(
                place,
                "%s \"%s\" is not a rate: write at least 1M, as in 50Mi, or 0 for as fast as it goes"
                        .formatted(BYTES, value));
    }

    private static long factor(Matcher size) {
        return FACTORS[UNITS.indexOf(size.group(2))];
    }
}
