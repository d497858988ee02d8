package io.flynn.blobstore.move;

import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckFinding.Kind;
import io.flynn.blobstore.decide.CheckReport;
import io.flynn.blobstore.decide.CheckReport.Figure;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;

/** Counts what a check looks at, and hands on what it finds. Thread-safe. */
final class CheckTally {

    private final CheckOutput output;
    private final Map<String, Map<Figure, Long>> backends = new HashMap<>();
    private final Map<Kind, Long> findings = new EnumMap<>(Kind.class);

    CheckTally(CheckOutput output) {
        this.output = output;
    }

    synchronized void count(String backend, Figure figure, long number) {
        backends.computeIfAbsent(backend, first -> new EnumMap<>(Figure.class)).merge(figure, number, Long::sum);
    }

    void found(CheckFinding finding) {
        synchronized (this) {
            findings.merge(finding.kind(), 1L, Long::sum);
        }
        output.finding(finding);
    }

    /** As it is now. */
    synchronized CheckReport report() {
        Map<String, Map<Figure, Long>> copies = new HashMap<>();
        backends.forEach((backend, figures) -> copies.put(backend, new EnumMap<>(figures)));
        return new CheckReport(copies, findings);
    }
}
