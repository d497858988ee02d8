package io.flynn.blobstore.move;

import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.store.BucketOwnership;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** A stage that doesn't begin in a bucket that is another installation's. */
public final class InOwnBucket implements StageRun {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final Runnable ownership;
    private final StopSignal stop;
    private final StageRun stage;

    private InOwnBucket(Runnable ownership, StopSignal stop, StageRun stage) {
        this.ownership = ownership;
        this.stop = stop;
        this.stage = stage;
    }

    /** For a stage that writes nothing: a bucket without a mark stays so. */
    public static StageRun checked(BucketOwnership bucket, StopSignal stop, StageRun stage) {
        return new InOwnBucket(bucket::check, stop, stage);
    }

    /** For a stage that writes, or that relies on what lies in the bucket: it is marked. */
    public static StageRun claimed(BucketOwnership bucket, StopSignal stop, StageRun stage) {
        return new InOwnBucket(bucket::claim, stop, stage);
    }

    @Override
    public StageReport run() {
        new Patience(PATIENCE, stop).retrying(() -> {
            ownership.run();
            return ownership;
        });
        return stage.run();
    }

    @Override
    public Map<Figure, Long> figures() {
        return stage.figures();
    }

    @Override
    public List<Finding> findings() {
        return stage.findings();
    }
}
