package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;
import org.reactivestreams.FlowAdapters;
import org.reactivestreams.Subscriber;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.services.s3.S3AsyncClient;

/** The bucket of one backend. Thread-safe. */
public final class S3BlobStore implements BlobStore, AutoCloseable {

    private final S3AsyncClient client;
    private final String bucket;
    private final String place;

    /** @param connections at most this many at once */
    public S3BlobStore(BackendSettings backend, int connections) {
        client = S3Clients.open(backend, connections);
        bucket = backend.bucket();
        place = S3Clients.describe(backend);
    }

    /** Lists, since HEAD's answer has no body that says what is missing. */
    @Override
    public void requireBucket() {
        try {
            await("list the bucket", client.listObjectsV2(r -> r.bucket(bucket).maxKeys(1)));
        } catch (StorageFailure.Missing e) {
            throw new StorageFailure.Missing(
                    e.reason(), e.getMessage() + "; create bucket " + bucket + ", or correct s3.bucket", e);
        }
    }

    @Override
    public void put(ObjectKey key, ReplayableBody body) {
        await(
                "store object " + key,
                client.putObject(
                        r -> r.bucket(bucket)
                                .key(key.toString())
                                .contentType(ObjectType.of(body.type()))
                                .contentLength(body.size()),
                        new Body(body)));
    }

    @Override
    public OptionalLong sizeOf(ObjectKey key) {
        return ifThere(() -> await(
                        "look at object " + key,
                        client.headObject(r -> r.bucket(bucket).key(key.toString()))))
                .map(response -> OptionalLong.of(response.contentLength()))
                .orElse(OptionalLong.empty());
    }

    @Override
    public Optional<BlobContent> readBack(ObjectKey key) {
        return ifThere(() -> await(
                "read object " + key,
                client.getObject(r -> r.bucket(bucket).key(key.toString()), new DigestingTransformer<>())));
    }

    @Override
    public void close() {
        client.close();
    }

    private <T> T await(String tried, CompletableFuture<T> call) {
        try {
            return call.join();
        } catch (CompletionException e) {
            throw S3Failures.translate(tried + " in " + place, e);
        }
    }

    /** An object that is missing is an answer; a bucket that is missing is a failure. */
    private static <T> Optional<T> ifThere(Supplier<T> look) {
        try {
            return Optional.of(look.get());
        } catch (StorageFailure.Missing e) {
            if (e.reason().equals(Reasons.OBJECT_MISSING)) {
                return Optional.empty();
            }
            throw e;
        }
    }

    /** The SDK's own bodies copy the bytes, or read a stream that can't be read again. */
    private record Body(ReplayableBody source) implements AsyncRequestBody {
        @Override
        public Optional<Long> contentLength() {
            return Optional.of(source.size());
        }

        @Override
        public void subscribe(Subscriber<? super ByteBuffer> subscriber) {
            FlowAdapters.toPublisher(source.open()).subscribe(subscriber);
        }
    }
}
