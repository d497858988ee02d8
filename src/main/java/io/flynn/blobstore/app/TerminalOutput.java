package io.flynn.blobstore.app;

import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.move.ProgressOutput;
import java.io.PrintStream;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarConsumer;

/** A bar, and the report as text, for people at a terminal. */
final class TerminalOutput implements ProgressOutput {

    private static final long MIB = 1024 * 1024;

    private final PrintStream out;
    private final ProgressBar bar;
    private boolean isEnded;

    TerminalOutput(String title, PrintStream out) {
        this(title, out, new ProgressBarBuilder());
    }

    /** @param drawn where the bar goes */
    TerminalOutput(String title, PrintStream out, ProgressBarConsumer drawn) {
        this(title, out, new ProgressBarBuilder().setConsumer(drawn));
    }

    private TerminalOutput(String title, PrintStream out, ProgressBarBuilder builder) {
        this.out = out;
        bar = builder.setTaskName(title)
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
        if (report.outcome() == ExitCode.DONE) {
            bar.stepTo(bar.getMax());
        }
        close();
        for (Finding finding : report.findings()) {
            String level =
                    finding.level() == Level.OK ? "ok" : finding.level().name().toLowerCase(java.util.Locale.ROOT);
            out.printf("%-8s %s: %s%n", level, finding.subject(), finding.message());
        }
        out.printf("%s: %s%n", report.reason(), report.message());
    }

    /** A bar that is closed again is drawn again, below what was said since. */
    @Override
    public synchronized void close() {
        if (!isEnded) {
            isEnded = true;
            bar.close();
        }
    }
}
