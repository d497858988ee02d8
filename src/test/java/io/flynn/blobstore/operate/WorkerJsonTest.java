package io.flynn.blobstore.operate;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkerJsonTest {

    private static final StageReport REPORT = new StageReport(
            Stage.COPY,
            ExitCode.RETRY,
            "DatabaseUnreachable",
            "connection to postgres:5432 was lost",
            "",
            Map.of(Figure.COPIED_BLOBS, 17L),
            List.of(new Finding(Level.FAILURE, "row 1", "SourceMissing", "the large object is gone")));

    private static final Progress PROGRESS = new Progress(Stage.COPY, 10, 1000, 4, 400, 0, 50, "f1", "store");

    @Test
    void readsWhatAWorkerWrites() {
        assertThat(WorkerJson.report(json(REPORT), Stage.COPY)).contains(REPORT);
        assertThat(WorkerJson.progress(json(Map.of("progress", PROGRESS)), Stage.COPY))
                .contains(PROGRESS);
    }

    @Test
    void reportOfAnotherStageIsNone() {
        assertThat(WorkerJson.report(json(REPORT), Stage.VERIFY)).isEmpty();
        assertThat(WorkerJson.progress(json(Map.of("progress", PROGRESS)), Stage.VERIFY))
                .isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "null",
                "{}",
                "[]",
                "17",
                "\"done\"",
                "Killed",
                "{\"stage\":\"COPY\",\"outcome\":\"DONE\"}",
                "{\"stage\":2,\"outcome\":0,\"reason\":\"Done\",\"message\":\"\",\"identity\":\"\",\"figures\":{},\"findings\":[]}",
                "{\"stage\":\"COPY\",\"outcome\":\"DONE\",\"reason\":\"Done\",\"message\":\"\",\"identity\":\"\",\"figures\":{},\"findings\":null}",
                "{\"stage\":\"COPY\",\"outcome\":\"DONE\",\"reason\":null,\"message\":\"\",\"identity\":\"\",\"figures\":{},\"findings\":[]}",
                "{\"stage\":\"COPY\",\"outcome\":\"DONE\",\"reason\":\"not a reason\",\"message\":\"\",\"identity\":\"\",\"figures\":{},\"findings\":[]}",
                "{\"stage\":\"COPY\",\"outcome\":\"DONE\",\"reason\":\"Done\",\"message\":1,\"identity\":\"\",\"figures\":{},\"findings\":[]}",
                "{\"stage\":\"COPY\",\"outcome\":\"DONE\",\"reason\":\"Done\",\"message\":\"\",\"identity\":\"\",\"figures\":{\"BLOBS\":-1},\"findings\":[]}",
                "{\"stage\":\"COPY\",\"outcome\":\"DONE\",\"reason\":\"Done\",\"message\":\"\",\"identity\":\"\",\"figures\":{\"BLOBS\":1.5},\"findings\":[]}",
                "{\"stage\":\"COPY\",\"outcome\":\"DONE\",\"reason\":\"Done\",\"message\":\"\",\"identity\":\"\",\"figures\":{\"BLOBS\":\"1\"},\"findings\":[]}",
                "{\"stage\":\"COPY\",\"outcome\":\"DONE\",\"reason\":\"Done\",\"message\":\"\",\"identity\":\"\",\"figures\":{\"BLOBS\":null},\"findings\":[]}",
                "{\"stage\":\"COPY\",\"outcome\":\"DONE\",\"reason\":\"Done\",\"message\":\"\",\"identity\":\"\",\"figures\":{\"LIES\":1},\"findings\":[]}",
                "{\"stage\":\"COPY\",\"outcome\":\"DONE\",\"reason\":\"Done\",\"message\":\"\",\"identity\":\"\",\"figures\":{},\"findings\":[null]}",
                "{\"stage\":\"COPY\",\"outcome\":\"DONE\",\"reason\":\"Done\",\"message\":\"\",\"identity\":\"\",\"figures\":{},\"findings\":[],\"more\":1}",
                "{\"stage\":\"COPY\",\"outcome\":\"RETRY\",\"outcome\":\"DONE\",\"reason\":\"Done\",\"message\":\"\",\"identity\":\"\",\"figures\":{},\"findings\":[]}",
                "{\"stage\":\"COPY\",\"outcome\":\"DONE\",\"reason\":\"Done\",\"message\":\"\",\"identity\":\"\",\"figures\":{},\"findings\":[]} {}",
                "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
            })
    void garbledReportIsNone(String message) {
        assertThat(WorkerJson.report(message, Stage.COPY)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "{}",
                "{\"progress\":null}",
                "{\"progress\":{}}",
                "{\"level\":\"INFO\",\"message\":\"copying\"}",
                "{\"progress\":{\"stage\":\"COPY\",\"totalBlobs\":-1,\"totalBytes\":0,\"doneBlobs\":0,\"doneBytes\":0,\"failedBlobs\":0,\"bytesPerSecond\":0,\"blob\":\"\",\"bottleneck\":\"\"}}",
                "{\"progress\":{\"stage\":\"COPY\",\"totalBlobs\":99999999999999999999,\"totalBytes\":0,\"doneBlobs\":0,\"doneBytes\":0,\"failedBlobs\":0,\"bytesPerSecond\":0,\"blob\":\"\",\"bottleneck\":\"\"}}",
                "{\"progress\":{\"stage\":\"COPY\",\"totalBlobs\":1,\"totalBytes\":0,\"doneBlobs\":0,\"doneBytes\":0,\"failedBlobs\":0,\"bytesPerSecond\":0}}",
                "{\"progress\":{\"stage\":\"COPY\",\"totalBlobs\":1,\"totalBytes\":0,\"doneBlobs\":0,\"doneBytes\":0,\"failedBlobs\":0,\"bytesPerSecond\":0,\"blob\":\"\",\"bottleneck\":\"<b>\"}}"
            })
    void garbledProgressIsNone(String line) {
        assertThat(WorkerJson.progress(line, Stage.COPY)).isEmpty();
    }

    @Test
    void whatIsTooLongIsNone() {
        StageReport long4097 = withMessage("é".repeat(2048));

        assertThat(WorkerJson.report(json(long4097), Stage.COPY)).isEmpty();
        assertThat(WorkerJson.progress(
                        json(Map.of("progress", new Progress(Stage.COPY, 1, 1, 0, 0, 0, 0, "x".repeat(2048), "store"))),
                        Stage.COPY))
                .isEmpty();
    }

    @Test
    void textForPeopleIsOneLine() {
        assertThat(WorkerJson.report(json(withMessage("a\r\nb\u0000c\u2028d\u001b[31m")), Stage.COPY))
                .get()
                .extracting(StageReport::message)
                .isEqualTo("a b c d [31m");
    }

    @Test
    void arbitraryBytesAreNoReportAndNoFailure() {
        RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(3);
        byte[] valid = json(REPORT).getBytes(StandardCharsets.UTF_8);
        for (int run = 0; run < 20_000; run++) {
            byte[] bytes = valid.clone();
            int changes = 1 + random.nextInt(8);
            for (int change = 0; change < changes; change++) {
                bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
            }
            String message = new String(bytes, 0, random.nextInt(bytes.length + 1), StandardCharsets.UTF_8);

            WorkerJson.progress(message, Stage.COPY);
            WorkerJson.report(message, Stage.COPY).ifPresent(report -> {
                assertThat(report.stage()).isEqualTo(Stage.COPY);
                assertThat(report.reason()).matches("[A-Za-z][A-Za-z0-9_,:]*");
                assertThat(report.message()).doesNotContainPattern("\\p{Cntrl}");
                assertThat(report.figures().values()).allMatch(figure -> figure >= 0);
            });
        }
    }

    private static StageReport withMessage(String message) {
        return new StageReport(Stage.COPY, ExitCode.DONE, "Done", message, "", Map.of(), List.of());
    }

    private static String json(Object value) {
        try {
            return new ObjectMapper().writeValueAsString(value);
        } catch (JsonProcessingException failure) {
            throw new AssertionError(failure);
        }
    }
}
