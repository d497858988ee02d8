package io.flynn.blobstore.store;

import io.flynn.blobstore.blob.BlobVersion;
import java.util.Optional;

/** What must hold of a name for a change of it to be made. */
@FunctionalInterface
public interface Precondition {

    Precondition NONE = live -> {};

    /**
     * Returns if the change may be made, and throws what its caller is to get if not. Asked while nobody else can change the
     * name, and perhaps more often than once; nothing has changed when it throws.
     *
     * @param live empty if there is no such name
     */
    void check(Optional<BlobVersion> live);

    /** Both must hold. */
    default Precondition and(Precondition other) {
        return live -> {
            check(live);
            other.check(live);
        };
    }
}
