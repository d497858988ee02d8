package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class JsonOutputTest {

    @Test
    void aLineThatNobodyTakesDoesNotHoldUpTheEnd() throws Exception {
        CountDownLatch blocked = new CountDownLatch(1);
        CountDownLatch never = new CountDownLatch(1);
        PrintStream full = new PrintStream(new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                blocked.countDown();
                try {
                    never.await();
                } catch (InterruptedException e) {
                    throw new IOException(e);
                }
            }
        });
        JsonOutput output = new JsonOutput(full);
        Thread.ofPlatform().daemon().start(() -> output.report(report("", List.of())));
        assertThat(blocked.await(10, TimeUnit.SECONDS)).isTrue();

        assertThat(CompletableFuture.runAsync(output::close)).succeedsWithin(Duration.ofSeconds(10));
    }

    @Test
    void aTerminationMessageIsCutToWhatTheKubeletKeepsAndStaysJson() throws Exception {
        Finding finding = new Finding(Level.FAILURE, "a blob", "SourceMissing", "é".repeat(200));

        byte[] message = JsonOutput.terminationMessage(report("ö".repeat(1_200), Collections.nCopies(100, finding)));

        assertThat(message.length).isBetween(1, StageReport.MAX_BYTES);
        JsonNode read = new ObjectMapper().readTree(message);
        assertThat(read.path("reason").asText()).isEqualTo("BlobsFailed");
        assertThat(read.path("findings").size())
                .as("as many findings as there is room for")
                .isBetween(1, 99);
    }

    private static StageReport report(String message, List<Finding> findings) {
        return new StageReport(Stage.COPY, ExitCode.FAILED, "BlobsFailed", message, "", Map.of(), findings);
    }
}
