package io.flynn.blobstore.move;

import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckReport;
import io.flynn.blobstore.decide.SweepReport;
import java.util.ArrayList;
import java.util.List;

/** Keeps in mind what a check finds that no row names, on its way to an output. Thread-safe. */
public final class Orphans implements CheckOutput {

    /** Some tens of megabytes; those beyond it are found again when these are gone. */
    private static final int MAX = 100_000;

    private final CheckOutput output;
    private final List<CheckFinding> found = new ArrayList<>();

    public Orphans(CheckOutput output) {
        this.output = output;
    }

    @Override
    public void progress(CheckReport soFar) {
        output.progress(soFar);
    }

    @Override
    public void finding(CheckFinding finding) {
        switch (finding.kind()) {
            case OBJECT_ORPHANED, UPLOAD_ORPHANED, LARGE_OBJECT_ORPHANED -> add(finding);
            case ROW_INCOMPLETE,
                    LARGE_OBJECT_MISSING,
                    LARGE_OBJECT_SIZE_DIFFERS,
                    LARGE_OBJECT_BYTES_DIFFER,
                    OBJECT_MISSING,
                    OBJECT_SIZE_DIFFERS,
                    OBJECT_BYTES_DIFFER,
                    BACKEND_UNKNOWN,
                    RETIRED_BACKEND_UNKNOWN,
                    OBJECT_NOT_FLIPPED,
                    UNDECIDED,
                    NOT_CHECKED -> {}
        }
        output.finding(finding);
    }

    private synchronized void add(CheckFinding orphan) {
        if (found.size() < MAX) {
            found.add(orphan);
        }
    }

    @Override
    public void summary(CheckReport report) {
        output.summary(report);
    }

    @Override
    public void deleting(CheckFinding orphan) {
        output.deleting(orphan);
    }

    @Override
    public void kept(CheckFinding orphan, String why) {
        output.kept(orphan, why);
    }

    @Override
    public void swept(SweepReport report) {
        output.swept(report);
    }

    /** Those that were found first, at most {@value #MAX}. */
    synchronized List<CheckFinding> found() {
        return List.copyOf(found);
    }
}
