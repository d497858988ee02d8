package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.Traffic;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.concurrent.Flow;
import org.reactivestreams.FlowAdapters;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.http.async.SdkHttpContentPublisher;

/**
 * A body, or a part of it, as the SDK sends it: read anew for every attempt. The SDK's own bodies copy the bytes, or read a stream that
 * can't be read again.
 */
final class SentBytes implements AsyncRequestBody, SdkHttpContentPublisher {

    private final ReplayableBody source;
    private final long first;
    private final long length;
    private final boolean isSummed;
    private final Traffic traffic;
    private volatile long ended = System.nanoTime();
    private volatile long crc64Nvme;

    private SentBytes(ReplayableBody source, long first, long length, boolean isSummed, Traffic traffic) {
        this.source = source;
        this.first = first;
        this.length = length;
        this.isSummed = isSummed;
        this.traffic = traffic;
    }

    static SentBytes all(ReplayableBody source, Traffic traffic) {
        return new SentBytes(source, 0, source.size(), false, traffic);
    }

    /** @param isSummed whether its checksum will be asked for */
    static SentBytes part(ReplayableBody source, long first, long length, boolean isSummed, Traffic traffic) {
        return new SentBytes(source, first, length, isSummed, traffic);
    }

    @Override
    public Optional<Long> contentLength() {
        return Optional.of(length);
    }

    @Override
    public void subscribe(Subscriber<? super ByteBuffer> subscriber) {
        Flow.Publisher<ByteBuffer> bytes = length == source.size() ? source.open() : source.open(first, length);
        FlowAdapters.toPublisher(bytes).subscribe(new Passing(subscriber));
    }

    /** Of what the last attempt sent that sent all; to be asked for after it. */
    long crc64Nvme() {
        return crc64Nvme;
    }

    /** Many small ones wait for their answers at once: who sends them says how long for. */
    void tellWaiting() {
        if (source.held().isEmpty()) {
            traffic.waited(Traffic.Wait.STORE, System.nanoTime() - ended);
        }
    }

    private final class Passing implements Subscriber<ByteBuffer> {

        private final Subscriber<? super ByteBuffer> subscriber;
        private final Crc64Nvme crc = new Crc64Nvme();
        private long passed;

        Passing(Subscriber<? super ByteBuffer> subscriber) {
            this.subscriber = subscriber;
        }

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
            if (isSummed) {
                crc.update(bytes);
            }
            passed += bytes.remaining();
            // The client takes the last byte for the end: the answer may be there before this body says so itself.
            if (passed == length) {
                ended = System.nanoTime();
                crc64Nvme = crc.value();
            }
            subscriber.onNext(bytes);
        }

        @Override
        public void onError(Throwable failure) {
            subscriber.onError(failure);
        }

        @Override
        public void onComplete() {
            subscriber.onComplete();
        }
    }
}
