package io.flynn.blobstore.move;

import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.StageReport;

/** Tells nobody. */
final class SilentOutput implements ProgressOutput {

    @Override
    public void progress(Progress progress) {}

    @Override
    public void report(StageReport report) {}

    @Override
    public void close() {}
}
