package io.flynn.blobstore.operate;

import static java.util.stream.Collectors.counting;
import static java.util.stream.Collectors.groupingBy;

import io.fabric8.kubernetes.api.model.Condition;
import io.flynn.blobstore.api.v1alpha1.BlobMigration;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus.Failure;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus.Failures;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus.Plan;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus.Reclaim;
import io.flynn.blobstore.blob.ByteSize;
import io.flynn.blobstore.decide.MigrationDecision;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.operate.ProgressReader.Heard;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Makes a migration's next status of its last one, of what was decided, and of what its pods said. Pure. */
final class MigrationStatuses {

    /** How many findings of a kind a status lists; the log has all. */
    private static final int LISTED_MAX = 20;

    /** For an estimate only: what one pod moved of large and of small blobs when it was measured, rounded down. */
    private static final long BYTES_PER_SECOND = 100L << 20;

    private static final long BLOBS_PER_SECOND = 400;

    private MigrationStatuses() {}

    /**
     * @param migration with its last status
     * @param decision what was decided
     * @param report of the attempt that was just seen to be over, if one was
     * @param heard what the running stage's pod said last
     */
    static BlobMigrationStatus next(
            BlobMigration migration,
            MigrationDecision decision,
            Optional<StageReport> report,
            Optional<Heard> heard,
            Instant now) {
        Optional<BlobMigrationStatus> before = Optional.ofNullable(migration.getStatus());
        long generation = migration.getMetadata().getGeneration();
        List<Condition> conditions = Conditions.of(
                decision.conditions(),
                before.map(BlobMigrationStatus::conditions).orElse(null),
                generation,
                now);
        MigrationProgress known =
                MigrationProgress.of(before.map(BlobMigrationStatus::progress).orElse(null));
        MigrationProgress reported = report.map(known::after).orElse(known);
        MigrationProgress current =
                heard.map(said -> reported.during(said.progress())).orElse(reported);
        return new BlobMigrationStatus(
                generation,
                decision.phase(),
                decision.message(),
                conditions,
                report.filter(end -> end.stage() == Stage.PLAN)
                        .map(MigrationStatuses::plan)
                        .or(() -> before.map(BlobMigrationStatus::plan))
                        .orElse(null),
                current.toStatus(
                        heard, decision.over() && decision.ledger().current().isEmpty()),
                report.flatMap(MigrationStatuses::failures)
                        .or(() -> before.map(BlobMigrationStatus::failures))
                        .orElseGet(() -> new Failures(0, null, List.of())),
                StageLedgers.toStatus(decision.ledger(), migration.getMetadata().getUid()),
                decision.rollbackUntil().map(StageLedgers::seconds).orElse(null),
                report.filter(end -> end.stage() == Stage.VACUUM)
                        .flatMap(MigrationStatuses::reclaim)
                        .or(() -> before.map(BlobMigrationStatus::reclaim))
                        .orElse(null),
                decision.ledger()
                        .of(Stage.PLAN)
                        .started()
                        .map(StageLedgers::seconds)
                        .orElse(null),
                decision.over()
                        ? before.map(BlobMigrationStatus::completionTime).orElseGet(() -> StageLedgers.seconds(now))
                        : null);
    }

    private static Plan plan(StageReport report) {
        long blobs = report.figure(Figure.BLOBS).orElse(0);
        long bytes = report.figure(Figure.BYTES).orElse(0);
        Duration estimate = Duration.ofSeconds(bytes / BYTES_PER_SECOND + blobs / BLOBS_PER_SECOND + 1);
        return new Plan(
                report.identity().isEmpty() ? null : report.identity(),
                blobs,
                bytes,
                Durations.display(estimate),
                messages(report, Level.BLOCKER),
                messages(report, Level.WARNING));
    }

    private static List<String> messages(StageReport report, Level level) {
        return report.findings().stream()
                .filter(finding -> finding.level() == level)
                .map(finding -> "%s: %s".formatted(finding.reason(), finding.message()))
                .limit(LISTED_MAX)
                .toList();
    }

    /** Only the stages that look at every blob know which ones fail; each of their reports replaces the last one. */
    private static Optional<Failures> failures(StageReport report) {
        if (report.stage() != Stage.COPY && report.stage() != Stage.VERIFY) {
            return Optional.empty();
        }
        List<Finding> failed = report.findings().stream()
                .filter(finding -> finding.level() == Level.FAILURE)
                .toList();
        Map<String, Long> byReason = failed.stream().collect(groupingBy(Finding::reason, TreeMap::new, counting()));
        return Optional.of(new Failures(
                report.figure(Figure.FAILED_BLOBS).orElse(failed.size()),
                // Server-side apply makes null of a map that is emptied, which the schema refuses; left out, it goes.
                byReason.isEmpty() ? null : byReason,
                failed.stream()
                        .limit(LISTED_MAX)
                        .map(finding -> new Failure(finding.subject(), finding.reason(), finding.message()))
                        .toList()));
    }

    private static Optional<Reclaim> reclaim(StageReport report) {
        OptionalLong before = report.figure(Figure.DATABASE_BYTES_BEFORE);
        OptionalLong after = report.figure(Figure.DATABASE_BYTES_AFTER);
        if (before.isEmpty() || after.isEmpty()) {
            return Optional.empty();
        }
        return Optional.of(new Reclaim(
                size(before.getAsLong()),
                size(after.getAsLong()),
                size(Math.max(0, before.getAsLong() - after.getAsLong())),
                method(report),
                report.figure(Figure.LOCK_HELD_MILLIS).isPresent()
                        ? Durations.display(Duration.ofMillis(
                                report.figure(Figure.LOCK_HELD_MILLIS).getAsLong()))
                        : null));
    }

    private static @Nullable String method(StageReport report) {
        return report.findings().stream()
                .filter(finding -> finding.subject().equals("method"))
                .findFirst()
                .map(finding -> finding.message().equals("FULL") ? "Full" : "Plain")
                .orElse(null);
    }

    private static String size(long bytes) {
        return new ByteSize(bytes).display();
    }
}
