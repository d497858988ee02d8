package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.Digest;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.async.SdkPublisher;

/** Reads a response to its end and keeps only its size and digest. A retried call starts again from nothing. */
final class DigestingTransformer<R> implements AsyncResponseTransformer<R, BlobContent> {

    private volatile CompletableFuture<BlobContent> result = new CompletableFuture<>();

    @Override
    public CompletableFuture<BlobContent> prepare() {
        result = new CompletableFuture<>();
        return result;
    }

    @Override
    public void onResponse(R response) {}

    @Override
    public void onStream(SdkPublisher<ByteBuffer> publisher) {
        publisher.subscribe(new Digesting(result));
    }

    @Override
    public void exceptionOccurred(Throwable error) {
        result.completeExceptionally(error);
    }

    private static final class Digesting implements Subscriber<ByteBuffer> {

        private final CompletableFuture<BlobContent> result;
        private final Digest digest = new Digest();

        Digesting(CompletableFuture<BlobContent> result) {
            this.result = result;
        }

        @Override
        public void onSubscribe(Subscription subscription) {
            subscription.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(ByteBuffer bytes) {
            digest.update(bytes);
        }

        @Override
        public void onError(Throwable error) {
            result.completeExceptionally(error);
        }

        @Override
        public void onComplete() {
            result.complete(digest.finish());
        }
    }
}
