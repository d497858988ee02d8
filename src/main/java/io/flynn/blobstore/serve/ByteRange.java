package io.flynn.blobstore.serve;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A part of a blob.
 *
 * @param first the first byte's position
 * @param length at least 1
 */
record ByteRange(long first, long length) {

    /** More in one request are an attack or a mistake (RFC 9110, section 17.15). */
    static final int RANGES_MAX = 16;

    private static final Pattern ONE = Pattern.compile("\\s*(\\d*)\\s*-\\s*(\\d*)\\s*");

    /**
     * Reads a {@code Range} header (RFC 9110, section 14): as many ranges as can be satisfied, in the order in which they are
     * asked for.
     *
     * @param size the whole blob's
     * @return none if all of it is to be sent: other units than bytes are not known, a blob without bytes has no ranges, and
     *     ranges that overlap or are too many are not worth answering one by one
     * @throws Refusal if none can be satisfied, or the header is none
     */
    static List<ByteRange> parse(String header, long size) {
        if (!header.startsWith("bytes=") || size == 0) {
            return List.of();
        }
        String[] asked = header.substring("bytes=".length()).split(",", RANGES_MAX + 2);
        if (asked.length > RANGES_MAX) {
            return List.of();
        }
        List<ByteRange> ranges = new ArrayList<>();
        for (String range : asked) {
            // Lists may have empty elements (RFC 9110, section 5.6.1).
            if (asked.length == 1 || !range.isBlank()) {
                one(range, size).ifPresent(ranges::add);
            }
        }
        if (ranges.isEmpty()) {
            throw unsatisfiable();
        }
        return doOverlap(ranges) ? List.of() : ranges;
    }

    /** @return empty if it can't be satisfied */
    private static Optional<ByteRange> one(String asked, long size) {
        Matcher range = ONE.matcher(asked);
        if (!range.matches() || (range.group(1).isEmpty() && range.group(2).isEmpty())) {
            throw unsatisfiable();
        }
        if (range.group(1).isEmpty()) {
            long length = Math.min(position(range.group(2)), size);
            return length == 0 ? Optional.empty() : Optional.of(new ByteRange(size - length, length));
        }
        long first = position(range.group(1));
        long last = range.group(2).isEmpty() ? Long.MAX_VALUE : position(range.group(2));
        if (first > last) {
            throw unsatisfiable();
        }
        return first >= size
                ? Optional.empty()
                : Optional.of(new ByteRange(first, Math.min(last, size - 1) - first + 1));
    }

    private static boolean doOverlap(List<ByteRange> ranges) {
        long end = 0;
        for (ByteRange range : ranges.stream()
                .sorted(Comparator.comparingLong(ByteRange::first))
                .toList()) {
            if (range.first < end) {
                return true;
            }
            end = range.first + range.length;
        }
        return false;
    }

    /** Clients name the largest number that they know when they mean the end: more than a long holds is past every end. */
    private static long position(String digits) {
        BigInteger position = new BigInteger(digits);
        return position.bitLength() < Long.SIZE ? position.longValue() : Long.MAX_VALUE;
    }

    private static Refusal unsatisfiable() {
        return new Refusal(416, "the blob has no such range");
    }

    /** As {@code Content-Range} says it. */
    String header(long size) {
        return "bytes %d-%d/%d".formatted(first, first + length - 1, size);
    }
}
