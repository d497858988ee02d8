package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.store.StorageFailure;
import java.io.InputStream;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.async.ResponsePublisher;
import software.amazon.awssdk.services.s3.S3AsyncClient;
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
        return open(key, ObjectRange.all(size));
    }

    /**
     * A part of an object that has {@code size} bytes.
     *
     * @param length at least 1
     */
    InputStream open(ObjectKey key, long size, long first, long length) {
        return open(key, new ObjectRange(size, first, length));
    }

    private InputStream open(ObjectKey key, ObjectRange range) {
        Opened opened = request(key, range, null);
        return new ResumedObject(
                opened.bytes(),
                range.length(),
                // Nobody changes an object; should somebody, no answer is made of two.
                read -> request(key, range.after(read), opened.etag()).bytes());
    }

    private record Opened(ObjectBytes bytes, @Nullable String etag) {}

    /** @param etag of the only version that is wanted; null = whichever is there */
    private Opened request(ObjectKey key, ObjectRange range, @Nullable String etag) {
        String tried = "read object " + key + " in " + place;
        ResponsePublisher<GetObjectResponse> answer;
        try {
            answer = client.getObject(
                            r -> r.bucket(bucket)
                                    .key(key.toString())
                                    .range(range.header())
                                    .ifMatch(etag),
                            AsyncResponseTransformer.toPublisher())
                    .join();
        } catch (CompletionException e) {
            throw range.refused(tried, e);
        }
        ObjectBytes bytes = new ObjectBytes(range.length(), tried);
        answer.subscribe(bytes.subscriber());
        try {
            range.requireIn(answer.response(), tried);
        } catch (StorageFailure e) {
            bytes.close();
            throw e;
        }
        return new Opened(bytes, answer.response().eTag());
    }
}
