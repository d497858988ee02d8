package io.flynn.blobstore.store;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.decide.Reasons;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Flow;
import org.jspecify.annotations.Nullable;

/**
 * One blob's bytes as an upload's body, from wherever they are. They are read no faster than the upload asks for them, and the last
 * chunk is held back until size and digest are known to be the row's: what differs is never uploaded whole. Of a part of them only the
 * size is known.
 */
public abstract class CheckedBody implements ReplayableBody {

    /** A store that takes no byte for so long is taken for dead: what is read may hold a snapshot back meanwhile. */
    private static final Duration DEMAND_PATIENCE = Duration.ofSeconds(60);

    private final BlobRow row;
    private final String source;
    private final Optional<Sha512> checked;
    private final Traffic traffic;
    private volatile @Nullable BlobContent lastRead;

    /** @param source what is read, in words that begin a sentence's subject: "its large object" */
    protected CheckedBody(BlobRow row, String source) {
        this(row, source, Optional.empty(), new Traffic());
    }

    /**
     * @param checked the digest that the store checks of what it gets: then nobody needs to here
     * @param traffic is told how long digesting takes
     */
    protected CheckedBody(BlobRow row, String source, Optional<Sha512> checked, Traffic traffic) {
        this.checked = checked;
        this.traffic = traffic;
        this.row = row;
        this.source = source;
    }

    /** Takes the bytes of one subscription, in order. */
    @FunctionalInterface
    public interface Chunks {
        /**
         * Keeps {@code chunk}, which nobody may change after.
         *
         * @return false if no more are wanted
         */
        boolean take(ByteBuffer chunk);
    }

    /**
     * Reads so many bytes from {@code first} on, or until no more are wanted; where those are the row's last, also a byte or more
     * past them if there are any.
     *
     * @throws StorageFailure if that fails
     */
    protected abstract void read(long first, long length, Chunks chunks);

    /** Whether these are the row's last bytes. */
    protected final boolean isEnd(long first, long length) {
        return first + length == row.size();
    }

    @Override
    public final long size() {
        return row.size();
    }

    @Override
    public final String type() {
        return row.type();
    }

    @Override
    public final Optional<Sha512> sha512() {
        return checked;
    }

    /** What the last subscription of all bytes that reached the end of the source found there. */
    public final Optional<BlobContent> lastRead() {
        return Optional.ofNullable(lastRead);
    }

    @Override
    public final Flow.Publisher<ByteBuffer> open(long first, long length) {
        return subscriber -> {
            Reading reading = new Reading(subscriber, first, length);
            subscriber.onSubscribe(reading);
            // A platform thread: it does little but copy between two sockets, where virtual ones were measured slower.
            Thread.ofPlatform().daemon().name("read-" + row.id()).start(reading::run);
        };
    }

    private final class Reading implements Flow.Subscription, Chunks {

        private final Flow.Subscriber<? super ByteBuffer> subscriber;
        private final long first;
        private final long length;
        private final boolean isDigested;
        private final Demand demand = new Demand();
        private final Digest digest = new Digest();
        private @Nullable ByteBuffer heldBack;
        private long size;
        private boolean isCancelled;

        Reading(Flow.Subscriber<? super ByteBuffer> subscriber, long first, long length) {
            this.subscriber = subscriber;
            this.first = first;
            this.length = length;
            isDigested = length == row.size() && checked.isEmpty();
        }

        @Override
        public void request(long items) {
            demand.add(items);
        }

        @Override
        public void cancel() {
            demand.cancel();
        }

        void run() {
            try {
                read(first, length, this);
                if (isCancelled) {
                    return;
                }
                requireAsRecorded();
                if (heldBack != null && !deliver(heldBack)) {
                    return;
                }
            } catch (RuntimeException | Error e) {
                // Whatever it is: who waits for bytes would wait for ever.
                subscriber.onError(e);
                return;
            }
            subscriber.onComplete();
        }

        @Override
        public boolean take(ByteBuffer chunk) {
            if (!chunk.hasRemaining()) {
                return true;
            }
            size += chunk.remaining();
            if (isDigested) {
                long start = System.nanoTime();
                digest.update(chunk.duplicate());
                traffic.waited(Traffic.Wait.DIGEST, System.nanoTime() - start);
            }
            if (size > length) {
                return false;
            }
            if (heldBack != null && !deliver(heldBack)) {
                isCancelled = true;
                return false;
            }
            heldBack = chunk;
            return true;
        }

        private boolean deliver(ByteBuffer chunk) {
            long start = System.nanoTime();
            try {
                Demand.Answer answer = demand.take(DEMAND_PATIENCE);
                traffic.waited(Traffic.Wait.NETWORK, System.nanoTime() - start);
                return switch (answer) {
                    case WANTED -> {
                        subscriber.onNext(chunk);
                        yield true;
                    }
                    case CANCELLED -> false;
                    case NOT_IN_TIME ->
                        throw new StorageFailure.Unreachable(
                                Reasons.ENDPOINT_UNREACHABLE,
                                "blob %s: the store took no byte for %d s"
                                        .formatted(row.id(), DEMAND_PATIENCE.toSeconds()),
                                null);
                };
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException("nobody interrupts this thread", e);
            }
        }

        private void requireAsRecorded() {
            if (size != length) {
                throw new StorageFailure.Corrupt(
                        Reasons.SIZE_DIFFERS,
                        "blob %s: %s is not as long as its row says (%d bytes)".formatted(row.id(), source, row.size()),
                        null);
            }
            if (!isDigested) {
                return;
            }
            BlobContent read = digest.finish();
            lastRead = read;
            if (row.sha512().filter(recorded -> !recorded.equals(read.sha512())).isPresent()) {
                throw new StorageFailure.Corrupt(
                        Reasons.DIGEST_DIFFERS,
                        "blob %s: %s has another digest than its row".formatted(row.id(), source),
                        null);
            }
        }
    }
}
