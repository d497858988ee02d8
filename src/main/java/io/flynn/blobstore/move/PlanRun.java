package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.ByteSize;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.decide.VacuumMode;
import io.flynn.blobstore.store.postgres.Inventory;
import io.flynn.blobstore.store.postgres.MoveCatalog;
import io.flynn.blobstore.store.postgres.MoveCatalog.Count;
import io.flynn.blobstore.store.postgres.MoveGuard;
import io.flynn.blobstore.store.postgres.Space;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** The plan stage: counts what is to be moved, and looks for all that would stop the move half-way. Writes nothing. */
public final class PlanRun implements StageRun {

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final StageContext context;
    private final Order order;
    private final Route route;
    private final Stores stores;
    private final Inventory inventory;
    private final Map<Figure, Long> figures = new EnumMap<>(Figure.class);
    private final List<Finding> findings = new ArrayList<>();

    /**
     * What is asked for.
     *
     * @param defaultBackend where the workload puts new blobs
     * @param place names the stores at both ends, for the plan's identity
     * @param isOneBucket whether both ends are known to be the same bucket
     * @param isCleaned whether what blobs leave is to be deleted in the end
     */
    public record Order(
            Route route,
            BackendName defaultBackend,
            String place,
            boolean isOneBucket,
            boolean isCleaned,
            VacuumMode vacuum) {}

    public PlanRun(StageContext context, Order order, Stores stores) {
        this.context = context;
        this.order = order;
        route = order.route();
        this.stores = stores;
        inventory = new Inventory(context.database());
    }

    @Override
    public StageReport run() {
        return new Patience(PATIENCE, context.stop()).retrying(this::plan);
    }

    @Override
    public Map<Figure, Long> figures() {
        return new EnumMap<>(figures);
    }

    @Override
    public List<Finding> findings() {
        return List.copyOf(findings);
    }

    private StageReport plan() {
        figures.clear();
        findings.clear();
        inventory.requireSchema();
        Count source = new MoveCatalog(context.database()).count(route.from(), route.filter());
        figures.put(Figure.BLOBS, source.blobs());
        figures.put(Figure.BYTES, source.bytes());
        // Proves address, credentials and bucket; that every action is allowed, the backend's own probe has proven.
        stores.requireBuckets();
        lookForBlockers();
        lookForWarnings();
        List<Finding> blockers = findings.stream()
                .filter(finding -> finding.level() == Level.BLOCKER)
                .toList();
        String message = "%d blobs, %s, from %s".formatted(source.blobs(), new ByteSize(source.bytes()), route);
        return blockers.isEmpty()
                ? ended(ExitCode.DONE, Reasons.DONE, message)
                : ended(
                        ExitCode.FAILED,
                        blockers.getFirst().reason(),
                        blockers.getFirst().message());
    }

    private void lookForBlockers() {
        if (order.isOneBucket()) {
            blocker(
                    "bucket",
                    Reasons.SAME_BUCKET,
                    "%s and %s are two names of one bucket, so nothing is to be moved, and cleaning would delete the only copy: name"
                                    .formatted(route.from(), route.to())
                            + " another bucket");
        }
        if (!order.defaultBackend().equals(route.to())) {
            blocker(
                    "DEFAULT_BACKEND",
                    Reasons.TARGET_NOT_DEFAULT,
                    "new blobs still go to %s, so copying would never end: %s"
                            .formatted(
                                    order.defaultBackend(),
                                    route.to().isExternal()
                                            ? "set default: true on BlobstoreBackend " + route.to()
                                            : "set default: false on BlobstoreBackend " + order.defaultBackend()));
        }
        long largest = inventory.largestBlob(route.from(), route.filter());
        if (largest > route.bytesMax()) {
            blocker("files", Reasons.BLOB_TOO_LARGE, route.tooLarge(largest));
        }
        if (order.isCleaned() && !route.from().isExternal()) {
            requireRightsToClean();
        }
    }

    private void requireRightsToClean() {
        long notOurs = inventory.notUnlinkable(route.from(), route.filter());
        if (notOurs > 0) {
            blocker(
                    "pg_largeobject_metadata",
                    Reasons.LARGE_OBJECTS_DENIED,
                    "%d large objects belong to roles that PGUSER is not a member of, so they can't be unlinked: make their"
                                    .formatted(notOurs)
                            + " owner PGUSER, or set sourceCleanup.policy: Retain");
        }
        if (order.vacuum() != VacuumMode.NONE && !new Space(context.database()).mayVacuum()) {
            blocker("pg_largeobject", Reasons.VACUUM_NOT_PERMITTED, VacuumRun.NOT_PERMITTED);
        }
    }

    private void lookForWarnings() {
        if (!new MoveGuard(context.database()).isPossible()) {
            warning(
                    "files",
                    Reasons.NO_MOVE_GUARD,
                    "PGUSER doesn't own the table, so the move guard can't be set: what an old server appends while its blob"
                            + " moves may be unreadable until the copy stage settles it");
        }
        long withoutDigest = inventory.withoutDigest(route.from(), route.filter());
        if (withoutDigest > 0) {
            warning(
                    "files",
                    Reasons.DIGEST_MISSING,
                    withoutDigest + " blobs have no recorded digest: they are read once more, and it is recorded");
        }
    }

    private void blocker(String subject, String reason, String message) {
        findings.add(new Finding(Level.BLOCKER, subject, reason, message));
    }

    private void warning(String subject, String reason, String message) {
        findings.add(new Finding(Level.WARNING, subject, reason, message));
    }

    private StageReport ended(ExitCode outcome, String reason, String message) {
        return new StageReport(Stage.PLAN, outcome, reason, message, identity(), figures(), findings());
    }

    private String identity() {
        return identity(inventory, route, order.place());
    }

    /**
     * A plan's identity: of the two stores, not of counts, which live traffic changes.
     *
     * @param place names the stores at both ends
     */
    public static String identity(Inventory inventory, Route route, String place) {
        Digest digest = new Digest();
        String text = inventory.identity() + "\n" + route.from() + "\n" + route.to() + "\n" + place
                + (route.filter().isAll() ? "" : "\n" + route.filter());
        digest.update(ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
        return digest.finish().sha512().toString().substring(0, 16);
    }
}
