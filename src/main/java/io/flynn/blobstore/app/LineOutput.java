package io.flynn.blobstore.app;

import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.move.ProgressOutput;
import java.io.PrintStream;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** How each stage of a whole migration ended, line by line, for whoever reads it from a pipe or a file. */
final class LineOutput implements ProgressOutput {

    private final PrintStream out;
    private volatile @Nullable MoveLines blobs;

    LineOutput(PrintStream out) {
        this.out = out;
    }

    /** Those lines come first. */
    void follow(MoveLines lines) {
        blobs = lines;
    }

    /** The blobs have their own lines. */
    @Override
    public void progress(Progress progress) {}

    @Override
    public void report(StageReport report) {
        MoveLines lines = blobs;
        if (lines != null) {
            lines.close();
        }
        for (Finding finding : report.findings()) {
            if (finding.level() != Level.OK) {
                out.printf(
                        "%s: %s %s: %s: %s%n",
                        report.stage().word(),
                        finding.level().name().toLowerCase(Locale.ROOT),
                        finding.subject(),
                        finding.reason(),
                        finding.message());
            }
        }
        out.printf("%s: %s: %s%n", report.stage().word(), report.reason(), report.message());
        out.flush();
    }

    @Override
    public void close() {}
}
