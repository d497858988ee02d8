package io.flynn.blobstore.move;

import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import java.util.List;
import java.util.Map;

/** One stage, to be run once. */
public interface StageRun {

    /**
     * Blocks until the stage is done, or is told to stop.
     *
     * @throws io.flynn.blobstore.store.StorageFailure if the world fails for good, or for longer than the stage bears; what
     *     was done stays done
     */
    StageReport run();

    /** What has been done up to now: the figures of a run that failed. A mutable copy. */
    Map<Figure, Long> figures();

    /** What was found up to now. */
    List<Finding> findings();
}
