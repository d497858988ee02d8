package io.flynn.blobstore.store.s3;

import java.util.List;

/** A part that the store has. */
record SentPart(int number, String etag, long length, long crc64Nvme) {

    static long length(List<SentPart> parts) {
        return parts.stream().mapToLong(SentPart::length).sum();
    }

    /** Of the object that they make. */
    static long crc64Nvme(List<SentPart> parts) {
        long crc = 0;
        for (SentPart part : parts) {
            crc = Crc64Nvme.combine(crc, part.crc64Nvme(), part.length());
        }
        return crc;
    }
}
