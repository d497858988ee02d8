package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Objects;

/**
 * Bytes that are made rather than kept: a function of a seed, incompressible as a release's are, so that hundreds of megabytes cost
 * no memory. Immutable.
 *
 * @param seed tells one content from another
 * @param size in bytes, from 0
 */
public record Content(long seed, long size) {

    /** The golden ratio of 2^64, SplitMix64's step: any block can be made without those before it. */
    private static final long STEP = 0x9E3779B97F4A7C15L;

    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    public Content {
        if (size < 0) {
            throw new IllegalArgumentException("negative size " + size);
        }
    }

    /** The content that {@code name} has in the run with this seed. */
    public static Content of(long seed, String name, long size) {
        return new Content(mix(seed ^ mix(name.hashCode() * STEP + name.length())), size);
    }

    public Fingerprint fingerprint() {
        try (InputStream bytes = open()) {
            return Fingerprint.of(bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** All of it: for contents that fit in memory many times. */
    public byte[] bytes() {
        try (InputStream bytes = open()) {
            return bytes.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public InputStream open() {
        return new Bytes();
    }

    private static long mix(long value) {
        long z = (value ^ (value >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    private final class Bytes extends InputStream {
        private final byte[] block = new byte[64 * 1024];
        private long madeBytes;
        private int next = block.length;
        private int end = block.length;

        @Override
        public int read() {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte[] target, int offset, int length) {
            Objects.checkFromIndexSize(offset, length, target.length);
            if (length == 0) {
                return 0;
            }
            if (next == end && !makeBlock()) {
                return -1;
            }
            int count = Math.min(length, end - next);
            System.arraycopy(block, next, target, offset, count);
            next += count;
            return count;
        }

        private boolean makeBlock() {
            if (madeBytes == size) {
                return false;
            }
            for (int i = 0; i < block.length; i += Long.BYTES) {
                LONGS.set(block, i, mix(seed + (madeBytes + i) * STEP));
            }
            end = (int) Math.min(block.length, size - madeBytes);
            next = 0;
            madeBytes += end;
            return true;
        }
    }
}
