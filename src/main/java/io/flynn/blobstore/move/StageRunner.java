package io.flynn.blobstore.move;

import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.InvalidSettingException;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.store.StorageFailure;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Runs one stage to its end, whatever that is, telling its progress meanwhile: always ends with a report, never throws. */
public final class StageRunner {

    private static final Logger LOG = LoggerFactory.getLogger(StageRunner.class);

    private static final Duration TELL_EVERY = Duration.ofSeconds(2);

    private final Stage stage;
    private final ProgressMeter progress;
    private final ProgressOutput output;

    public StageRunner(Stage stage, ProgressMeter progress, ProgressOutput output) {
        this.stage = stage;
        this.progress = progress;
        this.output = output;
    }

    /** @param start opens what the stage needs; wrong settings show there */
    public StageReport run(Supplier<StageRun> start) {
        // A thread of its own, so that an output that takes nothing stops no blob; a daemon, so that it ends with the
        // process.
        Thread teller = Thread.ofPlatform().daemon().name("progress").start(this::tell);
        try {
            return runToReport(start);
        } finally {
            teller.interrupt();
        }
    }

    private void tell() {
        try {
            while (true) {
                output.progress(progress.progress(System.nanoTime()));
                Thread.sleep(TELL_EVERY);
            }
        } catch (InterruptedException e) {
            // The stage has ended; its report says the rest.
            Thread.currentThread().interrupt();
        }
    }

    private StageReport runToReport(Supplier<StageRun> start) {
        StageRun run;
        try {
            run = start.get();
        } catch (InvalidSettingException e) {
            return ended(ExitCode.USAGE, e.reason(), String.valueOf(e.getMessage()), Map.of(), List.of());
        }
        try {
            return run.run();
        } catch (StorageFailure e) {
            LOG.error("stage {} failed", stage.word(), e);
            return ended(
                    e.isTransient() ? ExitCode.RETRY : ExitCode.FAILED,
                    e.reason(),
                    String.valueOf(e.getMessage()),
                    run.figures(),
                    run.findings());
        } catch (RuntimeException e) {
            LOG.error("stage {} failed in a way that should be impossible", stage.word(), e);
            return ended(
                    ExitCode.FAILED,
                    Reasons.INTERNAL,
                    "internal error " + e.getClass().getSimpleName() + "; see the pod's log",
                    run.figures(),
                    run.findings());
        }
    }

    private StageReport ended(
            ExitCode outcome,
            String reason,
            String message,
            Map<StageReport.Figure, Long> figures,
            List<StageReport.Finding> findings) {
        return new StageReport(stage, outcome, reason, message, "", figures, findings);
    }
}
