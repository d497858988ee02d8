package io.flynn.blobstore.operate;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.cfg.CoercionAction;
import com.fasterxml.jackson.databind.cfg.CoercionInputShape;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.type.LogicalType;
import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Finding;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Reads what a worker's pod says. Whoever may write to the pod may say anything, so nothing is guessed: too long, unknown
 * fields, wrong types, negative figures, reasons that no condition could carry, all that is as if nothing had been said.
 */
final class WorkerJson {

    /** The longest progress line worth reading; ours are a quarter of it. */
    static final int PROGRESS_BYTES_MAX = 2048;

    /** What the API server accepts as a condition's reason. */
    private static final Pattern REASON = Pattern.compile("[A-Za-z]([A-Za-z0-9_,:]{0,126}[A-Za-z0-9_])?");

    private static final Pattern BOTTLENECK = Pattern.compile("[a-z]{0,20}");

    private static final Pattern CONTROL = Pattern.compile("[\\p{Cntrl}\\p{Zl}\\p{Zp}]+");

    private static final JsonMapper MAPPER = mapper();
    private static final ObjectReader REPORT = MAPPER.readerFor(StageReport.class);
    private static final ObjectReader PROGRESS = MAPPER.readerFor(ProgressLine.class);

    private record ProgressLine(Progress progress) {}

    private WorkerJson() {}

    /** The report of {@code stage} in a termination message. */
    static Optional<StageReport> report(String message, Stage stage) {
        if (message.getBytes(StandardCharsets.UTF_8).length > StageReport.MAX_BYTES) {
            return Optional.empty();
        }
        return read(REPORT, message, StageReport.class)
                .filter(report -> report.stage() == stage && isSane(report))
                .map(WorkerJson::oneLine);
    }

    /** The progress of {@code stage} in one line of a log. */
    static Optional<Progress> progress(String line, Stage stage) {
        if (line.getBytes(StandardCharsets.UTF_8).length > PROGRESS_BYTES_MAX) {
            return Optional.empty();
        }
        return read(PROGRESS, line, ProgressLine.class)
                .map(ProgressLine::progress)
                .filter(progress -> progress.stage() == stage && isSane(progress));
    }

    private static <T> Optional<T> read(ObjectReader reader, String text, Class<T> type) {
        try {
            return Optional.ofNullable(reader.readValue(text, type));
        } catch (IOException | RuntimeException garbled) {
            // Also what a record's constructor throws: to a reader, all kinds of garbage are the same.
            return Optional.empty();
        }
    }

    private static boolean isSane(StageReport report) {
        return REASON.matcher(report.reason()).matches()
                && report.figures().values().stream().allMatch(figure -> figure >= 0)
                && report.findings().stream()
                        .allMatch(finding -> REASON.matcher(finding.reason()).matches());
    }

    private static boolean isSane(Progress progress) {
        return progress.totalBlobs() >= 0
                && progress.totalBytes() >= 0
                && progress.doneBlobs() >= 0
                && progress.doneBytes() >= 0
                && progress.failedBlobs() >= 0
                && progress.bytesPerSecond() >= 0
                && BOTTLENECK.matcher(progress.bottleneck()).matches();
    }

    private static StageReport oneLine(StageReport report) {
        return new StageReport(
                report.stage(),
                report.outcome(),
                report.reason(),
                oneLine(report.message()),
                oneLine(report.identity()),
                report.figures(),
                report.findings().stream()
                        .map(finding -> new Finding(
                                finding.level(),
                                oneLine(finding.subject()),
                                finding.reason(),
                                oneLine(finding.message())))
                        .toList());
    }

    private static String oneLine(String text) {
        return CONTROL.matcher(text).replaceAll(" ").strip();
    }

    private static JsonMapper mapper() {
        JsonFactory factory = JsonFactory.builder()
                .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                .disable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION)
                .streamReadConstraints(StreamReadConstraints.builder()
                        .maxNestingDepth(8)
                        .maxNumberLength(20)
                        .maxStringLength(StageReport.MAX_BYTES)
                        .build())
                .build();
        return JsonMapper.builder(factory)
                .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
                .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
                .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
                .enable(DeserializationFeature.FAIL_ON_NUMBERS_FOR_ENUMS)
                .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
                .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
                .withCoercionConfig(
                        LogicalType.Textual,
                        coercions -> coercions
                                .setCoercion(CoercionInputShape.Integer, CoercionAction.Fail)
                                .setCoercion(CoercionInputShape.Float, CoercionAction.Fail)
                                .setCoercion(CoercionInputShape.Boolean, CoercionAction.Fail))
                .build();
    }
}
