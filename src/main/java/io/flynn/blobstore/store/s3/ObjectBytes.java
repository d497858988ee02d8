package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.core.exception.SdkException;

/**
 * An object's bytes as they come from the store, no faster than they are read. The SDK's own stream keeps megabytes of them
 * ahead; this one a few of the client's buffers. For one thread; closing it before the end breaks the transfer off.
 *
 * <p>Reading blocks and throws {@link StorageFailure} when the store fails, or ends before as many bytes came as were to.
 */
final class ObjectBytes extends InputStream {

    /** Buffers of at most 8 KiB each, as Netty's HTTP codec cuts them. */
    private static final int AHEAD = 16;

    /** Longer than the client waits for a byte, which it reports itself. */
    private static final Duration PATIENCE = Duration.ofSeconds(90);

    private static final ByteBuffer NOTHING = ByteBuffer.allocate(0);

    private final String tried;
    private final Incoming incoming = new Incoming();
    private long left;
    private ByteBuffer current = NOTHING;

    /**
     * @param length how many bytes there must be
     * @param tried in words that complete "could not …"
     */
    ObjectBytes(long length, String tried) {
        left = length;
        this.tried = tried;
    }

    /** Takes what the store sends; for one subscription. */
    Subscriber<ByteBuffer> subscriber() {
        return incoming;
    }

    @Override
    public int read() {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
    }

    @Override
    public int read(byte[] target, int offset, int length) {
        if (length == 0) {
            return 0;
        }
        if (!current.hasRemaining() && !next()) {
            return -1;
        }
        int taken = Math.min(length, current.remaining());
        current.get(target, offset, taken);
        return taken;
    }

    /** @return false at the end */
    private boolean next() {
        while (!current.hasRemaining()) {
            Event event = incoming.take(tried);
            switch (event) {
                case Event.Bytes bytes -> {
                    current = bytes.buffer();
                    left -= current.remaining();
                    incoming.more();
                }
                case Event.End end -> {
                    requireWhole(end.failure());
                    return false;
                }
            }
        }
        if (left < 0) {
            throw differs();
        }
        return true;
    }

    private void requireWhole(@Nullable Throwable failure) {
        // The end stays the end.
        incoming.end(failure);
        if (failure instanceof SdkException) {
            throw S3Failures.translate(tried, failure);
        }
        if (failure != null) {
            throw new StorageFailure.Unreachable(
                    Reasons.ENDPOINT_UNREACHABLE, "could not " + tried + ": the connection broke off", failure);
        }
        if (left != 0) {
            throw differs();
        }
    }

    private StorageFailure.Corrupt differs() {
        return new StorageFailure.Corrupt(
                Reasons.SIZE_DIFFERS, "could not " + tried + ": it is not as long as its row says", null);
    }

    @Override
    public void close() {
        incoming.cancel();
    }

    private sealed interface Event {
        record Bytes(ByteBuffer buffer) implements Event {}

        record End(@Nullable Throwable failure) implements Event {}
    }

    private static final class Incoming implements Subscriber<ByteBuffer> {

        /** As many buffers as are asked for, and the end. */
        private final BlockingQueue<Event> events = new ArrayBlockingQueue<>(AHEAD + 1);

        private volatile @Nullable Subscription subscription;
        private volatile boolean isCancelled;

        /** May come after the reader has closed already: a transfer that nobody ends keeps its connection for ever. */
        @Override
        public void onSubscribe(Subscription started) {
            subscription = started;
            if (isCancelled) {
                started.cancel();
            } else {
                started.request(AHEAD);
            }
        }

        @Override
        public void onNext(ByteBuffer buffer) {
            events.add(new Event.Bytes(buffer));
        }

        @Override
        public void onError(Throwable failure) {
            end(failure);
        }

        @Override
        public void onComplete() {
            end(null);
        }

        void end(@Nullable Throwable failure) {
            events.offer(new Event.End(failure));
        }

        void more() {
            Subscription running = subscription;
            if (running != null) {
                running.request(1);
            }
        }

        void cancel() {
            isCancelled = true;
            Subscription running = subscription;
            if (running != null) {
                running.cancel();
            }
        }

        Event take(String tried) {
            try {
                Event event = events.poll(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
                if (event != null) {
                    return event;
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            throw new StorageFailure.Unreachable(
                    Reasons.ENDPOINT_UNREACHABLE, "could not " + tried + ": no byte came in time", null);
        }
    }
}
