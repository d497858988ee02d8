package io.flynn.blobstore.store;

import io.flynn.blobstore.blob.Sha512;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.concurrent.Flow;

/**
 * Bytes to upload, of declared length, readable again from the start: an upload that is retried subscribes again, so a retry
 * can never send the tail of a half-read stream.
 */
public interface ReplayableBody {

    /** The exact number of bytes that every subscription delivers. */
    long size();

    /** The digest of what every subscription must deliver, where it is known beforehand: a store that can is asked to check it. */
    default Optional<Sha512> sha512() {
        return Optional.empty();
    }

    /** The bytes themselves, if they lie in memory: then they can be reckoned up before they are sent. */
    default Optional<ByteBuffer> held() {
        return Optional.empty();
    }

    /** The content type to store them with, as the blob's row has it: may be empty, or what no header can carry. */
    String type();

    /** All bytes. If the source doesn't hold exactly what was promised, it ends with an error before the last byte is delivered. */
    default Flow.Publisher<ByteBuffer> open() {
        return open(0, size());
    }

    /**
     * Some of the bytes, delivered on demand and never faster than asked for, by a thread that may wait unless they are {@link #held}.
     * Each subscription reads anew, and any number may be
     * read at once. If the source doesn't hold as many there, it ends with an error before the last byte is delivered; whether they
     * are those that were promised is for who reads all of them.
     */
    Flow.Publisher<ByteBuffer> open(long first, long length);
}
