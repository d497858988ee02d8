package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.decide.MoveDecision;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import io.flynn.blobstore.store.postgres.MoveCatalog;
import io.flynn.blobstore.store.postgres.MoveCatalog.Flip;
import io.flynn.blobstore.store.postgres.RetainedObjects;
import io.flynn.blobstore.store.postgres.Shards;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiConsumer;
import java.util.function.Predicate;
import java.util.function.Supplier;

/** One walk over the rows that are at the source: each is proven at the target and flipped, or is left for the next walk. */
final class CopyPass {

    private static final int PAGE = 1000;

    /** Up to this size a blob is read whole before it is sent, many to a statement. */
    private static final long SMALL_BYTES = 1024 * 1024;

    private static final int BATCH_BLOBS = 500;
    private static final long BATCH_BYTES = 4 * 1024 * 1024;

    /** One is sent and one is ready while the next is read. */
    private static final int BATCHES_AHEAD = 1;

    /** So many failures without one success are an outage: the walk ends instead of failing blob by blob. */
    private static final int FAILURES_MAX = 20;

    /** So many failed blobs end a walk: each is remembered with its failure until the store is known to be well. */
    private static final int FAILED_MAX = 1_000;

    private final StageContext context;
    private final Route route;
    private final MoveCatalog catalog;
    private final RetainedObjects retained;
    private final BlobSource source;
    private final Mover mover;
    private final Failures failures;

    private record Failed(BlobRow row, StorageFailure failure) {}

    /** @param told of what needs no flipping any more */
    private record Flips(Flipper flipper, BiConsumer<List<Flip>, Set<UUID>> told) {}

    private final BlockingQueue<Failed> failed = new LinkedBlockingQueue<>(FAILED_MAX);
    private final AtomicInteger failedInARow = new AtomicInteger();
    private final AtomicInteger found = new AtomicInteger();

    CopyPass(StageContext context, Route route, BlobSource source, Mover mover, Failures failures) {
        this.context = context;
        this.route = route;
        catalog = new MoveCatalog(context.database());
        retained = new RetainedObjects(context.database());
        this.source = source;
        this.mover = mover;
        this.failures = failures;
    }

    /** How many rows it found that were to be moved. */
    int found() {
        return found.get();
    }

    /** Whether blobs failed that another try may help. */
    boolean hasFailures() {
        return !failed.isEmpty();
    }

    /** Counts this walk's failures against the blobs: they failed while the store was well. */
    void blameBlobs() {
        failed.forEach(one -> failures.failed(one.row(), one.failure()));
    }

    /**
     * @param shards whose rows are walked over; some may be let go on the way
     * @param flipped told of every batch that was flipped
     * @throws StorageFailure if the database, or the store as a whole, fails
     */
    void run(Shards shards, BiConsumer<List<Flip>, Set<UUID>> flipped) {
        // Closed in reverse: the blobs in flight end first, then what they proved is flipped.
        try (Flipper flipper = new Flipper(
                        batch -> catalog.flip(context.fence(), batch, route.from(), route.to()),
                        this::isFlipped,
                        flipped);
                InFlight blobs = new InFlight(context.progress().traffic())) {
            Flips flips = new Flips(flipper, flipped);
            try (Ahead<Ready> ahead = new Ahead<>(BATCHES_AHEAD, wanted -> read(shards, wanted))) {
                Optional<Ready> next = take(ahead);
                while (next.isPresent() && !isOver(blobs, flipper)) {
                    submit(next.get(), blobs, flips);
                    next = take(ahead);
                }
            }
        }
    }

    /** Blobs to be sent: streamed ones by their rows, small ones with their bytes. */
    private record Ready(List<BlobRow> large, List<BlobSource.Small> small) {}

    private Optional<Ready> take(Ahead<Ready> ahead) {
        long start = System.nanoTime();
        Optional<Ready> next = ahead.take();
        context.progress().traffic().waited(Traffic.Wait.SOURCE, System.nanoTime() - start);
        return next;
    }

    /** Page by page, the large ones of each first. */
    private void read(Shards shards, Predicate<Ready> wanted) {
        Optional<UUID> after = Optional.empty();
        List<BlobRow> page;
        boolean isWanted;
        do {
            page = catalog.page(route.from(), route.filter(), shards.held(), after, PAGE);
            List<BlobRow> rows = page.stream()
                    .filter(row -> !failures.isQuarantined(row.id()))
                    .toList();
            found.addAndGet(rows.size());
            if (route.to().isExternal()) {
                retained.hold(rows, route.to());
            }
            isWanted = wanted.test(new Ready(largestFirst(rows), List.of()))
                    && batches(rows).stream()
                            .allMatch(batch -> wanted.test(new Ready(List.of(), source.readAll(batch))));
            if (page.size() == PAGE) {
                shards.share(Shards.of(page.getLast().id()));
            }
            after = page.isEmpty() ? after : Optional.of(page.getLast().id());
        } while (page.size() == PAGE && isWanted);
    }

    private static List<BlobRow> largestFirst(List<BlobRow> rows) {
        return rows.stream()
                .filter(row -> row.size() > SMALL_BYTES)
                .sorted(Comparator.comparingLong(BlobRow::size).reversed())
                .toList();
    }

    private static List<List<BlobRow>> batches(List<BlobRow> rows) {
        List<List<BlobRow>> batches = new ArrayList<>();
        List<BlobRow> batch = new ArrayList<>();
        long bytes = 0;
        for (BlobRow row : rows) {
            if (row.size() > SMALL_BYTES) {
                continue;
            }
            batch.add(row);
            bytes += row.size();
            if (batch.size() == BATCH_BLOBS || bytes >= BATCH_BYTES) {
                batches.add(batch);
                batch = new ArrayList<>();
                bytes = 0;
            }
        }
        if (!batch.isEmpty()) {
            batches.add(batch);
        }
        return batches;
    }

    private boolean isFlipped(Flip flip) {
        return catalog.row(flip.row().id())
                .filter(row -> flip.isDoneIn(row, route.to()))
                .isPresent();
    }

    private boolean isOver(InFlight blobs, Flipper flipper) {
        return context.stop().isRequested()
                || blobs.hasFailed()
                || flipper.hasFailed()
                || failed.remainingCapacity() == 0;
    }

    private void submit(Ready ready, InFlight blobs, Flips flips) {
        for (BlobRow row : ready.large()) {
            if (row.size() > route.bytesMax()) {
                failures.quarantine(row, Reasons.BLOB_TOO_LARGE, route.tooLarge(row.size()));
            } else {
                blobs.submit(shares(row), () -> move(row, flips, () -> mover.moveStreamed(row)));
            }
        }
        long start = System.nanoTime();
        for (BlobSource.Small blob : ready.small()) {
            blobs.submit(shares(blob.row()), () -> move(blob.row(), flips, () -> move(blob)));
        }
        // Blobs out of a bucket tell each by itself whom they wait for.
        if (!ready.small().isEmpty() && !route.from().isExternal()) {
            context.progress().traffic().waited(Traffic.Wait.STORE, System.nanoTime() - start);
        }
    }

    /**
     * Out of the database, small blobs need nothing but a little memory, and one that is streamed keeps half a processor busy: more of
     * them only take memory and caches from each other (measured). Out of a bucket, each needs a connection.
     */
    private int shares(BlobRow row) {
        if (route.from().isExternal()) {
            return Traffic.SHARES;
        }
        return row.size() > SMALL_BYTES ? 2 * Traffic.SHARES : Traffic.sharesOf(row.size(), SMALL_BYTES);
    }

    private Mover.Moved move(BlobSource.Small blob) {
        if (!route.from().isExternal()) {
            return mover.move(blob);
        }
        Traffic traffic = context.progress().traffic();
        AtomicLong read = new AtomicLong();
        long start = System.nanoTime();
        try {
            return mover.move(new BlobSource.Small(blob.row(), () -> {
                long asked = System.nanoTime();
                Optional<ByteBuffer> bytes = blob.bytes().get();
                read.addAndGet(System.nanoTime() - asked);
                return bytes;
            }));
        } finally {
            traffic.waited(Traffic.Wait.SOURCE, read.get());
            if (route.to().isExternal()) {
                traffic.waited(Traffic.Wait.STORE, System.nanoTime() - start - read.get());
            }
        }
    }

    private void move(BlobRow row, Flips flips, Supplier<Mover.Moved> move) {
        // What can't be flipped now would only be sent again.
        flips.flipper().awaitCalm();
        if (context.stop().isRequested() || flips.flipper().hasFailed()) {
            return;
        }
        context.progress().started(row.id());
        try {
            carryOut(move.get(), row, flips);
            failedInARow.set(0);
        } catch (StorageFailure e) {
            if (!isAboutThisBlob(e)) {
                throw e;
            }
            // What finds no room is blamed by a later walk.
            failed.offer(new Failed(row, e));
            if (failedInARow.incrementAndGet() >= FAILURES_MAX) {
                throw e;
            }
        }
    }

    private void carryOut(Mover.Moved moved, BlobRow row, Flips flips) {
        switch (moved) {
            case Mover.Moved.Left left -> {}
            case Mover.Moved.Proven proven -> flips.flipper().add(proven.flip());
            case Mover.Moved.Flipped flipped -> flips.told().accept(List.of(flipped.flip()), Set.of(row.id()));
            case Mover.Moved.Faulty faulty -> {
                if (isSeenAgain(row)) {
                    failures.quarantine(row, reason(faulty.fault()), message(row, faulty.fault()));
                }
            }
        }
    }

    /**
     * Whether the bytes really aren't the row's. Deleted, overwritten or appended to while they were read: then what was read means
     * nothing. Nor does it while a writer holds the row: an old server deletes an object before its transaction ends.
     */
    private boolean isSeenAgain(BlobRow row) {
        Optional<BlobContent> again = source.digest(row);
        if (catalog.isHeld(row.id()) || !catalog.row(row.id()).equals(Optional.of(row))) {
            return false;
        }
        if (again.filter(row::isDescribedBy).isPresent()) {
            throw new StorageFailure.OutcomeUnknown(
                    Reasons.STORE_FAULTY,
                    "blob %s: %s was read wrong once and right once".formatted(row.id(), BlobPlace.of(row)),
                    null);
        }
        return true;
    }

    /** Otherwise every blob would fail alike: the database, the bucket, the key. */
    private static boolean isAboutThisBlob(StorageFailure failure) {
        return switch (failure.reason()) {
            case Reasons.STORE_BUSY,
                    Reasons.STORE_FAULTY,
                    Reasons.ENDPOINT_UNREACHABLE,
                    Reasons.TARGET_DIFFERS,
                    Reasons.OBJECT_MISSING -> true;
            default -> false;
        };
    }

    private static String reason(MoveDecision.Fault fault) {
        return switch (fault) {
            case SOURCE_MISSING -> Reasons.SOURCE_MISSING;
            case SIZE_DIFFERS -> Reasons.SIZE_DIFFERS;
            case DIGEST_DIFFERS -> Reasons.DIGEST_DIFFERS;
        };
    }

    private static String message(BlobRow row, MoveDecision.Fault fault) {
        String object = BlobPlace.of(row);
        return switch (fault) {
            case SOURCE_MISSING -> object + " is not there";
            case SIZE_DIFFERS -> object + " is not as long as the row says (" + row.size() + " bytes)";
            case DIGEST_DIFFERS -> object + " has another SHA-512 than the row says";
        };
    }
}
