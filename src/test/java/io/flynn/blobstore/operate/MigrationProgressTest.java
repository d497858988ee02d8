package io.flynn.blobstore.operate;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus.Amount;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus.ProgressState;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.operate.ProgressReader.Heard;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class MigrationProgressTest {

    private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");

    private static final MigrationProgress PLANNED =
            MigrationProgress.of(null).after(report(Stage.PLAN, Map.of(Figure.BLOBS, 200L, Figure.BYTES, 2000L)));

    @Test
    void planSetsTheScope() {
        assertThat(PLANNED.toStatus(Optional.empty(), false))
                .returns(new Amount(200, 2000), ProgressState::total)
                .returns(new Amount(200, 2000), ProgressState::remaining)
                .returns("0/200 (0%)", ProgressState::display);
    }

    @Test
    void copyThatWasResumedCountsWhatTheLastOneDid() {
        Heard heard = new Heard(new Progress(Stage.COPY, 50, 500, 10, 100, 0, 20, "id", "store"), NOW);

        ProgressState shown = PLANNED.during(heard.progress()).toStatus(Optional.of(heard), false);

        assertThat(shown)
                .returns(new Amount(160, 1600), ProgressState::copied)
                .returns("160/200 (80%)", ProgressState::display)
                .returns("20/s", ProgressState::rate)
                .returns("20s", ProgressState::eta)
                .returns("2026-03-01T12:00:20Z", ProgressState::estimatedCompletionTime)
                .returns("id", ProgressState::currentBlob);
    }

    @Test
    void verifyShowsItsOwnCount() {
        Heard heard = new Heard(new Progress(Stage.VERIFY, 200, 2000, 50, 500, 0, 0, "", "store"), NOW);

        assertThat(PLANNED.during(heard.progress()).toStatus(Optional.of(heard), false))
                .returns(new Amount(50, 500), ProgressState::verified)
                .returns("50/200 (25%)", ProgressState::display)
                .returns(null, ProgressState::eta)
                .returns(null, ProgressState::currentBlob);
    }

    @Test
    void stageThatHasNotCountedYetHasNotDoneAll() {
        Heard heard = new Heard(new Progress(Stage.COPY, 0, 0, 0, 0, 0, 0, "", ""), NOW);

        assertThat(PLANNED.during(heard.progress()).toStatus(Optional.of(heard), false))
                .returns(new Amount(0, 0), ProgressState::copied)
                .returns("0/200 (0%)", ProgressState::display)
                .returns(null, ProgressState::rate)
                .returns("2026-03-01T12:00:00Z", ProgressState::lastProgressTime);
    }

    @Test
    void rateAndEtaGoWithTheStage() {
        assertThat(PLANNED.toStatus(Optional.empty(), false))
                .returns(null, ProgressState::rate)
                .returns(null, ProgressState::eta)
                .returns(null, ProgressState::lastProgressTime);
    }

    @Test
    void whatIsLeftTakesAtLeastASecond() {
        Progress nearly = new Progress(Stage.COPY, 10, 100, 9, 99, 0, 50, "", "store");

        assertThat(PLANNED.toStatus(Optional.of(new Heard(nearly, NOW)), false)).returns("1s", ProgressState::eta);
    }

    @Test
    void nothingToMoveIsAllOfIt() {
        assertThat(MigrationProgress.of(null).toStatus(Optional.empty(), true).display())
                .isEqualTo("0/0 (100%)");
    }

    @Test
    void lastValidLineOfTheLogCounts() {
        String log = """
                {"level":"INFO","message":"copying"}
                {"progress":{"stage":"COPY","totalBlobs":9,"totalBytes":90,"doneBlobs":1,"doneBytes":10,"failedBlobs":0,"bytesPerSecond":1,"blob":"","bottleneck":"store"}}
                {"progress":{"stage":"COPY","totalBlobs":9,"totalBytes":90,"doneBlobs":2,"doneBytes":20,"failedBlobs":0,"bytesPerSecond":1,"blob":"","bottleneck":"store"}}
                {"progress":{"stage":"COPY","totalBlobs":9,"total""";

        assertThat(ProgressReader.lastProgress(log, Stage.COPY)).get().returns(2L, Progress::doneBlobs);
        assertThat(ProgressReader.lastProgress(log, Stage.VERIFY)).isEmpty();
        assertThat(ProgressReader.lastProgress("", Stage.COPY)).isEmpty();
    }

    @Test
    void durationsReadAsAgesDo() {
        assertThat(List.of(
                        Duration.ofMillis(12),
                        Duration.ofSeconds(119),
                        Duration.ofMinutes(6),
                        Duration.ofMinutes(130),
                        Duration.ofHours(76)))
                .extracting(Durations::display)
                .containsExactly("12ms", "119s", "6m", "2h10m", "3d4h");
    }

    private static StageReport report(Stage stage, Map<Figure, Long> figures) {
        return new StageReport(stage, ExitCode.DONE, "Done", "", "", figures, List.of());
    }
}
