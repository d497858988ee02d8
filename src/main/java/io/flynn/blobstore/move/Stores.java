package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.store.BlobStore;
import java.util.Map;

/** The buckets of a move's external ends. */
public record Stores(Map<BackendName, BlobStore> byName) {

    public Stores {
        byName = Map.copyOf(byName);
    }

    /** @throws IllegalArgumentException if it was not given */
    BlobStore at(BackendName backend) {
        BlobStore store = byName.get(backend);
        if (store == null) {
            throw new IllegalArgumentException("the bucket of " + backend + " was not opened");
        }
        return store;
    }

    /** Throws if one of them is away, or refuses to answer. */
    void requireBuckets() {
        byName.values().forEach(BlobStore::requireBucket);
    }
}
