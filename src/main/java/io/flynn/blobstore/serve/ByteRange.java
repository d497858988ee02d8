package io.flynn.blobstore.serve;

import java.math.BigInteger;
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

    private static final Pattern ONE = Pattern.compile("\\s*(\\d*)\\s*-\\s*(\\d*)\\s*");

    /**
     * Reads a {@code Range} header (RFC 9110, section 14).
     *
     * @param size the whole blob's
     * @return empty if all of it is to be sent: other units than bytes are not known, and a blob without bytes has no ranges
     * @throws Refusal if it can't be satisfied, or asks for several ranges
     */
    static Optional<ByteRange> parse(String header, long size) {
        if (!header.startsWith("bytes=") || size == 0) {
            return Optional.empty();
        }
        String ranges = header.substring("bytes=".length());
        if (ranges.contains(",")) {
            throw new Refusal(501, "several ranges in one request are not supported: ask for one after the other");
        }
        Matcher range = ONE.matcher(ranges);
        if (!range.matches()) {
            throw unsatisfiable();
        }
        if (range.group(1).isEmpty()) {
            return Optional.of(suffix(range.group(2), size));
        }
        long first = position(range.group(1));
        long last = range.group(2).isEmpty() ? size - 1 : Math.min(position(range.group(2)), size - 1);
        if (first > last) {
            throw unsatisfiable();
        }
        return Optional.of(new ByteRange(first, last - first + 1));
    }

    private static ByteRange suffix(String digits, long size) {
        long length = digits.isEmpty() ? 0 : Math.min(position(digits), size);
        if (length == 0) {
            throw unsatisfiable();
        }
        return new ByteRange(size - length, length);
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
