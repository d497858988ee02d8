package io.flynn.blobstore.store;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.ObjectKey;
import java.io.InputStream;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * One bucket, as a move needs it. Objects are never deleted through it: workers delete no objects.
 *
 * <p>Thread-safe. Calls block, best a virtual thread, and end in bounded time once bytes stop to flow; they throw a {@link
 * StorageFailure}, never anything else. They are retried inside, so callers don't.
 */
public interface BlobStore {

    /** The longest object that there can be (Amazon S3 User Guide, "Amazon S3 multipart upload limits"). */
    long BYTES_MAX = 5L << 40;

    /**
     * Throws unless the bucket is there and answers this key: about an object alone, a store can't say what is missing.
     *
     * @throws io.flynn.blobstore.store.StorageFailure.Missing if there is no such bucket
     */
    void requireBucket();

    /**
     * Stores {@code body} under {@code key}, replacing what lies there. After a failure the object is whole, as it was before,
     * or absent, never a part; which of these is unknown.
     */
    void put(ObjectKey key, ReplayableBody body);

    /**
     * What {@link #put} proves when it returns. The first call may ask the store, and leaves nothing behind there.
     *
     * @param bytes of how many
     */
    default Proof proof(long bytes) {
        return Proof.NONE;
    }

    /** The length of the object under {@code key}, empty if there is none. Says nothing about its bytes. */
    OptionalLong sizeOf(ObjectKey key);

    /**
     * The object's bytes as they come from the store, no faster than they are read; reading blocks and throws {@link
     * StorageFailure}, also at the end if there were fewer or more than {@code size}. The caller's to close.
     *
     * @throws StorageFailure.Missing if there is none
     * @throws StorageFailure.Corrupt if it has another size
     */
    InputStream open(ObjectKey key, long size);

    /**
     * Some of its bytes, likewise.
     *
     * @param size of the whole object
     * @param length at least 1
     */
    InputStream open(ObjectKey key, long size, long first, long length);

    /**
     * Downloads the whole object and digests it; empty if there is none.
     *
     * @param expected how many bytes it should have: more of them are fetched in another way than few
     */
    Optional<BlobContent> readBack(ObjectKey key, long expected);
}
