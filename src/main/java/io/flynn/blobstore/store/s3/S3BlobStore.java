package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Verification;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.Proof;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Semaphore;
import java.util.function.Supplier;
import org.reactivestreams.FlowAdapters;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.http.HttpStatusCode;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;

/** The bucket of one backend. Thread-safe. */
public final class S3BlobStore implements BlobStore, AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(S3BlobStore.class);

    private final Lazily<S3AsyncClient> client;
    private final Lazily<Proof> proof;
    private final Traffic traffic;
    private final String bucket;
    private final String place;
    private final Lazily<ObjectReader> reader;

    /** Calls beyond it wait here as long as the others go on; the SDK would give up. */
    private final Semaphore calls;

    /** One that reads back. */
    public S3BlobStore(BackendSettings backend, int connections) {
        this(backend, connections, Verification.READ_BACK, new Traffic());
    }

    /**
     * @param connections at most this many at once
     * @param traffic limits what is stored, and is told of it
     */
    public S3BlobStore(BackendSettings backend, int connections, Verification verification, Traffic traffic) {
        this.traffic = traffic;
        client = new Lazily<>(() -> S3Clients.open(backend, connections, List.of(new Refusals(traffic))));
        calls = new Semaphore(connections);
        bucket = backend.bucket();
        place = S3Clients.describe(backend);
        reader = new Lazily<>(() -> new ObjectReader(client.get(), bucket, place));
        proof = new Lazily<>(() -> switch (verification) {
            case READ_BACK -> Proof.NONE;
            case STORE_CHECKSUM -> probed();
        });
    }

    @Override
    public Proof proof() {
        return proof.get();
    }

    private Proof probed() {
        Proof seen;
        try {
            seen = new StoreProofProbe(client.get(), bucket).ask();
        } catch (CompletionException e) {
            throw S3Failures.translate("see which checksums are checked in " + place, e);
        }
        LOG.info("{} proves {}", place, seen);
        return seen;
    }

    /** Lists, since HEAD's answer has no body that says what is missing. */
    @Override
    public void requireBucket() {
        try {
            await(
                    "list the bucket",
                    () -> client.get().listObjectsV2(r -> r.bucket(bucket).maxKeys(1)));
        } catch (StorageFailure.Missing e) {
            throw new StorageFailure.Missing(
                    e.reason(), e.getMessage() + "; create bucket " + bucket + ", or correct s3.bucket", e);
        }
    }

    @Override
    public void put(ObjectKey key, ReplayableBody body) {
        PutObjectRequest.Builder request = PutObjectRequest.builder()
                .bucket(bucket)
                .key(key.toString())
                .contentType(ObjectType.of(body.type()))
                .contentLength(body.size());
        switch (proof.get()) {
            case DIGEST -> body.sha512().ifPresent(digest -> request.checksumSHA512(StoreProofProbe.base64(digest)));
            case TRANSFER ->
                body.held().ifPresent(bytes -> request.checksumCRC64NVME(StoreProofProbe.crc64Nvme(bytes)));
            case NONE -> {}
        }
        body.held().ifPresent(bytes -> traffic.pass(bytes.remaining()));
        Sent sent = new Sent(body, traffic);
        await("store object " + key, () -> client.get().putObject(request.build(), sent));
        traffic.accepted();
        sent.tellWaiting();
    }

    @Override
    public OptionalLong sizeOf(ObjectKey key) {
        return ifThere(() -> await(
                        "look at object " + key,
                        () -> client.get().headObject(r -> r.bucket(bucket).key(key.toString()))))
                .map(response -> OptionalLong.of(response.contentLength()))
                .orElse(OptionalLong.empty());
    }

    @Override
    public InputStream open(ObjectKey key, long size) {
        return reader.get().open(key, size);
    }

    @Override
    public Optional<BlobContent> readBack(ObjectKey key) {
        return ifThere(() -> await(
                "read object " + key,
                () -> client.get().getObject(r -> r.bucket(bucket).key(key.toString()), new DigestingTransformer<>())));
    }

    @Override
    public void close() {
        client.ifThere(S3AsyncClient::close);
    }

    private <T> T await(String tried, Supplier<CompletableFuture<T>> call) {
        calls.acquireUninterruptibly();
        try {
            return call.get().join();
        } catch (CompletionException e) {
            throw S3Failures.translate(tried + " in " + place, e);
        } finally {
            calls.release();
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

    /** Throttles, and what the SDK would try again without a word. */
    private record Refusals(Traffic traffic) implements ExecutionInterceptor {
        @Override
        public void afterTransmission(Context.AfterTransmission answer, ExecutionAttributes attributes) {
            int status = answer.httpResponse().statusCode();
            if (status == HttpStatusCode.THROTTLING || status == HttpStatusCode.SERVICE_UNAVAILABLE) {
                traffic.refused();
            }
        }
    }

    /** The SDK's own bodies copy the bytes, or read a stream that can't be read again. */
    private static final class Sent implements AsyncRequestBody {

        private final ReplayableBody source;
        private final Traffic traffic;
        private volatile long ended = System.nanoTime();

        Sent(ReplayableBody source, Traffic traffic) {
            this.source = source;
            this.traffic = traffic;
        }

        @Override
        public Optional<Long> contentLength() {
            return Optional.of(source.size());
        }

        @Override
        public void subscribe(Subscriber<? super ByteBuffer> subscriber) {
            FlowAdapters.toPublisher(source.open()).subscribe(new Subscriber<>() {
                @Override
                public void onSubscribe(Subscription subscription) {
                    subscriber.onSubscribe(subscription);
                }

                @Override
                public void onNext(ByteBuffer bytes) {
                    // What lies in memory was let pass as a whole: it is delivered by threads that must not wait.
                    if (source.held().isEmpty()) {
                        traffic.pass(bytes.remaining());
                    }
                    subscriber.onNext(bytes);
                }

                @Override
                public void onError(Throwable failure) {
                    subscriber.onError(failure);
                }

                @Override
                public void onComplete() {
                    ended = System.nanoTime();
                    subscriber.onComplete();
                }
            });
        }

        /** Many small ones wait for their answers at once: who sends them says how long for. */
        void tellWaiting() {
            if (source.held().isEmpty()) {
                traffic.waited(Traffic.Wait.STORE, System.nanoTime() - ended);
            }
        }
    }
}
