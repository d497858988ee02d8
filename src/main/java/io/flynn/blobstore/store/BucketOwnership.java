package io.flynn.blobstore.store;

/**
 * Whose bucket it is: a mark in it names the installation. A restored copy or a clone of a database points at the bucket of the
 * original, and would write and delete there what is the original's.
 *
 * <p>Thread-safe. Both methods block, may be repeated, and throw a {@link StorageFailure} when the store, or the database that
 * says which installation this is, fails; then nothing is known.
 */
public interface BucketOwnership {

    /**
     * Throws unless the bucket is this installation's, nobody's yet, or one that is to be adopted. Writes nothing.
     *
     * @throws StorageFailure.Denied with reason {@code ForeignBucket} if it is another's
     */
    void check();

    /**
     * The same, and marks the bucket as this installation's, unless it is. Of two that do so at once to a bucket without a mark,
     * one gets it, if the store knows conditional writes; else both may for a moment, and one of them is refused when it asks next.
     *
     * @throws StorageFailure.Denied with reason {@code ForeignBucket} if it is another's, or has just become so
     */
    void claim();
}
