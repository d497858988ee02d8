package io.flynn.blobstore.app;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckReport;
import io.flynn.blobstore.decide.SweepReport;
import io.flynn.blobstore.move.CheckOutput;
import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/** One JSON object a line, in ASCII, since names are what clients chose and a log may end up on a terminal. */
final class CheckJsonOutput implements CheckOutput {

    private static final ObjectMapper JSON =
            JsonMapper.builder().enable(JsonWriteFeature.ESCAPE_NON_ASCII).build();

    private final PrintStream out;

    CheckJsonOutput(PrintStream out) {
        this.out = out;
    }

    @Override
    public void progress(CheckReport soFar) {
        line("progress", counts(soFar));
    }

    @Override
    public void finding(CheckFinding finding) {
        line("finding", fields(finding));
    }

    @Override
    public void deleting(CheckFinding orphan) {
        line("deleting", fields(orphan));
    }

    @Override
    public void kept(CheckFinding orphan, String why) {
        Map<String, Object> line = fields(orphan);
        line.put("why", why);
        line("kept", line);
    }

    @Override
    public void swept(SweepReport report) {
        line("swept", report);
    }

    private static Map<String, Object> fields(CheckFinding finding) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("kind", finding.kind());
        line.put("weight", finding.kind().weight());
        line.put("backend", finding.backend());
        finding.row().ifPresent(row -> line.put("row", row));
        finding.name().ifPresent(name -> line.put("name", name));
        finding.key().ifPresent(key -> line.put("key", key));
        finding.oid().ifPresent(oid -> line.put("oid", oid));
        finding.recordedSize().ifPresent(size -> line.put("recordedSize", size));
        finding.foundSize().ifPresent(size -> line.put("foundSize", size));
        finding.rows().ifPresent(rows -> line.put("rows", rows));
        if (!finding.message().isEmpty()) {
            line.put("message", finding.message());
        }
        return line;
    }

    @Override
    public void summary(CheckReport report) {
        Map<String, Object> summary = counts(report);
        summary.put("outcome", report.outcome());
        line("summary", summary);
    }

    private static Map<String, Object> counts(CheckReport report) {
        Map<String, Object> counts = new LinkedHashMap<>();
        Map<String, Object> backends = new TreeMap<>();
        report.backends().forEach((backend, figures) -> backends.put(backend, new TreeMap<>(figures)));
        counts.put("backends", backends);
        counts.put("findings", new TreeMap<>(report.findings()));
        return counts;
    }

    private void line(String what, Object value) {
        try {
            out.println(JSON.writeValueAsString(Map.of(what, value)));
            out.flush();
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("numbers and texts are always JSON", e);
        }
    }
}
