package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.io.InputStream;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.async.ResponsePublisher;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;

/** Opens objects of one bucket for reading. Thread-safe; opening blocks until the store answers. */
final class ObjectReader {

    private final S3AsyncClient client;
    private final String bucket;
    private final String place;

    /** @param place the bucket as people know it, for messages */
    ObjectReader(S3AsyncClient client, String bucket, String place) {
        this.client = client;
        this.bucket = bucket;
        this.place = place;
    }

    /** All of an object that has {@code size} bytes. */
    InputStream open(ObjectKey key, long size) {
        return open(key, request(key).build(), size);
    }

    /**
     * A part of an object.
     *
     * @param length at least 1
     */
    InputStream open(ObjectKey key, long first, long length) {
        String range = "bytes=%d-%d".formatted(first, first + length - 1);
        return open(key, request(key).range(range).build(), length);
    }

    private GetObjectRequest.Builder request(ObjectKey key) {
        return GetObjectRequest.builder().bucket(bucket).key(key.toString());
    }

    private InputStream open(ObjectKey key, GetObjectRequest request, long length) {
        String tried = "read object " + key + " in " + place;
        ResponsePublisher<GetObjectResponse> answer;
        try {
            answer = client.getObject(request, AsyncResponseTransformer.toPublisher())
                    .join();
        } catch (CompletionException e) {
            throw S3Failures.translate(tried, e);
        }
        ObjectBytes bytes = new ObjectBytes(length, tried);
        answer.subscribe(bytes.subscriber());
        Long announced = answer.response().contentLength();
        if (announced != null && announced != length) {
            bytes.close();
            throw new StorageFailure.Corrupt(
                    Reasons.SIZE_DIFFERS,
                    "could not %s: the store has %d bytes where the row says %d".formatted(tried, announced, length),
                    null);
        }
        return bytes;
    }
}
