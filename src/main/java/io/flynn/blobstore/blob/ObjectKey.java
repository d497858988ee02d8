package io.flynn.blobstore.blob;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.UUID;

/**
 * The key of a blob's object in an external backend: a UUID, lower-case, with dashes; rows store it as {@code external_id}.
 *
 * <p>A moved blob's key is a function of its row and its bytes, so a retry writes the same object and changed bytes get
 * another one: a crash leaks nothing, and an upload that ends late can't replace newer bytes.
 */
public record ObjectKey(UUID value) {

    private static final UUID NAMESPACE = UUID.fromString("bcc93561-347f-5f11-8e7b-252ca1d87b03");

    /** The version 5 UUID (RFC 9562, section 5.5) over the row's id (16 bytes) and the digest (64 bytes). */
    public static ObjectKey of(UUID id, Sha512 sha512) {
        byte[] hash = sha1().digest(ByteBuffer.allocate(16 + 16 + 64)
                .putLong(NAMESPACE.getMostSignificantBits())
                .putLong(NAMESPACE.getLeastSignificantBits())
                .putLong(id.getMostSignificantBits())
                .putLong(id.getLeastSignificantBits())
                .put(sha512.bytes())
                .array());
        ByteBuffer bits = ByteBuffer.wrap(hash);
        long most = (bits.getLong() & ~0xF000L) | 0x5000L;
        long least = (bits.getLong() & 0x3FFF_FFFF_FFFF_FFFFL) | 0x8000_0000_0000_0000L;
        return new ObjectKey(new UUID(most, least));
    }

    @Override
    public String toString() {
        return value.toString();
    }

    private static MessageDigest sha1() {
        try {
            return MessageDigest.getInstance("SHA-1");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-1", e);
        }
    }
}
