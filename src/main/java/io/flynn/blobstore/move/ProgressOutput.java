package io.flynn.blobstore.move;

import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.StageReport;

/** Where a stage tells how far it is and how it ended. Implementations may block; nothing waits for them. */
public interface ProgressOutput extends AutoCloseable {

    void progress(Progress progress);

    void report(StageReport report);

    @Override
    void close();
}
