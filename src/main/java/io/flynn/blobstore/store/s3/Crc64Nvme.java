package io.flynn.blobstore.store.s3;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Base64;

/**
 * CRC-64/NVME, by which S3 checks whole objects (NVM Express NVM Command Set Specification, "64b CRC Polynomials": reflected, ones at
 * the start and at the end). Eight bytes a step through tables, at four places at once, since each step waits for the one before it:
 * the SDK reckons it only with a library of 24 MB. For one thread.
 */
final class Crc64Nvme {

    private static final long POLYNOMIAL = 0x9A6C_9329_AC4B_C9B5L;

    /** Polynomials are reflected: the highest bit is the coefficient of 1. */
    private static final long ONE = Long.MIN_VALUE;

    private static final long X = ONE >>> 1;

    private static final int STEP = Long.BYTES;
    private static final int VALUES = 256;

    /** What a byte leaves that is followed by k bytes of zeros, for each k. */
    private static final long[] TABLE = table();

    /** So much is reckoned beside as much before it, and then put behind that: often enough to fill four lanes with what sources deliver. */
    private static final int LANE_BYTES = 8 * 1024;

    private static final int LANES = 4;
    private static final long LANE_SHIFT = shift(LANE_BYTES);
    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private long remainder = ~0L;

    /** Takes the remaining bytes in; the buffer is left as it was. */
    void update(ByteBuffer bytes) {
        if (bytes.hasArray()) {
            update(bytes.array(), bytes.arrayOffset() + bytes.position(), bytes.remaining());
        } else {
            byte[] copy = new byte[bytes.remaining()];
            bytes.duplicate().get(copy);
            update(copy, 0, copy.length);
        }
    }

    private void update(byte[] bytes, int from, int length) {
        int at = from;
        int end = from + length;
        for (; at <= end - LANES * LANE_BYTES; at += LANES * LANE_BYTES) {
            remainder = afterLanes(remainder, bytes, at);
        }
        remainder = after(remainder, bytes, at, end);
    }

    private static long after(long before, byte[] bytes, int from, int end) {
        long crc = before;
        int at = from;
        for (; at <= end - STEP; at += STEP) {
            crc = step(crc ^ (long) LONGS.get(bytes, at));
        }
        for (; at < end; at++) {
            crc = TABLE[(int) (crc ^ bytes[at]) & 0xFF] ^ (crc >>> 8);
        }
        return crc;
    }

    private static long afterLanes(long before, byte[] bytes, int from) {
        long first = before;
        long second = 0;
        long third = 0;
        long fourth = 0;
        for (int at = from; at < from + LANE_BYTES; at += STEP) {
            first = step(first ^ (long) LONGS.get(bytes, at));
            second = step(second ^ (long) LONGS.get(bytes, at + LANE_BYTES));
            third = step(third ^ (long) LONGS.get(bytes, at + 2 * LANE_BYTES));
            fourth = step(fourth ^ (long) LONGS.get(bytes, at + 3 * LANE_BYTES));
        }
        long two = product(first, LANE_SHIFT) ^ second;
        long three = product(two, LANE_SHIFT) ^ third;
        return product(three, LANE_SHIFT) ^ fourth;
    }

    private static long step(long next) {
        return TABLE[7 * VALUES + ((int) next & 0xFF)]
                ^ TABLE[6 * VALUES + ((int) (next >>> 8) & 0xFF)]
                ^ TABLE[5 * VALUES + ((int) (next >>> 16) & 0xFF)]
                ^ TABLE[4 * VALUES + ((int) (next >>> 24) & 0xFF)]
                ^ TABLE[3 * VALUES + ((int) (next >>> 32) & 0xFF)]
                ^ TABLE[2 * VALUES + ((int) (next >>> 40) & 0xFF)]
                ^ TABLE[VALUES + ((int) (next >>> 48) & 0xFF)]
                ^ TABLE[(int) (next >>> 56)];
    }

    static long of(ByteBuffer bytes) {
        Crc64Nvme crc = new Crc64Nvme();
        crc.update(bytes);
        return crc.value();
    }

    /** Of what was taken in until now. */
    long value() {
        return ~remainder;
    }

    /** As S3's headers carry it. */
    static String base64(long value) {
        return Base64.getEncoder()
                .encodeToString(ByteBuffer.allocate(Long.BYTES).putLong(value).array());
    }

    /**
     * Of two pieces, one behind the other, by theirs (as zlib's crc32_combine does it: bits that follow shift the first piece's
     * remainder, and that is a product of polynomials).
     *
     * @param secondBytes how long the second is
     */
    static long combine(long first, long second, long secondBytes) {
        return product(first, shift(secondBytes)) ^ second;
    }

    /** What bytes that follow make of a remainder, as its factor. */
    private static long shift(long bytes) {
        long shift = ONE;
        long square = X;
        for (long bits = Math.multiplyExact(bytes, (long) Byte.SIZE); bits != 0; bits >>>= 1) {
            if ((bits & 1) != 0) {
                shift = product(shift, square);
            }
            square = product(square, square);
        }
        return shift;
    }

    private static long product(long one, long other) {
        long product = 0;
        long shifted = other;
        for (long bit = ONE; bit != 0; bit >>>= 1) {
            if ((one & bit) != 0) {
                product ^= shifted;
            }
            shifted = (shifted & 1) == 0 ? shifted >>> 1 : (shifted >>> 1) ^ POLYNOMIAL;
        }
        return product;
    }

    private static long[] table() {
        long[] table = new long[STEP * VALUES];
        for (int value = 0; value < VALUES; value++) {
            long crc = value;
            for (int bit = 0; bit < 8; bit++) {
                crc = (crc & 1) == 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
            }
            table[value] = crc;
        }
        for (int at = VALUES; at < table.length; at++) {
            long before = table[at - VALUES];
            table[at] = table[(int) before & 0xFF] ^ (before >>> 8);
        }
        return table;
    }
}
