package io.flynn.blobstore.store.s3;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Base64;

/**
 * CRC-64/NVME, by which S3 checks whole objects (NVM Express NVM Command Set Specification, "64b CRC Polynomials": reflected, ones at
 * the start and at the end). Eight bytes a step through tables: the SDK reckons it only with a library of 24 MB. For one thread.
 */
final class Crc64Nvme {

    private static final long POLYNOMIAL = 0x9A6C_9329_AC4B_C9B5L;

    /** Polynomials are reflected: the highest bit is the coefficient of 1. */
    private static final long ONE = Long.MIN_VALUE;

    private static final long X = ONE >>> 1;

    private static final int STEP = Long.BYTES;
    private static final long[][] TABLES = tables();
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
        long crc = remainder;
        int at = from;
        int end = from + length;
        long[] t0 = TABLES[0];
        long[] t1 = TABLES[1];
        long[] t2 = TABLES[2];
        long[] t3 = TABLES[3];
        long[] t4 = TABLES[4];
        long[] t5 = TABLES[5];
        long[] t6 = TABLES[6];
        long[] t7 = TABLES[7];
        for (; at <= end - STEP; at += STEP) {
            long next = crc ^ (long) LONGS.get(bytes, at);
            crc = t7[(int) next & 0xFF]
                    ^ t6[(int) (next >>> 8) & 0xFF]
                    ^ t5[(int) (next >>> 16) & 0xFF]
                    ^ t4[(int) (next >>> 24) & 0xFF]
                    ^ t3[(int) (next >>> 32) & 0xFF]
                    ^ t2[(int) (next >>> 40) & 0xFF]
                    ^ t1[(int) (next >>> 48) & 0xFF]
                    ^ t0[(int) (next >>> 56)];
        }
        for (; at < end; at++) {
            crc = t0[(int) (crc ^ bytes[at]) & 0xFF] ^ (crc >>> 8);
        }
        remainder = crc;
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
        long shift = ONE;
        long square = X;
        for (long bits = Math.multiplyExact(secondBytes, (long) Byte.SIZE); bits != 0; bits >>>= 1) {
            if ((bits & 1) != 0) {
                shift = product(shift, square);
            }
            square = product(square, square);
        }
        return product(first, shift) ^ second;
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

    /** Table k holds what a byte leaves that is followed by k bytes of zeros. */
    private static long[][] tables() {
        long[][] tables = new long[STEP][256];
        for (int value = 0; value < 256; value++) {
            long crc = value;
            for (int bit = 0; bit < 8; bit++) {
                crc = (crc & 1) == 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
            }
            tables[0][value] = crc;
        }
        for (int table = 1; table < STEP; table++) {
            for (int value = 0; value < 256; value++) {
                long before = tables[table - 1][value];
                tables[table][value] = tables[0][(int) before & 0xFF] ^ (before >>> 8);
            }
        }
        return tables;
    }
}
