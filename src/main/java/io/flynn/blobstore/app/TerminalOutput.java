package io.flynn.blobstore.app;

import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.move.ProgressOutput;
import java.io.PrintStream;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;

/** A bar, and the report as text, for people at a terminal. */
final class TerminalOutput implements ProgressOutput {

    private static final long MIB = 1024 * 1024;

    private final PrintStream out;
    private final ProgressBar bar;

    TerminalOutput(String title, PrintStream out) {
        this.out = out;
        bar = new ProgressBarBuilder()
                .setTaskName(title)
                .setUnit(" MiB", MIB)
                .setInitialMax(0)
                .showSpeed()
                .build();
    }

    @Override
    public void progress(Progress progress) {
        bar.maxHint(progress.totalBytes());
        bar.stepTo(progress.doneBytes());
        String wait = progress.bottleneck().isEmpty() ? "" : ", waiting for " + progress.bottleneck();
        bar.setExtraMessage(" %d/%d blobs%s".formatted(progress.doneBlobs(), progress.totalBlobs(), wait));
    }

    @Override
    public void report(StageReport report) {
        bar.close();
        for (Finding finding : report.findings()) {
            String level =
                    finding.level() == Level.OK ? "ok" : finding.level().name().toLowerCase(java.util.Locale.ROOT);
            out.printf("%-8s %s: %s%n", level, finding.subject(), finding.message());
        }
        out.printf("%s: %s%n", report.reason(), report.message());
    }

    @Override
    public void close() {
        bar.close();
    }
}
