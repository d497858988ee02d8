package io.flynn.blobstore.app;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.move.ProgressOutput;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** One JSON object a line, for whoever reads a pod's log. */
final class JsonOutput implements ProgressOutput {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int MESSAGE_CHARACTERS_MAX = 1000;

    private final PrintStream out;

    JsonOutput(PrintStream out) {
        this.out = out;
    }

    @Override
    public void progress(Progress progress) {
        line(json(Map.of("progress", progress)));
    }

    @Override
    public void report(StageReport report) {
        line(json(Map.of("report", report)));
    }

    /** Does nothing: every line is out when it was written, and a line that nobody takes must not hold up the process's end. */
    @Override
    public void close() {}

    private void line(String json) {
        out.println(json);
        out.flush();
    }

    /** The report alone, cut to what a termination message holds: findings are left out from the end. */
    static byte[] terminationMessage(StageReport report) {
        String message = report.message();
        if (message.length() > MESSAGE_CHARACTERS_MAX) {
            message = message.substring(0, MESSAGE_CHARACTERS_MAX) + "…";
        }
        List<Finding> findings = report.findings();
        while (true) {
            byte[] bytes = json(new StageReport(
                            report.stage(),
                            report.outcome(),
                            report.reason(),
                            message,
                            report.identity(),
                            report.figures(),
                            findings))
                    .getBytes(StandardCharsets.UTF_8);
            if (bytes.length <= StageReport.MAX_BYTES || findings.isEmpty()) {
                return bytes;
            }
            findings = findings.subList(0, findings.size() - 1);
        }
    }

    private static String json(Object value) {
        try {
            return JSON.writeValueAsString(value);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("records of numbers and texts are always JSON", e);
        }
    }
}
