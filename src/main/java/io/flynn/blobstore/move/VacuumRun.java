package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.ByteSize;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.decide.VacuumMode;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.Space;
import io.flynn.blobstore.store.postgres.Space.Sizes;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The vacuum stage: gives the space of the unlinked large objects back, and measures what that brought. */
public final class VacuumRun implements StageRun {

    /** Up to so much that is left, VACUUM FULL takes well under a second (measured: an empty table, 81 ms). */
    static final long SMALL_BYTES = 64L * 1024 * 1024;

    static final String NOT_PERMITTED =
            "PGUSER may not vacuum pg_largeobject: make it the database's owner, or from PostgreSQL 17 on GRANT MAINTAIN ON"
                    + " pg_largeobject, pg_largeobject_metadata to it, or set spec.vacuum.mode: None (--vacuum)";

    private static final int LOCK_ATTEMPTS = 10;
    private static final Duration LOCK_PAUSE = Duration.ofSeconds(3);

    private final StageContext context;
    private final VacuumMode mode;
    private final Duration lockTimeout;
    private final Space space;
    private final Set<Space.Table> rewritten = EnumSet.noneOf(Space.Table.class);
    private final Map<Figure, Long> figures = new EnumMap<>(Figure.class);
    private final List<Finding> findings = new ArrayList<>();

    /** @param lockTimeout how long readers may queue behind each attempt to lock the tables */
    public VacuumRun(StageContext context, VacuumMode mode, Duration lockTimeout) {
        this.context = context;
        this.mode = mode;
        this.lockTimeout = lockTimeout;
        space = new Space(context.database());
    }

    @Override
    public StageReport run() {
        return context.fence().holding(this::vacuum);
    }

    @Override
    public Map<Figure, Long> figures() {
        return new EnumMap<>(figures);
    }

    @Override
    public List<Finding> findings() {
        return List.copyOf(findings);
    }

    private StageReport vacuum() {
        requireRight(space);
        Sizes before = space.sizes();
        figures.put(Figure.DATABASE_BYTES_BEFORE, before.database());
        figures.put(Figure.LARGE_OBJECT_BYTES_BEFORE, before.largeObjects());
        String method = switch (mode) {
            case FULL -> full();
            case PLAIN -> plain();
            case AUTO -> auto();
            case NONE -> throw new IllegalStateException("the stage is not started for mode None");
        };
        findings.add(new Finding(Level.OK, "method", Reasons.DONE, method));
        Sizes after = space.sizes();
        figures.put(Figure.DATABASE_BYTES_AFTER, after.database());
        figures.put(Figure.LARGE_OBJECT_BYTES_AFTER, after.largeObjects());
        String message = "database %s -> %s".formatted(new ByteSize(before.database()), new ByteSize(after.database()));
        return new StageReport(Stage.VACUUM, ExitCode.DONE, Reasons.DONE, message, "", figures(), findings());
    }

    /** PostgreSQL would skip the tables with no more than a warning. */
    private static void requireRight(Space space) {
        if (!space.mayVacuum()) {
            throw new StorageFailure.Denied(Reasons.VACUUM_NOT_PERMITTED, NOT_PERMITTED, null);
        }
    }

    private String plain() {
        space.vacuum(lockTimeout);
        return "PLAIN";
    }

    private String full() {
        for (Space.Table table : Space.Table.values()) {
            rewrite(table);
        }
        return "FULL";
    }

    private void rewrite(Space.Table table) {
        for (int attempt = 1; ; attempt++) {
            long start = System.nanoTime();
            try {
                space.vacuumFull(table, lockTimeout);
                rewritten.add(table);
                return;
            } catch (StorageFailure.Busy e) {
                if (attempt == LOCK_ATTEMPTS || context.stop().isRequested()) {
                    throw e;
                }
            } finally {
                // Readers queue behind an attempt that waits for its lock, too.
                figures.merge(
                        Figure.LOCK_HELD_MILLIS,
                        Duration.ofNanos(System.nanoTime() - start).toMillis(),
                        Long::sum);
            }
            Pauses.sleep(LOCK_PAUSE);
        }
    }

    private String auto() {
        plain();
        if (space.leftBytes() > SMALL_BYTES) {
            return "PLAIN";
        }
        try {
            return full();
        } catch (StorageFailure.Busy e) {
            // The plain one gave back what it could: what is left is not worth a failure.
            findings.add(new Finding(Level.WARNING, "VACUUM FULL", e.reason(), String.valueOf(e.getMessage())));
            return rewritten.contains(Space.Table.PAGES) ? "FULL" : "PLAIN";
        }
    }
}
