package io.flynn.blobstore.store.s3;

import java.util.List;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.model.ChecksumType;
import software.amazon.awssdk.services.s3.model.CompleteMultipartUploadRequest;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.CreateMultipartUploadRequest;

/** What a store compares an object with that it makes of parts, and how it is told: a store refuses a header that it doesn't know. */
enum PartedChecks {
    /** No more than that the parts are those that were sent. */
    NONE,
    /** A CRC-64/NVME of all its bytes. */
    CHECKSUM,
    /** That, and how many they are. */
    CHECKSUM_AND_SIZE;

    CreateMultipartUploadRequest.Builder atBegin(CreateMultipartUploadRequest.Builder request) {
        return this == NONE
                ? request
                : request.checksumAlgorithm(ChecksumAlgorithm.CRC64_NVME).checksumType(ChecksumType.FULL_OBJECT);
    }

    /**
     * @param parts of which it is made
     * @param crc64Nvme of all of it
     */
    CompleteMultipartUploadRequest.Builder atEnd(
            CompleteMultipartUploadRequest.Builder request, List<SentPart> parts, long crc64Nvme) {
        request.multipartUpload(m -> m.parts(parts.stream().map(this::atEnd).toList()));
        if (this != NONE) {
            request.checksumType(ChecksumType.FULL_OBJECT).checksumCRC64NVME(Crc64Nvme.base64(crc64Nvme));
        }
        return this == CHECKSUM_AND_SIZE ? request.mpuObjectSize(SentPart.length(parts)) : request;
    }

    private CompletedPart atEnd(SentPart part) {
        CompletedPart.Builder completed =
                CompletedPart.builder().partNumber(part.number()).eTag(part.etag());
        // S3 doesn't need it for the checksum of a whole object; versitygw does.
        return (this == NONE ? completed : completed.checksumCRC64NVME(Crc64Nvme.base64(part.crc64Nvme()))).build();
    }
}
