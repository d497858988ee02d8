package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * Two byte sequences are the same exactly if these are.
 *
 * @param sha512 128 lower-case hex digits
 */
public record Fingerprint(long size, String sha512) {

    public static Fingerprint of(byte[] bytes) {
        return new Fingerprint(
                bytes.length, HexFormat.of().formatHex(sha512Digest().digest(bytes)));
    }

    /** Reads to the end; the caller closes. */
    public static Fingerprint of(InputStream bytes) throws IOException {
        MessageDigest digest = sha512Digest();
        byte[] buffer = new byte[64 * 1024];
        long size = 0;
        for (int count = bytes.read(buffer); count >= 0; count = bytes.read(buffer)) {
            digest.update(buffer, 0, count);
            size += count;
        }
        return new Fingerprint(size, HexFormat.of().formatHex(digest.digest()));
    }

    private static MessageDigest sha512Digest() {
        try {
            return MessageDigest.getInstance("SHA-512");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public String toString() {
        return "%,d bytes, sha512 %s…".formatted(size, sha512.substring(0, 12));
    }
}
