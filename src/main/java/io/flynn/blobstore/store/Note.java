package io.flynn.blobstore.store;

import java.util.Optional;

/**
 * A text beside a bucket's blobs that a program leaves for the one that comes after it. There is one of a kind: who writes it replaces it.
 *
 * <p>Thread-safe. The methods block, may be repeated, and throw a {@link StorageFailure} when the store fails, or the bucket is another
 * installation's; what lies there then is the old text or the new one.
 */
public interface Note {

    /** Characters, all of them ASCII. */
    int LENGTH_MAX = 256 * 1024;

    /** Where it lies, as people know it. */
    String place();

    /** Empty if there is none; what is longer than may be is cut off. */
    Optional<String> read();

    /** @param text no longer than {@link #LENGTH_MAX} */
    void write(String text);

    /** Does nothing if there is none. */
    void erase();
}
