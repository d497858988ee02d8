package io.flynn.blobstore.blob;

import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;

/** A SHA-512 digest: exactly 64 bytes. Immutable; equal when the bytes are. */
public final class Sha512 {

    /** Bytes. */
    public static final int LENGTH = 64;

    private final byte[] bytes;

    /** @throws IllegalArgumentException if {@code bytes} are not 64 */
    public Sha512(byte[] bytes) {
        if (bytes.length != LENGTH) {
            throw new IllegalArgumentException("a SHA-512 digest has 64 bytes, not " + bytes.length);
        }
        this.bytes = bytes.clone();
    }

    public byte[] bytes() {
        return bytes.clone();
    }

    /** As the blobstore's {@code Etag} carries it, without the quotes. */
    public String base64() {
        return Base64.getEncoder().encodeToString(bytes);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Sha512 that && Arrays.equals(bytes, that.bytes);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(bytes);
    }

    /** Lower-case hex. */
    @Override
    public String toString() {
        return HexFormat.of().formatHex(bytes);
    }
}
