package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import org.junit.jupiter.api.Test;

class TerminalOutputTest {

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    private final TerminalOutput output =
            new TerminalOutput("verify", out, new DelegatingProgressBarConsumer(out::println, 120));

    @Test
    void theBarIsFullWhenAllIsDoneAndNotDrawnBelowTheReport() {
        output.progress(progress(3, 30 << 20));

        output.report(report(ExitCode.DONE, Reasons.DONE, "all 4 blobs at s3main are what their rows say"));
        output.close();

        assertThat(text())
                .contains("verify 100%", "3/4 blobs, waiting for store")
                .endsWith("""
                ok       s3:PutObject: was allowed
                Done: all 4 blobs at s3main are what their rows say
                """);
    }

    @Test
    void theBarShowsHowFarItCameWhenItFailed() {
        output.progress(progress(3, 30 << 20));

        output.report(report(ExitCode.FAILED, Reasons.BLOBS_FAILED, "1 blobs at s3main are not what their rows say"));
        output.close();

        assertThat(text()).contains("verify  75%").doesNotContain("100%");
    }

    private static Progress progress(long blobs, long done) {
        return new Progress(Stage.VERIFY, 4, 40 << 20, blobs, done, 0, 1 << 20, "", "store");
    }

    private static StageReport report(ExitCode outcome, String reason, String message) {
        return new StageReport(
                Stage.VERIFY,
                outcome,
                reason,
                message,
                "",
                Map.of(),
                List.of(new Finding(Level.OK, "s3:PutObject", "", "was allowed")));
    }

    private String text() {
        return bytes.toString(StandardCharsets.UTF_8);
    }
}
