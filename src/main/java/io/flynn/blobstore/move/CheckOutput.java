package io.flynn.blobstore.move;

import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckReport;

/** Where a check tells what it finds, as soon as it is found. Thread-safe; may block, and the check with it. */
public interface CheckOutput {

    /** @param soFar what was counted up to now */
    void progress(CheckReport soFar);

    void finding(CheckFinding finding);

    void summary(CheckReport report);
}
