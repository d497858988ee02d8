package io.flynn.blobstore.blob;

/** What some bytes are: their number and their digest. Two blobs with equal content hold the same bytes. */
public record BlobContent(long size, Sha512 sha512) {

    /** @throws IllegalArgumentException if {@code size} is negative */
    public BlobContent {
        if (size < 0) {
            throw new IllegalArgumentException("size is negative: " + size);
        }
    }
}
