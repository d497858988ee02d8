package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.BytesBody;
import io.flynn.blobstore.store.ObjectDeletion;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.OlderTransactions;
import io.flynn.blobstore.store.postgres.RetainedObjects;
import io.flynn.blobstore.store.postgres.RetainedObjects.Retained;
import io.flynn.blobstore.store.postgres.RetiredObjects;
import io.flynn.blobstore.store.postgres.RetiredObjects.Found;
import io.flynn.blobstore.store.postgres.RetiredObjects.Retired;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Function;

/**
 * Deletes the objects that moved blobs have left in the bucket that they came from, once no link to them can work any more: first
 * each is released, after its blob was proven at the target; then whatever is released, and old enough, is deleted as a server
 * does it with replaced versions.
 */
public final class ObjectCleaning {

    private static final int BATCH = 500;

    /** Each look reads the table from end to end. */
    private static final int LOOK = 20 * BATCH;

    private static final Duration LOOK_EVERY = Duration.ofMillis(500);
    private static final Duration TRANSACTIONS_PATIENCE = Duration.ofMinutes(10);

    private static final UUID BEFORE_ALL = new UUID(0, 0);

    private final StageContext context;
    private final Route route;
    private final Stores stores;
    private final Source source;
    private final int concurrency;
    private final Function<BlobRow, Settler.Outcome> prove;
    private final Cleaned cleaned;
    private final RetainedObjects retained;
    private final RetiredObjects retired;
    private final OlderTransactions transactions;

    /**
     * Where objects are deleted.
     *
     * @param age how long ago a blob must have left its object
     */
    public record Source(ObjectDeletion objects, Duration age) {}

    /** Told what was cleaned. */
    @FunctionalInterface
    interface Cleaned {
        void add(long blobs, long bytes);
    }

    ObjectCleaning(
            StageContext context,
            Route route,
            Stores stores,
            Source source,
            int concurrency,
            Function<BlobRow, Settler.Outcome> prove,
            Cleaned cleaned) {
        this.context = context;
        this.route = route;
        this.stores = stores;
        this.source = source;
        this.concurrency = concurrency;
        this.prove = prove;
        this.cleaned = cleaned;
        retained = new RetainedObjects(context.database());
        retired = new RetiredObjects(context.database());
        transactions = new OlderTransactions(context.database());
    }

    void clean() {
        if (route.to().isExternal()) {
            requireTwoBuckets();
        }
        awaitAge();
        transactions.awaitEnd(TRANSACTIONS_PATIENCE, context.stop()::isRequested);
        Optional<UUID> after = Optional.empty();
        List<Retained> page;
        do {
            page = retained.page(route.from(), route.filter(), after, BATCH);
            release(page);
            after = page.isEmpty() ? after : Optional.of(page.getLast().id());
        } while (page.size() == BATCH && !context.stop().isRequested());
        delete();
    }

    /**
     * Two names for one bucket would have the only copy deleted. Names and addresses may differ and mean the same, so an object that is
     * put into the one is looked for in the other.
     */
    private void requireTwoBuckets() {
        ObjectKey key = new ObjectKey(UUID.randomUUID());
        BlobStore from = stores.at(route.from());
        try {
            from.put(
                    key,
                    new BytesBody(
                            ByteBuffer.wrap("are these two buckets?".getBytes(StandardCharsets.US_ASCII)),
                            "text/plain",
                            Optional.empty()));
            if (stores.at(route.to()).sizeOf(key).isPresent()) {
                throw new StorageFailure.Denied(
                        Reasons.SAME_BUCKET,
                        "%s and %s are two names of one bucket: what is deleted at the one is gone at the other"
                                .formatted(route.from(), route.to()),
                        null);
            }
        } finally {
            source.objects().delete(key);
        }
    }

    /** Links to what was left last may still work. */
    private void awaitAge() {
        long end = System.nanoTime() + source.age().plus(TRANSACTIONS_PATIENCE).toNanos();
        while (retained.untilAllAreAsOldAs(source.age(), route.from(), route.filter())
                        .isPositive()
                && !context.stop().isRequested()) {
            if (System.nanoTime() > end) {
                throw new StorageFailure.Busy(
                        Reasons.ROWS_BUSY, "blobs go on leaving " + route.from() + " while it is cleaned", null);
            }
            Pauses.sleep(LOOK_EVERY);
        }
    }

    private void release(List<Retained> page) {
        Queue<UUID> released = new ConcurrentLinkedQueue<>();
        try (InFlight blobs = new InFlight(concurrency)) {
            for (Retained left : page) {
                blobs.submit(() -> {
                    if (!context.stop().isRequested() && isFree(left)) {
                        released.add(left.id());
                    }
                });
            }
        }
        retained.release(context.fence(), released);
        long bytes = page.stream()
                .filter(left -> released.contains(left.id()))
                .mapToLong(left -> left.blob().map(BlobRow::size).orElse(0L))
                .sum();
        cleaned.add(released.size(), bytes);
    }

    /** Whether nobody needs it: its blob was proven elsewhere, or was deleted or replaced. */
    private boolean isFree(Retained left) {
        Optional<BlobRow> blob = left.blobOf(route.from());
        if (blob.isEmpty()) {
            return true;
        }
        if (blob.get().backend().equals(route.from())) {
            return false;
        }
        return switch (prove.apply(blob.get())) {
            case PROVEN -> true;
            // Another look will tell what became of it.
            case PUT_BACK, GONE, BUSY, LOST -> false;
        };
    }

    private void delete() {
        Optional<UUID> after = Optional.of(BEFORE_ALL);
        while (after.isPresent()) {
            Found found = retired.find(route.from().value(), source.age(), after.get(), LOOK);
            for (List<UUID> batch : found.batches(BATCH)) {
                if (context.stop().isRequested()) {
                    return;
                }
                retired.collect(route.from().value(), source.age(), batch, this::delete);
            }
            after = found.last();
        }
    }

    private Collection<Retired> delete(List<Retired> objects) {
        try (InFlight deletions = new InFlight(concurrency)) {
            for (Retired object : objects) {
                deletions.submit(() -> delete(object));
            }
        }
        return objects;
    }

    private void delete(Retired object) {
        if (object.isUnfinished()) {
            source.objects().abortUploads(object.key());
        }
        source.objects().delete(object.key());
    }
}
