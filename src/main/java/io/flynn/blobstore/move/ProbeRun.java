package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.StoreProbe;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.Inventory;
import io.flynn.blobstore.store.postgres.MoveCatalog;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The probe stage: does in the bucket what the workload will do there, and counts what uses the backend. Leaves nothing behind,
 * and needs no migration.
 */
public final class ProbeRun implements StageRun {

    private final BackendName backend;
    private final Inventory inventory;
    private final MoveCatalog catalog;
    private final Optional<StoreProbe> probe;
    private final Map<Figure, Long> figures = new EnumMap<>(Figure.class);
    private final List<Finding> findings = new ArrayList<>();

    /** @param probe of the store; empty = only count */
    public ProbeRun(Database database, BackendName backend, Optional<StoreProbe> probe) {
        this.backend = backend;
        this.probe = probe;
        inventory = new Inventory(database);
        catalog = new MoveCatalog(database);
    }

    @Override
    public StageReport run() {
        long start = System.nanoTime();
        count();
        probe.ifPresent(store -> findings.addAll(store.check()));
        figures.put(Figure.DURATION_MILLIS, (System.nanoTime() - start) / 1_000_000);
        Optional<Finding> failure = findings.stream()
                .filter(finding -> finding.level() == Level.FAILURE)
                .findFirst();
        if (failure.isPresent()) {
            Finding first = failure.get();
            return ended(
                    Reasons.isTransient(first.reason()) ? ExitCode.RETRY : ExitCode.FAILED,
                    first.reason(),
                    first.message());
        }
        if (probe.isEmpty() && !figures.containsKey(Figure.BLOBS)) {
            Finding uncounted = findings.getFirst();
            return ended(ExitCode.RETRY, uncounted.reason(), uncounted.message());
        }
        return ended(ExitCode.DONE, Reasons.PROBED, "every check passed");
    }

    @Override
    public Map<Figure, Long> figures() {
        return new EnumMap<>(figures);
    }

    @Override
    public List<Finding> findings() {
        return List.copyOf(findings);
    }

    /** A database without tables has no blobs. One that is away doesn't make the store look bad: its figures are just absent. */
    private void count() {
        try {
            MoveCatalog.Count usage =
                    inventory.hasSchema() ? catalog.count(backend, BlobFilter.ALL) : new MoveCatalog.Count(0, 0);
            figures.put(Figure.BLOBS, usage.blobs());
            figures.put(Figure.BYTES, usage.bytes());
        } catch (StorageFailure e) {
            findings.add(new Finding(Level.WARNING, StageReport.INVENTORY, e.reason(), String.valueOf(e.getMessage())));
        }
    }

    private StageReport ended(ExitCode outcome, String reason, String message) {
        return new StageReport(Stage.PROBE, outcome, reason, message, "", figures(), findings());
    }
}
