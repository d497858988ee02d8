package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.store.postgres.MoveCatalog;
import io.flynn.blobstore.store.postgres.MoveCatalog.Count;
import io.flynn.blobstore.store.postgres.MoveGuard;
import io.flynn.blobstore.store.postgres.OlderTransactions;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The clean stage: does away with what moved blobs have left at their source, each only after the blob was read right at the
 * target once more, and after every transaction that may still use it has ended. Large objects are unlinked here, objects by
 * {@link ObjectCleaning}. The only stage that destroys anything.
 */
public final class CleanRun implements StageRun {

    /** Every unlink takes a lock for its transaction, and the lock table is small (checked: 14,500 at once fail). */
    private static final int BATCH_BLOBS = 500;

    /** WAL is about as large as what is unlinked. */
    private static final long BATCH_BYTES = 256L * 1024 * 1024;

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration TRANSACTIONS_PATIENCE = Duration.ofMinutes(10);

    private final StageContext context;
    private final Route route;
    private final int concurrency;
    private final MoveCatalog catalog;
    private final Uncleaned uncleaned;
    private final Optional<ObjectCleaning> objects;
    private final MoveGuard guard;
    private final OlderTransactions transactions;
    private final Settler settler;
    private final Failures failures;
    private final Patience patience;
    private final AtomicLong cleanedBlobs = new AtomicLong();
    private final AtomicLong cleanedBytes = new AtomicLong();
    private final AtomicLong putBack = new AtomicLong();

    /**
     * @param source deletes objects where the blobs came from, and how long they must have been left there: as long as a link to one
     *     may work, at least; empty if they came from the database
     * @param concurrency blobs read back at once
     */
    public CleanRun(
            StageContext context, Route route, Stores stores, Optional<ObjectCleaning.Source> source, int concurrency) {
        this.context = context;
        this.route = route;
        this.concurrency = concurrency;
        catalog = new MoveCatalog(context.database());
        uncleaned = new Uncleaned(context.database(), route);
        guard = new MoveGuard(context.database());
        transactions = new OlderTransactions(context.database());
        settler = new Settler(context, route, stores);
        failures = new Failures(0, context.progress());
        patience = new Patience(PATIENCE, context.stop());
        objects = source.map(given ->
                new ObjectCleaning(context, route, stores, given, concurrency, this::prove, this::cleanedObjects));
    }

    @Override
    public StageReport run() {
        return patience.retrying(() -> context.fence().holding(this::cleanAll));
    }

    @Override
    public Map<Figure, Long> figures() {
        return new EnumMap<>(Map.of(
                Figure.CLEANED_BLOBS, cleanedBlobs.get(),
                Figure.CLEANED_BYTES, cleanedBytes.get(),
                Figure.SETTLED_BLOBS, putBack.get(),
                Figure.FAILED_BLOBS, (long) failures.count()));
    }

    @Override
    public List<Finding> findings() {
        return failures.findings();
    }

    private StageReport cleanAll() {
        Count toClean = uncleaned.count();
        context.progress().remaining(toClean.blobs(), toClean.bytes());
        if (route.to().isExternal()) {
            cleanLargeObjects();
        }
        objects.ifPresent(ObjectCleaning::clean);
        return report();
    }

    private void cleanLargeObjects() {
        Optional<UUID> after = Optional.empty();
        List<BlobRow> batch;
        do {
            batch = limited(catalog.pageUncleaned(route.to(), route.filter(), after, BATCH_BLOBS));
            if (!batch.isEmpty()) {
                // For every batch: a worker that was forgotten may still flip rows.
                transactions.awaitEnd(TRANSACTIONS_PATIENCE, context.stop()::isRequested);
                clean(batch);
            }
            after = batch.isEmpty() ? after : Optional.of(batch.getLast().id());
        } while (!batch.isEmpty() && !context.stop().isRequested());
    }

    /** At least one, and no more than make up the bytes of a batch. */
    private static List<BlobRow> limited(List<BlobRow> page) {
        long bytes = 0;
        for (int i = 0; i < page.size(); i++) {
            bytes += page.get(i).size();
            if (bytes > BATCH_BYTES) {
                return page.subList(0, Math.max(i, 1));
            }
        }
        return page;
    }

    private void clean(List<BlobRow> batch) {
        Queue<BlobRow> proven = new ConcurrentLinkedQueue<>();
        try (InFlight blobs = new InFlight(concurrency)) {
            batch.forEach(row -> blobs.submit(() -> {
                // If the row changed while it was looked at, the guard of the clean statement passes it over.
                if (!context.stop().isRequested() && prove(row) == Settler.Outcome.PROVEN) {
                    proven.add(row);
                }
            }));
        }
        if (proven.isEmpty()) {
            return;
        }
        Set<UUID> cleaned = catalog.clean(context.fence(), List.copyOf(proven), route.to());
        for (BlobRow row : proven) {
            if (cleaned.contains(row.id())) {
                cleanedBlobs.incrementAndGet();
                cleanedBytes.addAndGet(row.size());
                context.progress().done(1, row.size());
            }
        }
        patience.progressed();
    }

    private void cleanedObjects(long blobs, long bytes) {
        cleanedBlobs.addAndGet(blobs);
        cleanedBytes.addAndGet(bytes);
        context.progress().done(blobs, bytes);
    }

    private Settler.Outcome prove(BlobRow row) {
        context.progress().started(row.id());
        Settler.Outcome outcome = new Patience(PATIENCE, context.stop()).retrying(() -> settler.settle(row));
        switch (outcome) {
            case PROVEN, GONE, BUSY -> {}
            case PUT_BACK -> putBack.incrementAndGet();
            case LOST ->
                failures.quarantine(
                        row,
                        Reasons.TARGET_DIFFERS,
                        "%s is missing or is not what the row says; what was left at the source is kept"
                                .formatted(BlobPlace.of(row)));
        }
        return outcome;
    }

    private StageReport report() {
        long left = uncleaned.count().blobs();
        Map<Figure, Long> figures = figures();
        figures.put(Figure.UNCLEANED_BLOBS, left);
        if (context.stop().isRequested()) {
            return ended(ExitCode.RETRY, Reasons.INTERRUPTED, "stopped on request", figures);
        }
        if (failures.count() > 0) {
            return ended(
                    ExitCode.FAILED,
                    Reasons.BLOBS_FAILED,
                    failures.count() + " blobs at " + route.to() + " are not what their rows say; what they left at "
                            + route.from() + " is kept",
                    figures);
        }
        // Those that were put back here, and those that the guard put back when a write ended that had begun before the
        // flip.
        long remaining = catalog.count(route.from(), route.filter()).blobs();
        if (remaining > 0) {
            return ended(
                    ExitCode.DONE,
                    Reasons.BLOBS_REMAIN,
                    remaining + " blobs are back at " + route.from() + ", to be copied again",
                    figures);
        }
        if (left > 0) {
            return ended(
                    ExitCode.RETRY,
                    Reasons.ROWS_BUSY,
                    left + " rows were held or changed by others when what they left was to be deleted",
                    figures);
        }
        guard.remove();
        return ended(
                ExitCode.DONE,
                Reasons.DONE,
                "deleted what %d blobs had left at %s".formatted(cleanedBlobs.get(), route.from()),
                figures);
    }

    private StageReport ended(ExitCode outcome, String reason, String message, Map<Figure, Long> figures) {
        return new StageReport(Stage.CLEAN, outcome, reason, message, "", figures, findings());
    }
}
