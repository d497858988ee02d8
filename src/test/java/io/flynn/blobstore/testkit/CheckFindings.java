package io.flynn.blobstore.testkit;

import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckFinding.Kind;
import io.flynn.blobstore.decide.CheckReport;
import io.flynn.blobstore.move.CheckOutput;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** Keeps what a check finds. */
public final class CheckFindings implements CheckOutput {

    private final List<CheckFinding> findings = new CopyOnWriteArrayList<>();

    @Override
    public void progress(CheckReport soFar) {}

    @Override
    public void finding(CheckFinding finding) {
        findings.add(finding);
    }

    @Override
    public void summary(CheckReport report) {}

    public List<CheckFinding> all() {
        return List.copyOf(findings);
    }

    public List<Kind> kinds() {
        return findings.stream().map(CheckFinding::kind).sorted().toList();
    }
}
