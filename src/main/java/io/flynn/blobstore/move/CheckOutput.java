package io.flynn.blobstore.move;

import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckReport;
import io.flynn.blobstore.decide.SweepReport;

/** Where a check tells what it finds, as soon as it is found. Thread-safe; may block, and the check with it. */
public interface CheckOutput {

    /** @param soFar what was counted up to now */
    void progress(CheckReport soFar);

    void finding(CheckFinding finding);

    void summary(CheckReport report);

    /** @param orphan is about to be deleted */
    void deleting(CheckFinding orphan);

    /** @param why it stays although nothing named it when it was found; one line for people */
    void kept(CheckFinding orphan, String why);

    /** The last that is told where leftovers are swept. */
    void swept(SweepReport report);
}
