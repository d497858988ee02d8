package io.flynn.blobstore.store;

import io.flynn.blobstore.blob.Sha512;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A small blob that lies in memory.
 *
 * @param sha512 its digest, if a store may be asked to check it
 */
public record BytesBody(ByteBuffer bytes, String type, Optional<Sha512> sha512) implements ReplayableBody {

    @Override
    public long size() {
        return bytes.remaining();
    }

    @Override
    public Optional<ByteBuffer> held() {
        return Optional.of(bytes.duplicate());
    }

    @Override
    public Flow.Publisher<ByteBuffer> open(long first, long length) {
        ByteBuffer part = bytes.slice(bytes.position() + Math.toIntExact(first), Math.toIntExact(length));
        return subscriber -> subscriber.onSubscribe(new Once(part, subscriber));
    }

    private static final class Once implements Flow.Subscription {

        private final ByteBuffer bytes;
        private final Flow.Subscriber<? super ByteBuffer> subscriber;
        private final AtomicBoolean isOver = new AtomicBoolean();

        Once(ByteBuffer bytes, Flow.Subscriber<? super ByteBuffer> subscriber) {
            this.bytes = bytes;
            this.subscriber = subscriber;
        }

        @Override
        public void request(long items) {
            if (isOver.compareAndSet(false, true)) {
                if (bytes.hasRemaining()) {
                    subscriber.onNext(bytes.duplicate());
                }
                subscriber.onComplete();
            }
        }

        @Override
        public void cancel() {
            isOver.set(true);
        }
    }
}
