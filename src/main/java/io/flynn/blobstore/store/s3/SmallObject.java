package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.core.ResponseBytes;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.S3Exception;

/**
 * An object that is no blob: it has a name where theirs are UUIDs, and holds a text.
 *
 * @param place the bucket as people know it, for messages
 */
record SmallObject(S3AsyncClient s3, String bucket, String key, String place) {

    /** RFC 9110, section 15.5.17: of an empty object there are no first bytes. */
    private static final int RANGE_NOT_SATISFIABLE = 416;

    /** @param etag by which the store knows its present bytes; empty of an object without any */
    record Content(String text, String etag) {}

    /**
     * Its first bytes, however many it has.
     *
     * @throws StorageFailure if it can't be read; empty if it isn't there
     */
    Optional<Content> read(int bytesMax) {
        try {
            ResponseBytes<GetObjectResponse> object = await(s3.getObject(
                    r -> r.bucket(bucket).key(key).range("bytes=0-" + (bytesMax - 1)),
                    AsyncResponseTransformer.toBytes()));
            return Optional.of(new Content(
                    new String(object.asByteArrayUnsafe(), StandardCharsets.UTF_8),
                    object.response().eTag()));
        } catch (S3Exception e) {
            if (e.statusCode() == RANGE_NOT_SATISFIABLE) {
                return Optional.of(new Content("", ""));
            }
            StorageFailure failure = failed("read", e);
            if (failure.reason().equals(Reasons.OBJECT_MISSING)) {
                return Optional.empty();
            }
            throw failure;
        }
    }

    StorageFailure failed(String verb, Throwable e) {
        return S3Failures.translate("%s object %s in %s".formatted(verb, key, place), e);
    }

    /** @throws S3Exception what the store answered */
    <T> T await(CompletableFuture<T> call) {
        try {
            return call.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof S3Exception answer) {
                throw answer;
            }
            throw failed("reach", e);
        }
    }
}
