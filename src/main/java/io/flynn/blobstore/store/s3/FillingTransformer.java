package io.flynn.blobstore.store.s3;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.async.SdkPublisher;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;

/**
 * Reads a response into memory that is there already; more than fits, or less than was announced, is a failure. A retried call starts
 * again from nothing.
 */
final class FillingTransformer implements AsyncResponseTransformer<GetObjectResponse, GetObjectResponse> {

    private final ByteBuffer target;
    private volatile CompletableFuture<GetObjectResponse> result = new CompletableFuture<>();
    private volatile @Nullable GetObjectResponse response;

    FillingTransformer(ByteBuffer target) {
        this.target = target;
    }

    @Override
    public CompletableFuture<GetObjectResponse> prepare() {
        result = new CompletableFuture<>();
        return result;
    }

    @Override
    public void onResponse(GetObjectResponse answer) {
        response = answer;
    }

    @Override
    public void onStream(SdkPublisher<ByteBuffer> publisher) {
        publisher.subscribe(new Filling(result));
    }

    @Override
    public void exceptionOccurred(Throwable error) {
        result.completeExceptionally(error);
    }

    private final class Filling implements Subscriber<ByteBuffer> {

        private final CompletableFuture<GetObjectResponse> whole;
        private final ByteBuffer filled = target.duplicate().clear();
        private @Nullable Subscription subscription;

        Filling(CompletableFuture<GetObjectResponse> whole) {
            this.whole = whole;
        }

        @Override
        public void onSubscribe(Subscription started) {
            subscription = started;
            started.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(ByteBuffer bytes) {
            if (bytes.remaining() <= filled.remaining()) {
                filled.put(bytes);
                return;
            }
            whole.completeExceptionally(new IOException("more bytes came than were asked for"));
            if (subscription != null) {
                subscription.cancel();
            }
        }

        @Override
        public void onError(Throwable error) {
            whole.completeExceptionally(error);
        }

        @Override
        public void onComplete() {
            GetObjectResponse answer = Objects.requireNonNull(response);
            Long announced = answer.contentLength();
            if (announced != null && announced != filled.position()) {
                whole.completeExceptionally(new IOException("fewer bytes came than were announced"));
            } else {
                whole.complete(answer);
            }
        }
    }
}
