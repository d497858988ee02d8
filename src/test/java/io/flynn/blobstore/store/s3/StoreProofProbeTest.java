package io.flynn.blobstore.store.s3;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.store.Traffic;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.AbortMultipartUploadRequest;
import software.amazon.awssdk.services.s3.model.AbortMultipartUploadResponse;
import software.amazon.awssdk.services.s3.model.CompleteMultipartUploadRequest;
import software.amazon.awssdk.services.s3.model.CompleteMultipartUploadResponse;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.CreateMultipartUploadRequest;
import software.amazon.awssdk.services.s3.model.CreateMultipartUploadResponse;
import software.amazon.awssdk.services.s3.model.DeleteObjectRequest;
import software.amazon.awssdk.services.s3.model.DeleteObjectResponse;
import software.amazon.awssdk.services.s3.model.ListMultipartUploadsRequest;
import software.amazon.awssdk.services.s3.model.ListMultipartUploadsResponse;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.UploadPartRequest;
import software.amazon.awssdk.services.s3.model.UploadPartResponse;

/** Stores that no program at hand is: doubles of them. */
class StoreProofProbeTest {

    private static final String PLACE = "bucket blobs";

    /** Compares what it is told of parts with what it is told of all of them, and never looks at a byte. */
    private static class Trusting implements S3AsyncClient {

        private final Map<String, String> told = new HashMap<>();

        @Override
        public String serviceName() {
            return SERVICE_NAME;
        }

        @Override
        public void close() {
            // Has nothing.
        }

        @Override
        public CompletableFuture<CreateMultipartUploadResponse> createMultipartUpload(
                CreateMultipartUploadRequest request) {
            return CompletableFuture.completedFuture(
                    CreateMultipartUploadResponse.builder().uploadId("1").build());
        }

        @Override
        public CompletableFuture<UploadPartResponse> uploadPart(UploadPartRequest request, AsyncRequestBody body) {
            told.put("1", request.checksumCRC64NVME());
            return CompletableFuture.completedFuture(
                    UploadPartResponse.builder().eTag("1").build());
        }

        @Override
        public CompletableFuture<CompleteMultipartUploadResponse> completeMultipartUpload(
                CompleteMultipartUploadRequest request) {
            CompletedPart part = request.multipartUpload().parts().getFirst();
            String ofPart = told.get(part.eTag());
            return part.checksumCRC64NVME().equals(ofPart)
                            && request.checksumCRC64NVME().equals(ofPart)
                    ? CompletableFuture.completedFuture(
                            CompleteMultipartUploadResponse.builder().build())
                    : refused(400);
        }

        @Override
        public CompletableFuture<ListMultipartUploadsResponse> listMultipartUploads(
                ListMultipartUploadsRequest request) {
            return CompletableFuture.completedFuture(
                    ListMultipartUploadsResponse.builder().build());
        }

        @Override
        public CompletableFuture<AbortMultipartUploadResponse> abortMultipartUpload(
                AbortMultipartUploadRequest request) {
            return CompletableFuture.completedFuture(
                    AbortMultipartUploadResponse.builder().build());
        }

        @Override
        public CompletableFuture<DeleteObjectResponse> deleteObject(DeleteObjectRequest request) {
            return CompletableFuture.completedFuture(
                    DeleteObjectResponse.builder().build());
        }
    }

    /** Takes objects whole only. */
    private static final class WholeOnly extends Trusting {

        private final int status;

        WholeOnly(int status) {
            this.status = status;
        }

        @Override
        public CompletableFuture<CreateMultipartUploadResponse> createMultipartUpload(
                CreateMultipartUploadRequest request) {
            return refused(status);
        }
    }

    private static <T> CompletableFuture<T> refused(int status) {
        return CompletableFuture.failedFuture(
                S3Exception.builder().statusCode(status).message("no").build());
    }

    private static S3Calls calls(S3AsyncClient client) {
        return new S3Calls(new Lazily<>(() -> client), 1, "blobs", PLACE);
    }

    @Test
    void aStoreThatBelievesWhatItIsToldOfPartsIsNotTrusted() {
        assertThat(new StoreProofProbe(calls(new Trusting())).askGathered()).isEqualTo(PartedChecks.NONE);
    }

    /** What is larger than a part is then sent whole, and read back. */
    @ParameterizedTest
    @ValueSource(ints = {403, 405, 501})
    void whoMayNotSendPartsSendsObjectsWhole(int status) {
        GatheredUploads uploads = new GatheredUploads(
                calls(new WholeOnly(status)), TransferSizes.S3, new Traffic(), PartMemory.OF_THIS_PROCESS);

        assertThat(uploads.isFor(TransferSizes.S3.gathered())).isTrue();
        assertThat(uploads.isFor(TransferSizes.S3.gathered() + 1L)).isFalse();
    }
}
