package io.flynn.blobstore.blob;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** Counts and digests bytes as they pass. For one thread at a time, and for one pass. */
public final class Digest {

    private final MessageDigest sha512;
    private long size;

    public Digest() {
        try {
            sha512 = MessageDigest.getInstance("SHA-512");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-512", e);
        }
    }

    /** Takes the remaining bytes in; the buffer's position is moved to its limit. */
    public void update(ByteBuffer bytes) {
        size += bytes.remaining();
        sha512.update(bytes);
    }

    /** Bytes taken in so far. */
    public long size() {
        return size;
    }

    /** What was taken in until now; more may follow. */
    public BlobContent soFar() {
        try {
            return new BlobContent(size, new Sha512(((MessageDigest) sha512.clone()).digest()));
        } catch (CloneNotSupportedException e) {
            throw new IllegalStateException("the JDK's own digests can be cloned", e);
        }
    }

    /** What was taken in; nothing may be added after it. */
    public BlobContent finish() {
        return new BlobContent(size, new Sha512(sha512.digest()));
    }
}
