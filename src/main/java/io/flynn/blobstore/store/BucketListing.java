package io.flynn.blobstore.store;

import io.flynn.blobstore.blob.ObjectKey;
import java.util.Iterator;

/**
 * What lies in one bucket. Reads only.
 *
 * <p>Iterators fetch page after page while they are read, so a million objects take no more memory than a thousand; they block,
 * throw a {@link StorageFailure} when the store fails, and are for one thread. What is stored or deleted meanwhile may be among
 * what they give, or not.
 */
public interface BucketListing {

    /** An object and its bytes. */
    record StoredObject(String key, long size) {}

    /** Every object but the mark of the bucket's owner, in the order of the keys' bytes if the store does as S3. */
    Iterator<StoredObject> objects();

    /**
     * The keys of all multipart uploads that were neither completed nor aborted, in any order; a key once for each. MinIO lists
     * only those that it has begun since it was started (older ones are found by {@link #hasUpload}), and aborts by itself what
     * nobody ends within a day.
     */
    Iterator<String> uploads();

    /** Whether there is such an upload under this very key. */
    boolean hasUpload(ObjectKey key);
}
