package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.store.Note;
import io.flynn.blobstore.store.postgres.MoveCatalog;
import io.flynn.blobstore.store.postgres.MoveCatalog.Count;
import io.flynn.blobstore.store.postgres.OlderTransactions;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The verify stage: reads the bytes that each live row in scope at the target names, whole, and compares them with the row. It decides
 * whether a migration is complete; it exists to disbelieve the copy stage and uses none of its code. What it can settle it
 * settles; it never copies.
 */
public final class VerifyRun implements StageRun {

    private static final int PAGE = 1000;
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration TRANSACTIONS_PATIENCE = Duration.ofMinutes(10);

    private final StageContext context;
    private final Route route;
    private final int concurrency;
    private final MoveCatalog catalog;
    private final Uncleaned uncleaned;
    private final OlderTransactions transactions;
    private final Settler settler;
    private final Failures failures;
    private final Patience patience;
    private final AtomicLong provenBlobs = new AtomicLong();
    private final AtomicLong provenBytes = new AtomicLong();
    private final AtomicLong putBack = new AtomicLong();
    private final AtomicLong busy = new AtomicLong();
    private final ProvenSegments segments;
    private long provenBefore;

    /**
     * @param concurrency blobs read at once
     * @param note where it is noted what is proven already, for the next verification if this one is interrupted
     */
    public VerifyRun(StageContext context, Route route, Stores stores, int concurrency, Optional<Note> note) {
        this(context, route, stores, concurrency, note, InstantSource.system());
    }

    VerifyRun(
            StageContext context,
            Route route,
            Stores stores,
            int concurrency,
            Optional<Note> note,
            InstantSource clock) {
        this.context = context;
        this.route = route;
        this.concurrency = concurrency;
        catalog = new MoveCatalog(context.database());
        uncleaned = new Uncleaned(context.database(), route);
        transactions = new OlderTransactions(context.database());
        settler = new Settler(context, route, stores);
        failures = new Failures(0, context.progress());
        patience = new Patience(PATIENCE, context.stop());
        segments = new ProvenSegments(note, route, clock);
    }

    @Override
    public StageReport run() {
        return patience.retrying(() -> context.fence().holding(this::verifyAll));
    }

    @Override
    public Map<Figure, Long> figures() {
        return new EnumMap<>(Map.of(
                Figure.BLOBS, provenBlobs.get(),
                Figure.BYTES, provenBytes.get(),
                Figure.SETTLED_BLOBS, putBack.get(),
                Figure.FAILED_BLOBS, (long) failures.count()));
    }

    @Override
    public List<Finding> findings() {
        return failures.findings();
    }

    private StageReport verifyAll() {
        provenBlobs.set(0);
        provenBytes.set(0);
        busy.set(0);
        provenBefore = 0;
        ProofDigest proofs = new ProofDigest();
        Count inScope = catalog.count(route.to(), route.filter());
        context.progress().restart(inScope.blobs(), inScope.bytes());
        segments.recall();
        try {
            verify(proofs);
        } finally {
            segments.note();
        }
        StageReport report =
                report(context.stop().isRequested() ? "" : proofs.finish().toString());
        if (!context.stop().isRequested()) {
            segments.forget();
        }
        return report;
    }

    private void verify(ProofDigest proofs) {
        try (InFlight blobs = new InFlight(concurrency)) {
            List<BlobRow> gathered = new ArrayList<>();
            Optional<UUID> after = Optional.empty();
            List<BlobRow> page;
            do {
                Optional<UUID> last = after;
                page = new Patience(PATIENCE, context.stop())
                        .retrying(() -> catalog.page(route.to(), route.filter(), last, PAGE));
                for (BlobRow row : page) {
                    if (!gathered.isEmpty()
                            && Segment.indexOf(gathered.getLast().id()) != Segment.indexOf(row.id())) {
                        verify(new Segment(gathered), proofs, blobs);
                        gathered.clear();
                    }
                    gathered.add(row);
                }
                after = page.isEmpty() ? after : Optional.of(page.getLast().id());
            } while (page.size() == PAGE && !isOver(blobs));
            if (!gathered.isEmpty() && !isOver(blobs)) {
                verify(new Segment(gathered), proofs, blobs);
            }
        }
    }

    private boolean isOver(InFlight blobs) {
        return context.stop().isRequested() || blobs.hasFailed();
    }

    private void verify(Segment segment, ProofDigest proofs, InFlight blobs) {
        boolean isProvenBefore = segments.has(segment);
        for (BlobRow row : segment.rows()) {
            segments.noteFromTimeToTime();
            long place = proofs.place(blobs::hasFailed);
            if (isProvenBefore) {
                proven(row);
                provenBefore++;
                context.progress().done(1, row.size());
                proofs.ended(place, Optional.of(row));
            } else {
                blobs.submit(() -> verify(row, segment, proofs, place));
            }
        }
    }

    private void verify(BlobRow row, Segment segment, ProofDigest proofs, long place) {
        boolean isProven = false;
        try {
            isProven = !context.stop().isRequested() && verify(row);
        } finally {
            proofs.ended(place, isProven ? Optional.of(row) : Optional.empty());
        }
        if (segment.isProvenWith(isProven)) {
            segments.add(segment);
        }
    }

    private void proven(BlobRow row) {
        provenBlobs.incrementAndGet();
        provenBytes.addAndGet(row.size());
    }

    private boolean verify(BlobRow row) {
        boolean isProven = false;
        context.progress().started(row.id());
        // One outage must not cost the proofs of hours: each blob is waited for by itself.
        switch (new Patience(PATIENCE, context.stop()).retrying(() -> settler.settle(row))) {
            case PROVEN -> {
                proven(row);
                patience.progressed();
                isProven = true;
            }
            case PUT_BACK -> putBack.incrementAndGet();
            case GONE -> {}
            case BUSY -> busy.incrementAndGet();
            case LOST ->
                failures.quarantine(
                        row,
                        Reasons.TARGET_DIFFERS,
                        "%s is missing or is not what the row says, and nothing is left where it came from that can stand in for it"
                                .formatted(BlobPlace.of(row)));
        }
        context.progress().done(1, row.size());
        return isProven;
    }

    private StageReport report(String digest) {
        long toClean = uncleaned.count().blobs();
        if (toClean > 0 && left().blobs() == 0 && isWell()) {
            settleLateWrites();
        }
        Count left = left();
        Map<Figure, Long> figures = figures();
        figures.put(Figure.REMAINING_BLOBS, left.blobs());
        figures.put(Figure.REMAINING_BYTES, left.bytes());
        figures.put(Figure.UNCLEANED_BLOBS, toClean);
        if (context.stop().isRequested()) {
            return ended(ExitCode.RETRY, Reasons.INTERRUPTED, "stopped on request", figures);
        }
        if (failures.count() > 0) {
            return ended(
                    ExitCode.FAILED,
                    Reasons.BLOBS_FAILED,
                    failures.count() + " blobs at " + route.to() + " are not what their rows say",
                    figures);
        }
        if (left.blobs() > 0 || busy.get() > 0) {
            return ended(
                    ExitCode.DONE,
                    Reasons.BLOBS_REMAIN,
                    "%d blobs are still at %s".formatted(left.blobs() + busy.get(), route.from()),
                    figures);
        }
        return ended(
                ExitCode.DONE,
                Reasons.DONE,
                "all %d blobs at %s are what their rows say".formatted(provenBlobs.get(), route.to()) + resumed(),
                digest,
                figures);
    }

    private String resumed() {
        return provenBefore == 0
                ? ""
                : "; %d of them were proven before an interruption, since %s".formatted(provenBefore, segments.begun());
    }

    private Count left() {
        return catalog.count(route.from(), route.filter());
    }

    private boolean isWell() {
        return !context.stop().isRequested() && failures.count() == 0 && busy.get() == 0;
    }

    /** A write that began before its blob's flip may end after the blob was proven: then the row is not what was proven. */
    private void settleLateWrites() {
        transactions.awaitEnd(TRANSACTIONS_PATIENCE, context.stop()::isRequested);
        putBack.addAndGet(settler.settleLateWrites());
    }

    private StageReport ended(ExitCode outcome, String reason, String message, Map<Figure, Long> figures) {
        return ended(outcome, reason, message, "", figures);
    }

    private StageReport ended(
            ExitCode outcome, String reason, String message, String digest, Map<Figure, Long> figures) {
        return new StageReport(Stage.VERIFY, outcome, reason, message, digest, figures, findings());
    }
}
