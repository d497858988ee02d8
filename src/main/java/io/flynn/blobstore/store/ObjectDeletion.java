package io.flynn.blobstore.store;

import io.flynn.blobstore.blob.ObjectKey;

/**
 * Takes objects out of one bucket. Apart from {@link BlobStore}, so that only who cleans can delete. Thread-safe; blocks and throws
 * {@link StorageFailure}.
 */
public interface ObjectDeletion {

    /** Deletes an object that no live row names, or finds it gone. */
    void delete(ObjectKey key);

    /** Aborts what uploads of parts under this key there are. */
    void abortUploads(ObjectKey key);
}
