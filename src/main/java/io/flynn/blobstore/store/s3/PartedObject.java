package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.util.List;
import java.util.Optional;
import software.amazon.awssdk.services.s3.model.CompleteMultipartUploadRequest;
import software.amazon.awssdk.services.s3.model.CreateMultipartUploadRequest;
import software.amazon.awssdk.services.s3.model.HeadObjectResponse;
import software.amazon.awssdk.services.s3.model.UploadPartRequest;

/**
 * An object that is made of parts: begun, and completed or aborted. Nothing can be read under its key before all of them are there. A
 * store that checks the checksum of such an object is told the one that those of its parts make, before it makes the object of them.
 *
 * <p>After a failure no upload is left; what a process leaves that dies, {@code blobstore check} lists, and the next upload to the key
 * aborts. For one upload; blocks, and throws {@link StorageFailure} when the store fails.
 */
final class PartedObject {

    private final S3Calls calls;
    private final PartedChecks checks;
    private final ObjectKey key;
    private final MultipartUploads unfinished;
    private final Optional<String> before;
    private final String id;

    /**
     * Begins it, under a key that nobody else uses.
     *
     * @param checks what the store was seen to compare it with
     * @param type its content type, as the blob's row has it
     */
    PartedObject(S3Calls calls, PartedChecks checks, ObjectKey key, String type) {
        this.calls = calls;
        this.checks = checks;
        this.key = key;
        unfinished = new MultipartUploads(calls.client(), calls.bucket(), calls.place());
        unfinished.abort(key, Optional.empty());
        // What lies there may be as long, and wrong.
        before = head().map(HeadObjectResponse::eTag);
        id = begin(type);
    }

    private String begin(String type) {
        MultipartUploads.Repetition repetition = new MultipartUploads.Repetition();
        CreateMultipartUploadRequest.Builder request = checks.atBegin(CreateMultipartUploadRequest.builder()
                .bucket(calls.bucket())
                .key(key.toString())
                .contentType(ObjectType.of(type))
                .overrideConfiguration(o -> o.addMetricPublisher(repetition)));
        try {
            String begun = calls.await(
                            "begin an upload of object " + key, client -> client.createMultipartUpload(request.build()))
                    .uploadId();
            if (repetition.mayBe()) {
                unfinished.abort(key, Optional.of(begun));
            }
            return begun;
        } catch (StorageFailure e) {
            // An upload whose beginning was never answered has no name here.
            suppressed(e, () -> unfinished.abort(key, Optional.empty()));
            throw e;
        }
    }

    UploadPartRequest.Builder part(int number, long length) {
        return UploadPartRequest.builder()
                .bucket(calls.bucket())
                .key(key.toString())
                .uploadId(id)
                .partNumber(number)
                .contentLength(length);
    }

    /** Once all of them are there. */
    void complete(List<SentPart> parts) {
        CompleteMultipartUploadRequest request = checks.atEnd(
                        CompleteMultipartUploadRequest.builder()
                                .bucket(calls.bucket())
                                .key(key.toString())
                                .uploadId(id),
                        parts,
                        SentPart.crc64Nvme(parts))
                .build();
        try {
            calls.await("complete object " + key, client -> client.completeMultipartUpload(request));
        } catch (StorageFailure.Corrupt | StorageFailure.Denied e) {
            // An answer to the first request as well as to its repetition: whatever lies there now, it isn't believed.
            throw e;
        } catch (StorageFailure e) {
            if (!isStored(SentPart.length(parts), e)) {
                throw e;
            }
        }
    }

    /** If an answer is lost, its repetition is told that there is no such upload: then the object is another than before. */
    private boolean isStored(long size, StorageFailure cause) {
        try {
            return head().filter(object -> object.contentLength() == size
                            && !Optional.ofNullable(object.eTag()).equals(before))
                    .isPresent();
        } catch (StorageFailure e) {
            cause.addSuppressed(e);
            return false;
        }
    }

    private Optional<HeadObjectResponse> head() {
        try {
            return Optional.of(calls.await(
                    "look at object " + key,
                    client -> client.headObject(r -> r.bucket(calls.bucket()).key(key.toString()))));
        } catch (StorageFailure.Missing e) {
            if (e.reason().equals(Reasons.OBJECT_MISSING)) {
                return Optional.empty();
            }
            throw e;
        }
    }

    /** Once none of its parts is on its way any more, because of {@code cause}; a failure to do so is added to that. */
    void abort(RuntimeException cause) {
        suppressed(cause, () -> unfinished.abort(key, id));
    }

    private static void suppressed(RuntimeException cause, Runnable cleaning) {
        try {
            cleaning.run();
        } catch (StorageFailure e) {
            cause.addSuppressed(e);
        }
    }
}
