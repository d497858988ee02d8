package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.postgres.LargeObjects;
import io.flynn.blobstore.store.postgres.MigrationFence;
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
 * The clean stage: unlinks the large objects of moved blobs, each only after its object was read back right once more, and
 * after every transaction that may still use them has ended. The only stage that destroys anything.
 */
public final class CleanRun implements StageRun {

    /** Every unlink takes a lock for its transaction, and the lock table is small (checked: 14,500 at once fail). */
    private static final int BATCH_BLOBS = 500;

    /** WAL is about as large as what is unlinked. */
    private static final long BATCH_BYTES = 256L * 1024 * 1024;

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration TRANSACTIONS_PATIENCE = Duration.ofMinutes(10);

    private final StageContext context;
    private final BackendName to;
    private final int concurrency;
    private final MoveCatalog catalog;
    private final MoveGuard guard;
    private final OlderTransactions transactions;
    private final Settler settler;
    private final Failures failures;
    private final AtomicLong cleanedBlobs = new AtomicLong();
    private final AtomicLong cleanedBytes = new AtomicLong();
    private final AtomicLong putBack = new AtomicLong();

    /** @param concurrency objects read back at once */
    public CleanRun(StageContext context, BackendName to, BlobStore store, int concurrency) {
        this.context = context;
        this.to = to;
        this.concurrency = concurrency;
        catalog = new MoveCatalog(context.database());
        guard = new MoveGuard(context.database());
        transactions = new OlderTransactions(context.database());
        settler = new Settler(catalog, new LargeObjects(context.database()), store);
        failures = new Failures(0, context.progress());
    }

    @Override
    public StageReport run() {
        return new Patience(PATIENCE, context.stop())
                .retrying(() -> MigrationFence.holding(context.database(), context.migration(), this::cleanAll));
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
        Count uncleaned = catalog.countUncleaned(to);
        context.progress().remaining(uncleaned.blobs(), uncleaned.bytes());
        Optional<UUID> after = Optional.empty();
        List<BlobRow> batch;
        do {
            batch = limited(catalog.pageUncleaned(to, after, BATCH_BLOBS));
            if (!batch.isEmpty()) {
                // For every batch: a worker that was forgotten may still flip rows.
                transactions.awaitEnd(TRANSACTIONS_PATIENCE, context.stop()::isRequested);
                clean(batch);
            }
            after = batch.isEmpty() ? after : Optional.of(batch.getLast().id());
        } while (!batch.isEmpty() && !context.stop().isRequested());
        return report();
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
            batch.forEach(row -> blobs.submit(() -> prove(row, proven)));
        }
        if (proven.isEmpty()) {
            return;
        }
        Set<UUID> cleaned = catalog.clean(List.copyOf(proven), to);
        for (BlobRow row : proven) {
            if (cleaned.contains(row.id())) {
                cleanedBlobs.incrementAndGet();
                cleanedBytes.addAndGet(row.size());
                context.progress().done(1, row.size());
            }
        }
    }

    private void prove(BlobRow row, Queue<BlobRow> proven) {
        if (context.stop().isRequested()) {
            return;
        }
        context.progress().started(row.id());
        switch (new Patience(PATIENCE, context.stop()).retrying(() -> settler.settle(row))) {
            // If the row changed while it was looked at, the guard of the clean statement passes it over.
            case PROVEN -> proven.add(row);
            case PUT_BACK -> putBack.incrementAndGet();
            case GONE, BUSY -> {}
            case LOST ->
                failures.quarantine(
                        row,
                        Reasons.TARGET_DIFFERS,
                        "object %s at %s is missing or is not what the row says; large object %d is kept"
                                .formatted(
                                        row.externalId().map(Object::toString).orElse("(none)"),
                                        to,
                                        row.oid().orElse(0)));
        }
    }

    private StageReport report() {
        long left = catalog.countUncleaned(to).blobs();
        Map<Figure, Long> figures = figures();
        figures.put(Figure.UNCLEANED_BLOBS, left);
        if (context.stop().isRequested()) {
            return ended(ExitCode.RETRY, Reasons.INTERRUPTED, "stopped on request", figures);
        }
        if (failures.count() > 0) {
            return ended(
                    ExitCode.FAILED,
                    Reasons.BLOBS_FAILED,
                    failures.count() + " objects at " + to
                            + " are not what their rows say; their large objects are kept",
                    figures);
        }
        // Those that were put back here, and those that the guard put back when a write ended that had begun before the
        // flip.
        long remaining = catalog.count(BackendName.POSTGRES).blobs();
        if (remaining > 0) {
            return ended(
                    ExitCode.DONE,
                    Reasons.BLOBS_REMAIN,
                    remaining + " blobs are on their large objects again, to be copied again",
                    figures);
        }
        if (left > 0) {
            return ended(
                    ExitCode.RETRY,
                    Reasons.ROWS_BUSY,
                    left + " rows were held or changed by others when their large objects were to be unlinked",
                    figures);
        }
        guard.remove();
        return ended(
                ExitCode.DONE,
                Reasons.DONE,
                "unlinked the large objects of %d blobs".formatted(cleanedBlobs.get()),
                figures);
    }

    private StageReport ended(ExitCode outcome, String reason, String message, Map<Figure, Long> figures) {
        return new StageReport(Stage.CLEAN, outcome, reason, message, "", figures, findings());
    }
}
