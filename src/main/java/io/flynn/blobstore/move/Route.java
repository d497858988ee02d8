package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.postgres.LargeObjects;

/** From where to where, and which blobs. */
public record Route(BackendName from, BackendName to, BlobFilter filter) {

    /** @throws IllegalArgumentException if both ends are the same */
    public Route {
        if (from.equals(to)) {
            throw new IllegalArgumentException("blobs can't be moved from %s to %s".formatted(from, to));
        }
    }

    public static Route ofAll(BackendName from, BackendName to) {
        return new Route(from, to, BlobFilter.ALL);
    }

    /** How long a blob may be at the target, in bytes. */
    long bytesMax() {
        return to.isExternal() ? BlobStore.BYTES_MAX : LargeObjects.BYTES_MAX;
    }

    /** Says of a blob of so many bytes that they are more. */
    String tooLarge(long bytes) {
        return "a blob has %d bytes, more than the %d that %s can have"
                .formatted(bytes, bytesMax(), to.isExternal() ? "an object in S3" : "a large object");
    }

    /** For people. */
    @Override
    public String toString() {
        return filter.isAll() ? from + " to " + to : from + " to " + to + " (" + filter + ")";
    }
}
