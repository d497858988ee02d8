package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.LargeObjectArrivals;
import io.flynn.blobstore.store.postgres.LargeObjects;
import io.flynn.blobstore.store.postgres.MoveCatalog;
import io.flynn.blobstore.store.postgres.MoveCatalog.Count;
import io.flynn.blobstore.store.postgres.MoveCatalog.Flip;
import io.flynn.blobstore.store.postgres.MoveGuard;
import io.flynn.blobstore.store.postgres.OlderTransactions;
import io.flynn.blobstore.store.postgres.Shards;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The copy stage: brings every live blob in scope from the source to the target and flips its row, pass by pass, until nothing that
 * can be moved is left by a plain count. May be killed at any instant; the next run goes on with the rows that are left.
 */
public final class CopyRun implements StageRun {

    private static final Logger LOG = LoggerFactory.getLogger(CopyRun.class);

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    /** What others have left to do may be one blob, and nothing is heard of it before it is done. */
    private static final Duration OTHERS_PATIENCE = Duration.ofMinutes(30);

    private static final long OTHERS_BYTES_PER_SECOND = 5_000_000;

    private static final Duration LOOK_AT_OTHERS = Duration.ofMillis(500);

    /** Who waits has to see soon that others are done, or have died, however long a count takes. */
    private static final Duration LOOK_AT_OTHERS_MAX = Duration.ofSeconds(15);

    private static final Duration COUNT_ANEW = Duration.ofSeconds(2);

    /** A count reads the whole table, so all workers together should spend no more than a fiftieth of the time on counting. */
    private static final int COUNTING_PART = 50;

    private static final Duration TRANSACTIONS_PATIENCE = Duration.ofMinutes(10);

    private final StageContext context;
    private final Route route;
    private final Stores stores;
    private final MoveCatalog catalog;
    private final MoveGuard guard;
    private final OlderTransactions transactions;
    private final BlobSource source;
    private final Mover mover;
    private final Settler settler;
    private final Failures failures;
    private final Patience patience;
    private Count leftToOthers = new Count(0, 0);
    private long othersSince;
    private volatile long countNanos;
    private final AtomicLong countDue = new AtomicLong();
    private final AtomicLong uploads = new AtomicLong();
    private final AtomicLong copiedBlobs = new AtomicLong();
    private final AtomicLong copiedBytes = new AtomicLong();
    private final AtomicLong settledBlobs = new AtomicLong();

    /**
     * What may fail.
     *
     * @param retries how often a blob that fails while the store is well is tried again
     * @param blobsMax so many blobs may fail; one more ends the run
     * @param file is told of each
     */
    public record Tolerance(int retries, int blobsMax, FailureFile file) {}

    /** As many may fail as do; those that are reported are all that is kept of them. */
    public CopyRun(StageContext context, Route route, Stores stores, int concurrency, int retries) {
        this(context, route, stores, concurrency, new Tolerance(retries, Integer.MAX_VALUE, FailureFile.NONE));
    }

    /** @param concurrency blobs in flight at once */
    public CopyRun(StageContext context, Route route, Stores stores, int concurrency, Tolerance tolerance) {
        this.context = context;
        this.route = route;
        this.stores = stores;
        context.progress().traffic().limitBlobs(concurrency);
        catalog = new MoveCatalog(context.database());
        guard = new MoveGuard(context.database());
        transactions = new OlderTransactions(context.database());
        LargeObjects largeObjects =
                new LargeObjects(context.database(), context.progress().traffic());
        if (route.to().isExternal()) {
            source = route.from().isExternal() ? objects() : new LargeObjectSource(largeObjects);
            mover = new BlobMover(source, stores.at(route.to()), route.to(), uploads);
        } else {
            ObjectSource objects = objects();
            source = objects;
            mover = new LargeObjectMover(
                    objects,
                    largeObjects,
                    new LargeObjectArrivals(context.database(), context.fence()),
                    catalog,
                    context.progress().traffic(),
                    uploads);
        }
        settler = new Settler(context, route, stores);
        failures = new Failures(tolerance.retries(), tolerance.blobsMax(), tolerance.file(), context.progress());
        patience = new Patience(PATIENCE, context.stop());
    }

    private ObjectSource objects() {
        return new ObjectSource(
                route.from(), stores.at(route.from()), context.progress().traffic());
    }

    @Override
    public StageReport run() {
        return patience.retrying(() -> context.fence().holding(() -> copyAll(guard.install())));
    }

    @Override
    public Map<Figure, Long> figures() {
        return new EnumMap<>(Map.of(
                Figure.COPIED_BLOBS, copiedBlobs.get(),
                Figure.COPIED_BYTES, copiedBytes.get(),
                Figure.UPLOADS, uploads.get(),
                Figure.SETTLED_BLOBS, settledBlobs.get(),
                Figure.FAILED_BLOBS, (long) failures.count()));
    }

    @Override
    public List<Finding> findings() {
        return failures.findings();
    }

    private StageReport copyAll(boolean isGuarded) {
        if (!isGuarded) {
            LOG.warn("this role can't set the move guard on files: rows are settled after their flip and at the end");
        }
        awaitAppendersToLargeObjects();
        try (Shards shards = Shards.join(context.database())) {
            while (true) {
                Optional<StageReport> end = walk(shards, isGuarded);
                if (end.isPresent()) {
                    return end.get();
                }
            }
        }
    }

    /** Once over the rows of this worker's part; empty = not the last time. */
    private Optional<StageReport> walk(Shards shards, boolean isGuarded) {
        long start = System.nanoTime();
        Map<Integer, Count> before = catalog.countByShard(route.from(), route.filter());
        countNanos = System.nanoTime() - start;
        countDue.set(System.nanoTime() + COUNT_ANEW.toNanos());
        int workers = shards.claim(shardsToDo(before));
        Count left = sum(before);
        context.progress().remaining(left.blobs(), left.bytes());
        long doneBefore = copiedBlobs.get() + failures.count();
        CopyPass pass = new CopyPass(context, route, source, mover, failures);
        pass.run(shards, (batch, flipped) -> {
            account(batch, flipped, isGuarded);
            countAnew(shards.workers());
        });
        boolean hasProgress = copiedBlobs.get() + failures.count() > doneBefore;
        left = left();
        if (context.stop().isRequested()) {
            return Optional.of(report(ExitCode.RETRY, Reasons.INTERRUPTED, "stopped on request", left));
        }
        // By a plain count: a listing could miss what came meanwhile.
        if (pass.found() == 0 && left.blobs() <= failures.count()) {
            return isGuarded || settleLateWrites() == 0 ? Optional.of(copied(left)) : Optional.empty();
        }
        if (hasProgress) {
            patience.progressed();
            pass.blameBlobs();
        } else if (pass.found() == 0 && workers > 1) {
            awaitOthers(left, workers);
        } else {
            standStill(pass, left);
        }
        return Optional.empty();
    }

    /** Not those where nothing is left but what can't be moved: another worker has to find that out by itself. */
    private Set<Integer> shardsToDo(Map<Integer, Count> left) {
        Map<Integer, Long> failed = failures.countByShard();
        Set<Integer> toDo = new TreeSet<>();
        left.forEach((shard, count) -> {
            if (count.blobs() > failed.getOrDefault(shard, 0L)) {
                toDo.add(shard);
            }
        });
        return toDo;
    }

    private static Count sum(Map<Integer, Count> counts) {
        return new Count(
                counts.values().stream().mapToLong(Count::blobs).sum(),
                counts.values().stream().mapToLong(Count::bytes).sum());
    }

    /** What is left is others' to do, until they are done with it, or die. */
    private void awaitOthers(Count left, int workers) {
        if (!left.equals(leftToOthers)) {
            leftToOthers = left;
            othersSince = System.nanoTime();
        } else if (System.nanoTime() - othersSince
                > OTHERS_PATIENCE
                        .plusSeconds(left.bytes() / OTHERS_BYTES_PER_SECOND)
                        .toNanos()) {
            throw new StorageFailure.Busy(
                    Reasons.ROWS_BUSY,
                    "%d rows are other workers' to move, and none was moved for long".formatted(left.blobs()),
                    null);
        }
        patience.progressed();
        long end = System.nanoTime()
                + Math.clamp(counting(workers).toNanos(), LOOK_AT_OTHERS.toNanos(), LOOK_AT_OTHERS_MAX.toNanos());
        while (!context.stop().isRequested() && System.nanoTime() - end < 0) {
            Pauses.sleep(LOOK_AT_OTHERS);
        }
    }

    /** So that what is said to be left is what all workers leave. */
    private void countAnew(int workers) {
        long due = countDue.get();
        long start = System.nanoTime();
        if (workers == 1 || start - due < 0 || !countDue.compareAndSet(due, start + PATIENCE.toNanos())) {
            return;
        }
        Count left = left();
        countNanos = System.nanoTime() - start;
        context.progress().remaining(left.blobs(), left.bytes());
        countDue.set(System.nanoTime()
                + Math.max(COUNT_ANEW.toNanos(), counting(workers).toNanos()));
    }

    /** For how long one of so many workers should not count again. */
    private Duration counting(int workers) {
        return Duration.ofNanos(countNanos * COUNTING_PART * workers);
    }

    private Count left() {
        return catalog.count(route.from(), route.filter());
    }

    /**
     * Rows that come back to the database may have kept a large object. Who began to append to one before it was moved away would
     * go on after it is back, or is replaced; who begins now can't, since the rows don't name the database.
     */
    private void awaitAppendersToLargeObjects() {
        if (!route.to().isExternal()
                && catalog.countUncleaned(route.from(), route.filter()).blobs() > 0) {
            transactions.awaitEnd(TRANSACTIONS_PATIENCE, context.stop()::isRequested);
        }
    }

    private void account(List<Flip> batch, Set<UUID> flipped, boolean isGuarded) {
        for (Flip flip : batch) {
            BlobRow row = flip.row();
            if (flipped.contains(row.id())) {
                copiedBlobs.incrementAndGet();
                copiedBytes.addAndGet(row.size());
                context.progress().done(1, row.size());
                failures.succeeded(row.id());
                patience.progressed();
            }
        }
        if (!isGuarded) {
            flipped.forEach(this::settleIfChanged);
        }
    }

    private void settleIfChanged(UUID id) {
        Optional<BlobRow> changed = catalog.row(id)
                .filter(row -> row.backend().equals(route.to()) && !row.isDeleted())
                .filter(Settler::isWrittenSinceItsFlip);
        if (changed.isPresent() && settler.settle(changed.get()) == Settler.Outcome.PUT_BACK) {
            settledBlobs.incrementAndGet();
        }
    }

    /** An append that began before its blob's flip may end long after: without the guard only its end shows in the row. */
    private long settleLateWrites() {
        transactions.awaitEnd(TRANSACTIONS_PATIENCE, context.stop()::isRequested);
        long putBack = settler.settleLateWrites();
        settledBlobs.addAndGet(putBack);
        return putBack;
    }

    /** Rows are left and none moved: an outage, blobs that always fail, or rows that somebody holds. */
    private void standStill(CopyPass pass, Count left) {
        if (pass.hasFailures()) {
            // Throws if a store is away; if they answer, the blobs themselves are to blame.
            stores.requireBuckets();
            pass.blameBlobs();
        } else if (patience.isOver()) {
            throw new StorageFailure.Busy(
                    Reasons.ROWS_BUSY,
                    "%d rows were held or changed by others whenever they were to be flipped".formatted(left.blobs()),
                    null);
        }
        patience.pause();
    }

    private StageReport copied(Count left) {
        String message = "copied %d blobs to %s".formatted(copiedBlobs.get(), route.to());
        return failures.count() == 0
                ? report(ExitCode.DONE, Reasons.DONE, message, left)
                : report(
                        ExitCode.FAILED,
                        Reasons.BLOBS_FAILED,
                        message + "; " + failures.count() + " can't be moved",
                        left);
    }

    private StageReport report(ExitCode outcome, String reason, String message, Count left) {
        Map<Figure, Long> figures = figures();
        figures.put(Figure.REMAINING_BLOBS, left.blobs());
        figures.put(Figure.REMAINING_BYTES, left.bytes());
        return new StageReport(Stage.COPY, outcome, reason, message, "", figures, findings());
    }
}
