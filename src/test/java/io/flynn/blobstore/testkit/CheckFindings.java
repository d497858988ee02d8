package io.flynn.blobstore.testkit;

import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckFinding.Kind;
import io.flynn.blobstore.decide.CheckReport;
import io.flynn.blobstore.decide.SweepReport;
import io.flynn.blobstore.move.CheckOutput;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** Keeps what a check finds. */
public final class CheckFindings implements CheckOutput {

    private final List<CheckFinding> findings = new CopyOnWriteArrayList<>();
    private final List<CheckFinding> deleted = new CopyOnWriteArrayList<>();
    private final List<CheckFinding> kept = new CopyOnWriteArrayList<>();

    @Override
    public void progress(CheckReport soFar) {}

    @Override
    public void finding(CheckFinding finding) {
        findings.add(finding);
    }

    @Override
    public void summary(CheckReport report) {}

    @Override
    public void deleting(CheckFinding orphan) {
        deleted.add(orphan);
    }

    @Override
    public void kept(CheckFinding orphan, String why) {
        kept.add(orphan);
    }

    @Override
    public void swept(SweepReport report) {}

    /** What a sweep deleted, by its key or its number. */
    public List<String> deleted() {
        return deleted.stream().map(CheckFindings::name).sorted().toList();
    }

    public List<String> kept() {
        return kept.stream().map(CheckFindings::name).sorted().toList();
    }

    private static String name(CheckFinding orphan) {
        return orphan.key().orElseGet(() -> Long.toString(orphan.oid().orElseThrow()));
    }

    public List<CheckFinding> all() {
        return List.copyOf(findings);
    }

    public List<Kind> kinds() {
        return findings.stream().map(CheckFinding::kind).sorted().toList();
    }
}
