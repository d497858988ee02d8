package io.flynn.blobstore.app;

import io.flynn.blobstore.blob.ByteSize;
import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckFinding.Weight;
import io.flynn.blobstore.decide.CheckReport;
import io.flynn.blobstore.decide.CheckReport.Figure;
import io.flynn.blobstore.decide.SweepReport;
import io.flynn.blobstore.move.CheckOutput;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** For people at a terminal: what is found, line by line, how far the check is in a last line, then a summary. */
final class CheckTerminalOutput implements CheckOutput {

    /** ECMA-48: to the line's start, and nothing behind it. */
    private static final String SAME_LINE = "\r\u001b[K";

    private final PrintStream out;

    CheckTerminalOutput(PrintStream out) {
        this.out = out;
    }

    @Override
    public synchronized void progress(CheckReport soFar) {
        List<String> parts = new ArrayList<>();
        new TreeMap<>(soFar.backends())
                .forEach((backend, figures) -> parts.add("%s: %d rows, %d objects, %d read"
                        .formatted(
                                backend,
                                number(figures, Figure.ROWS),
                                number(figures, Figure.OBJECTS),
                                number(figures, Figure.READ_ROWS))));
        out.print(SAME_LINE + "checking  " + String.join("; ", parts));
        out.flush();
    }

    @Override
    public synchronized void finding(CheckFinding finding) {
        print(lower(finding.kind().weight()), finding, finding.message());
    }

    @Override
    public synchronized void deleting(CheckFinding orphan) {
        print("deleting", orphan, "");
    }

    @Override
    public synchronized void kept(CheckFinding orphan, String why) {
        print("kept", orphan, why);
    }

    private void print(String what, CheckFinding finding, String message) {
        StringBuilder line =
                new StringBuilder("%-9s %-26s %s".formatted(what, lower(finding.kind()), finding.backend()));
        finding.row().ifPresent(row -> line.append("  row ").append(row));
        finding.name().ifPresent(name -> line.append("  ").append(name));
        finding.key().ifPresent(key -> line.append("  key ").append(key));
        finding.oid().ifPresent(oid -> line.append("  large object ").append(oid));
        finding.recordedSize()
                .ifPresent(size -> line.append("  by its row ").append(size).append(" bytes"));
        finding.foundSize()
                .ifPresent(size -> line.append("  there ").append(size).append(" bytes"));
        finding.rows().ifPresent(rows -> line.append("  ").append(rows).append(" rows"));
        if (!message.isEmpty()) {
            line.append("  ").append(message);
        }
        out.println(SAME_LINE + printable(line.toString()));
        out.flush();
    }

    @Override
    public synchronized void summary(CheckReport report) {
        out.print(SAME_LINE);
        new TreeMap<>(report.backends()).forEach(this::summary);
        out.println(
                switch (report.outcome()) {
                    case DONE -> "nothing is lost or wrong; %d left over".formatted(report.findings(Weight.LEFTOVER));
                    case RETRY ->
                        "not all could be checked: %d; nothing else is lost or wrong; %d left over"
                                .formatted(report.findings(Weight.UNKNOWN), report.findings(Weight.LEFTOVER));
                    case FAILED, USAGE ->
                        "LOST OR WRONG: %d; not checked: %d; left over: %d"
                                .formatted(
                                        report.findings(Weight.WRONG),
                                        report.findings(Weight.UNKNOWN),
                                        report.findings(Weight.LEFTOVER));
                });
        out.flush();
    }

    @Override
    public synchronized void swept(SweepReport report) {
        out.printf(
                "deleted %d objects and uploads (%s), %d large objects (%s); kept %d; could not delete %d%n",
                report.deletedObjects(),
                new ByteSize(report.deletedBytes()).display(),
                report.deletedLargeObjects(),
                new ByteSize(report.deletedLargeObjectBytes()).display(),
                report.kept().values().stream().mapToLong(Long::longValue).sum(),
                report.failed());
        out.flush();
    }

    private void summary(String backend, Map<Figure, Long> figures) {
        out.printf(
                "%-12s %d rows (%s), %d objects; read %d (%s); of deleted rows %d (%s), of none %d (%s), not ours %d;"
                        + " unfinished uploads %d%n",
                printable(backend),
                number(figures, Figure.ROWS),
                size(figures, Figure.BYTES),
                number(figures, Figure.OBJECTS),
                number(figures, Figure.READ_ROWS),
                size(figures, Figure.READ_BYTES),
                number(figures, Figure.RETIRED_OBJECTS),
                size(figures, Figure.RETIRED_BYTES),
                number(figures, Figure.ORPHANED_OBJECTS),
                size(figures, Figure.ORPHANED_BYTES),
                number(figures, Figure.FOREIGN_OBJECTS),
                number(figures, Figure.UPLOADS));
    }

    /** Names are what clients chose: what would move the cursor, or turn the text around, is shown as its code. */
    static String printable(String text) {
        StringBuilder printable = new StringBuilder();
        text.codePoints().forEach(character -> {
            switch (Character.getType(character)) {
                case Character.CONTROL,
                        Character.FORMAT,
                        Character.LINE_SEPARATOR,
                        Character.PARAGRAPH_SEPARATOR,
                        Character.SURROGATE,
                        Character.PRIVATE_USE,
                        Character.UNASSIGNED -> printable.append("\\u{%x}".formatted(character));
                default -> printable.appendCodePoint(character);
            }
        });
        return printable.toString();
    }

    private static long number(Map<Figure, Long> figures, Figure figure) {
        return figures.getOrDefault(figure, 0L);
    }

    private static String size(Map<Figure, Long> figures, Figure figure) {
        return new ByteSize(number(figures, figure)).display();
    }

    private static String lower(Enum<?> word) {
        return word.name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }
}
