package io.flynn.blobstore.store;

import io.flynn.blobstore.blob.ObjectKey;
import java.util.Optional;

/**
 * One bucket, as the sweep of what no row names needs it: the only port through which objects are deleted that no row asks to
 * have deleted.
 *
 * <p>Thread-safe. Calls block and throw a {@link StorageFailure}.
 */
public interface OrphanStore extends ObjectDeletion {

    /** What changes whenever the object is stored anew; empty if there is no object. */
    Optional<String> version(ObjectKey key);
}
