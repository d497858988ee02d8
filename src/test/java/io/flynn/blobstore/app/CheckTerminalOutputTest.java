package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckFinding.Kind;
import io.flynn.blobstore.decide.CheckReport;
import io.flynn.blobstore.decide.CheckReport.Figure;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class CheckTerminalOutputTest {

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final CheckTerminalOutput output =
            new CheckTerminalOutput(new PrintStream(bytes, true, StandardCharsets.UTF_8));

    @Test
    void whatANameCouldDoToATerminalIsShownAsItsCode() {
        output.finding(new CheckFinding(
                Kind.OBJECT_MISSING,
                "s3main",
                Optional.of(new UUID(0, 1)),
                Optional.of("/é\u001b[2J\r\n\u009b\u202ex"),
                Optional.empty(),
                OptionalLong.empty(),
                OptionalLong.of(5),
                OptionalLong.empty(),
                OptionalLong.empty(),
                ""));

        assertThat(text())
                .contains("wrong     object missing", "/é\\u{1b}[2J\\u{d}\\u{a}\\u{9b}\\u{202e}x", "by its row 5 bytes")
                .doesNotContain("\u009b", "\u202e");
    }

    @Test
    void theLastLineSaysWhetherAnythingIsLost() {
        output.summary(new CheckReport(Map.of("s3main", Map.of(Figure.ROWS, 3L)), Map.of(Kind.OBJECT_ORPHANED, 2L)));
        assertThat(text()).contains("s3main", "3 rows").endsWith("nothing is lost or wrong; 2 left over\n");
        output.summary(new CheckReport(Map.of(), Map.of(Kind.OBJECT_MISSING, 1L, Kind.NOT_CHECKED, 1L)));
        assertThat(text()).endsWith("LOST OR WRONG: 1; not checked: 1; left over: 0\n");
        output.summary(new CheckReport(Map.of(), Map.of(Kind.NOT_CHECKED, 1L)));
        assertThat(text()).endsWith("not all could be checked: 1; nothing else is lost or wrong; 0 left over\n");
    }

    private String text() {
        return bytes.toString(StandardCharsets.UTF_8);
    }
}
