package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobFilter;

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

    /** For people. */
    @Override
    public String toString() {
        return filter.isAll() ? from + " to " + to : from + " to " + to + " (" + filter + ")";
    }
}
