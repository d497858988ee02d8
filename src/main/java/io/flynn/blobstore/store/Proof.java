package io.flynn.blobstore.store;

/** What a store that took an object has shown by taking it: each was seen to refuse what it doesn't name. */
public enum Proof {
    /** Nothing: the object must be read back. */
    NONE,
    /**
     * That the bytes are those that the body delivers, which was read whole, to its end. Whether they are the blob's is for the body,
     * or the sender, to know.
     */
    CONTENT,
    /** That the bytes have the digest that was sent with them; of a body whose digest isn't known, nothing. */
    DIGEST
}
