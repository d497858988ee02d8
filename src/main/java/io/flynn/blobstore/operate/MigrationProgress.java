package io.flynn.blobstore.operate;

import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus.Amount;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus.ProgressState;
import io.flynn.blobstore.blob.ByteSize;
import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.operate.ProgressReader.Heard;
import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * How far the blobs are: what was known, corrected by what a stage reports at its end, or by what its pod says meanwhile. Counts
 * are of blobs in scope, not of what one run did: a run that was resumed begins where the last one was cut off.
 */
record MigrationProgress(Amount total, Amount copied, Amount verified, Amount remaining, long failed) {

    private static final Amount NONE = new Amount(0, 0);

    static MigrationProgress of(@Nullable ProgressState before) {
        if (before == null) {
            return new MigrationProgress(NONE, NONE, NONE, NONE, 0);
        }
        return new MigrationProgress(
                orNone(before.total()),
                orNone(before.copied()),
                orNone(before.verified()),
                orNone(before.remaining()),
                before.failed() == null ? 0 : before.failed());
    }

    /** After a stage said how it ended. */
    MigrationProgress after(StageReport report) {
        return switch (report.stage()) {
            case PLAN ->
                amount(report, Figure.BLOBS, Figure.BYTES)
                        .map(scope -> new MigrationProgress(scope, NONE, NONE, scope, 0))
                        .orElse(this);
            case COPY -> remaining(amount(report, Figure.REMAINING_BLOBS, Figure.REMAINING_BYTES), failedIn(report));
            case VERIFY ->
                amount(report, Figure.BLOBS, Figure.BYTES)
                        .map(proven -> proven(
                                proven,
                                amount(report, Figure.REMAINING_BLOBS, Figure.REMAINING_BYTES)
                                        .orElse(NONE)))
                        .orElse(this)
                        .withFailed(failedIn(report));
            case CLEAN, VACUUM, PROBE -> this;
        };
    }

    /** While a stage runs. */
    MigrationProgress during(Progress progress) {
        if (!progress.counted()) {
            return this;
        }
        Amount done = new Amount(progress.doneBlobs(), progress.doneBytes());
        return switch (progress.stage()) {
            case COPY ->
                remaining(
                        Optional.of(minus(new Amount(progress.totalBlobs(), progress.totalBytes()), done)),
                        progress.failedBlobs());
            case VERIFY -> new MigrationProgress(total, copied, done, remaining, progress.failedBlobs());
            case PLAN, CLEAN, VACUUM, PROBE -> this;
        };
    }

    /**
     * As a status shows it.
     *
     * @param heard what the running stage's pod said last, if one runs and has spoken
     * @param complete whether all is done
     */
    ProgressState toStatus(Optional<Heard> heard, boolean complete) {
        Optional<Progress> live = heard.map(Heard::progress).filter(Progress::counted);
        long done = complete ? total.blobs() : live.map(this::doneOf).orElse(copied.blobs());
        long of = complete ? total.blobs() : live.map(this::totalOf).orElse(total.blobs());
        int percent = of == 0 ? (complete ? 100 : 0) : (int) (Math.min(done, of) * 100.0 / of);
        Optional<Long> rate = live.map(Progress::bytesPerSecond);
        Optional<Duration> rest = live.filter(progress -> progress.bytesPerSecond() > 0)
                .filter(progress -> progress.totalBytes() > progress.doneBytes())
                .map(progress -> Duration.ofSeconds(
                        Math.ceilDiv(progress.totalBytes() - progress.doneBytes(), progress.bytesPerSecond())));
        return new ProgressState(
                total,
                copied,
                verified,
                failed,
                remaining,
                percent,
                "%d/%d (%d%%)".formatted(done, of, percent),
                rate.orElse(null),
                rate.map(bytes -> new ByteSize(bytes).display() + "/s").orElse(null),
                rest.map(Durations::display).orElse(null),
                heard.flatMap(said ->
                                rest.map(time -> StageLedgers.seconds(said.at().plus(time))))
                        .orElse(null),
                live.map(Progress::blob).filter(blob -> !blob.isEmpty()).orElse(null),
                heard.map(said -> StageLedgers.seconds(said.at())).orElse(null));
    }

    private long doneOf(Progress progress) {
        return progress.stage() == Stage.COPY ? copied.blobs() : progress.doneBlobs();
    }

    private long totalOf(Progress progress) {
        return progress.stage() == Stage.COPY ? total.blobs() : progress.totalBlobs();
    }

    private MigrationProgress remaining(Optional<Amount> left, long failedBlobs) {
        return left.map(rest -> {
                    // Blobs that were written to the source meanwhile are in scope too.
                    Amount all =
                            new Amount(Math.max(total.blobs(), rest.blobs()), Math.max(total.bytes(), rest.bytes()));
                    return new MigrationProgress(all, minus(all, rest), verified, rest, failedBlobs);
                })
                .orElseGet(() -> withFailed(failedBlobs));
    }

    private MigrationProgress proven(Amount proven, Amount left) {
        Amount all = new Amount(proven.blobs() + left.blobs(), proven.bytes() + left.bytes());
        return new MigrationProgress(all, proven, proven, left, failed);
    }

    private MigrationProgress withFailed(long blobs) {
        return new MigrationProgress(total, copied, verified, remaining, blobs);
    }

    private static long failedIn(StageReport report) {
        return report.figure(Figure.FAILED_BLOBS).orElse(0);
    }

    private static Optional<Amount> amount(StageReport report, Figure blobs, Figure bytes) {
        return report.figure(blobs).isPresent()
                ? Optional.of(new Amount(
                        report.figure(blobs).getAsLong(), report.figure(bytes).orElse(0)))
                : Optional.empty();
    }

    private static Amount minus(Amount all, Amount some) {
        return new Amount(Math.max(0, all.blobs() - some.blobs()), Math.max(0, all.bytes() - some.bytes()));
    }

    private static Amount orNone(@Nullable Amount amount) {
        return amount == null ? NONE : amount;
    }
}
