package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.io.InputStream;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
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
        return open(key, 0, size, true);
    }

    /**
     * A part of an object.
     *
     * @param length at least 1
     */
    InputStream open(ObjectKey key, long first, long length) {
        return open(key, first, length, false);
    }

    private InputStream open(ObjectKey key, long first, long length, boolean isWhole) {
        Opened opened = request(key, length, r -> r.range(isWhole ? null : range(first, length)));
        return new ResumedObject(
                opened.bytes(),
                length,
                // Nobody changes an object; should somebody, no answer is made of two.
                read -> request(
                                key,
                                length - read,
                                r -> r.range(range(first + read, length - read)).ifMatch(opened.etag()))
                        .bytes());
    }

    private static String range(long first, long length) {
        return "bytes=%d-%d".formatted(first, first + length - 1);
    }

    private record Opened(ObjectBytes bytes, @Nullable String etag) {}

    private Opened request(ObjectKey key, long length, Consumer<GetObjectRequest.Builder> which) {
        String tried = "read object " + key + " in " + place;
        ResponsePublisher<GetObjectResponse> answer;
        try {
            answer = client.getObject(
                            r -> r.bucket(bucket).key(key.toString()).applyMutation(which),
                            AsyncResponseTransformer.toPublisher())
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
        return new Opened(bytes, answer.response().eTag());
    }
}
