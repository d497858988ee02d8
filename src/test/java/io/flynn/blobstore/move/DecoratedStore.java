package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.Proof;
import io.flynn.blobstore.store.ReplayableBody;
import java.io.InputStream;
import java.util.Optional;
import java.util.OptionalLong;

/** A store that does what another does, but for what a test has it do differently. */
class DecoratedStore implements BlobStore {

    private final BlobStore store;

    DecoratedStore(BlobStore store) {
        this.store = store;
    }

    @Override
    public void requireBucket() {
        store.requireBucket();
    }

    @Override
    public void put(ObjectKey key, ReplayableBody body) {
        store.put(key, body);
    }

    @Override
    public Proof proof(long bytes) {
        return store.proof(bytes);
    }

    @Override
    public OptionalLong sizeOf(ObjectKey key) {
        return store.sizeOf(key);
    }

    @Override
    public InputStream open(ObjectKey key, long size) {
        return store.open(key, size);
    }

    @Override
    public InputStream open(ObjectKey key, long size, long first, long length) {
        return store.open(key, size, first, length);
    }

    @Override
    public Optional<BlobContent> readBack(ObjectKey key, long expected) {
        return store.readBack(key, expected);
    }
}
