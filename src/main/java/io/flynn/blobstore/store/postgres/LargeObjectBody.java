package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Flow;
import org.jspecify.annotations.Nullable;

/**
 * One large object as an upload's body. The server's messages are handed on without copying, one for each that the upload asks
 * for, so a slow store slows the reading down; a digest is kept of what passes, and the last chunk is held back until size
 * and digest are known to be the row's: what differs is never uploaded whole.
 */
public final class LargeObjectBody implements ReplayableBody {

    /** A store that takes no byte for so long is taken for dead: the statement holds a snapshot back meanwhile. */
    private static final Duration DEMAND_PATIENCE = Duration.ofSeconds(60);

    private final Database database;
    private final BlobRow row;
    private final String chunks;
    private volatile @Nullable BlobContent lastRead;

    LargeObjectBody(Database database, BlobRow row, String chunks) {
        this.database = database;
        this.row = row;
        this.chunks = chunks;
    }

    @Override
    public long size() {
        return row.size();
    }

    @Override
    public String type() {
        return row.type();
    }

    /** What the last subscription that reached the end of the object found there. */
    public Optional<BlobContent> lastRead() {
        return Optional.ofNullable(lastRead);
    }

    @Override
    public Flow.Publisher<ByteBuffer> open() {
        return subscriber -> {
            Demand demand = new Demand();
            subscriber.onSubscribe(new Flow.Subscription() {
                @Override
                public void request(long items) {
                    demand.add(items);
                }

                @Override
                public void cancel() {
                    demand.cancel();
                }
            });
            // A platform thread: it does nothing but copy between two sockets, where virtual ones were measured slower.
            Thread.ofPlatform().daemon().name("read-" + row.id()).start(() -> pump(subscriber, demand));
        };
    }

    private void pump(Flow.Subscriber<? super ByteBuffer> subscriber, Demand demand) {
        boolean isWhole;
        try {
            isWhole = database.with(
                    "read large object " + row.oid().orElseThrow(),
                    connection -> stream(connection, subscriber, demand));
        } catch (StorageFailure | IllegalStateException e) {
            subscriber.onError(e);
            return;
        }
        if (isWhole) {
            subscriber.onComplete();
        }
    }

    /** @return false if the subscriber cancelled */
    private boolean stream(Connection connection, Flow.Subscriber<? super ByteBuffer> subscriber, Demand demand)
            throws SQLException {
        Digest digest = new Digest();
        ByteBuffer heldBack = null;
        try (CopyRows copy = new CopyRows(connection, chunks)) {
            for (ByteBuffer next = copy.next(); next != null; next = copy.next()) {
                ByteBuffer chunk = CopyRows.field(next);
                if (chunk == null || !chunk.hasRemaining()) {
                    continue;
                }
                digest.update(chunk.duplicate());
                if (digest.size() > row.size()) {
                    break;
                }
                if (heldBack != null && !deliver(heldBack, subscriber, demand)) {
                    return false;
                }
                heldBack = chunk;
            }
        }
        BlobContent read = digest.finish();
        lastRead = read;
        requireAsRecorded(read);
        return heldBack == null || deliver(heldBack, subscriber, demand);
    }

    private void requireAsRecorded(BlobContent read) {
        if (read.size() != row.size()) {
            throw new StorageFailure.Corrupt(
                    Reasons.SIZE_DIFFERS,
                    "blob %s: its large object is not as long as its row says (%d bytes)"
                            .formatted(row.id(), row.size()),
                    null);
        }
        if (row.sha512().filter(recorded -> !recorded.equals(read.sha512())).isPresent()) {
            throw new StorageFailure.Corrupt(
                    Reasons.DIGEST_DIFFERS,
                    "blob %s: its large object has another digest than its row".formatted(row.id()),
                    null);
        }
    }

    private boolean deliver(ByteBuffer chunk, Flow.Subscriber<? super ByteBuffer> subscriber, Demand demand) {
        try {
            return switch (demand.take(DEMAND_PATIENCE)) {
                case WANTED -> {
                    subscriber.onNext(chunk);
                    yield true;
                }
                case CANCELLED -> false;
                case NOT_IN_TIME ->
                    throw new StorageFailure.Unreachable(
                            Reasons.ENDPOINT_UNREACHABLE,
                            "blob %s: the store took no byte for %d s".formatted(row.id(), DEMAND_PATIENCE.toSeconds()),
                            null);
            };
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("nobody interrupts this thread", e);
        }
    }
}
