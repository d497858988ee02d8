package io.flynn.blobstore.decide;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.CheckedRow;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.decide.CheckFinding.Kind;
import io.flynn.blobstore.testkit.Blobs;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class CheckDecisionTest {

    private static final BlobContent BYTES = Blobs.contentOf("bytes");
    private static final BlobContent OTHER = Blobs.contentOf("other");
    private static final BlobContent LONGER = Blobs.contentOf("longer");

    @Test
    void whatARowDoesNotSayCanNotBeRight() {
        assertThat(CheckDecision.byLength(inPostgres(OptionalLong.empty(), true), OptionalLong.of(5)))
                .contains(Kind.ROW_INCOMPLETE);
        assertThat(CheckDecision.byLength(inPostgres(OptionalLong.of(5), false), OptionalLong.empty()))
                .contains(Kind.ROW_INCOMPLETE);
        assertThat(CheckDecision.byLength(atStore(OptionalLong.empty(), true), OptionalLong.of(5)))
                .contains(Kind.ROW_INCOMPLETE);
        assertThat(CheckDecision.byLength(atStore(OptionalLong.of(5), false), OptionalLong.empty()))
                .contains(Kind.ROW_INCOMPLETE);
    }

    @Test
    void byLength() {
        assertThat(CheckDecision.byLength(inPostgres(), OptionalLong.of(5))).isEmpty();
        assertThat(CheckDecision.byLength(inPostgres(), OptionalLong.empty())).contains(Kind.LARGE_OBJECT_MISSING);
        assertThat(CheckDecision.byLength(inPostgres(), OptionalLong.of(4))).contains(Kind.LARGE_OBJECT_SIZE_DIFFERS);
        assertThat(CheckDecision.byLength(inPostgres(), OptionalLong.of(6))).contains(Kind.LARGE_OBJECT_SIZE_DIFFERS);
        assertThat(CheckDecision.byLength(atStore(), OptionalLong.of(5))).isEmpty();
        assertThat(CheckDecision.byLength(atStore(), OptionalLong.empty())).contains(Kind.OBJECT_MISSING);
        assertThat(CheckDecision.byLength(atStore(), OptionalLong.of(6))).contains(Kind.OBJECT_SIZE_DIFFERS);
    }

    @Test
    void byContent() {
        assertThat(CheckDecision.byContent(inPostgres(), Optional.of(BYTES))).isEmpty();
        assertThat(CheckDecision.byContent(inPostgres(), Optional.of(OTHER))).contains(Kind.LARGE_OBJECT_BYTES_DIFFER);
        assertThat(CheckDecision.byContent(inPostgres(), Optional.of(LONGER))).contains(Kind.LARGE_OBJECT_SIZE_DIFFERS);
        assertThat(CheckDecision.byContent(atStore(), Optional.of(OTHER))).contains(Kind.OBJECT_BYTES_DIFFER);
        assertThat(CheckDecision.byContent(atStore(), Optional.empty())).contains(Kind.OBJECT_MISSING);
        assertThat(CheckDecision.byContent(
                        row("s3main", OptionalLong.of(5), true, Optional.empty()), Optional.of(OTHER)))
                .as("no digest was recorded")
                .isEmpty();
    }

    @Test
    void leftoversAreNoFailureAndWhatIsWrongWeighsMost() {
        assertThat(report(Map.of())).isEqualTo(ExitCode.DONE);
        assertThat(report(Map.of(Kind.OBJECT_ORPHANED, 3L, Kind.LARGE_OBJECT_ORPHANED, 1L)))
                .isEqualTo(ExitCode.DONE);
        assertThat(report(Map.of(Kind.NOT_CHECKED, 1L, Kind.OBJECT_ORPHANED, 3L)))
                .isEqualTo(ExitCode.RETRY);
        assertThat(report(Map.of(Kind.UNDECIDED, 1L))).isEqualTo(ExitCode.RETRY);
        assertThat(report(Map.of(Kind.NOT_CHECKED, 1L, Kind.OBJECT_MISSING, 1L)))
                .isEqualTo(ExitCode.FAILED);
    }

    private static ExitCode report(Map<Kind, Long> findings) {
        return new CheckReport(Map.of(), findings).outcome();
    }

    private static CheckedRow inPostgres() {
        return inPostgres(OptionalLong.of(5), true);
    }

    private static CheckedRow inPostgres(OptionalLong size, boolean namesBytes) {
        return row("postgres", size, namesBytes, Optional.of(BYTES.sha512()));
    }

    private static CheckedRow atStore() {
        return atStore(OptionalLong.of(5), true);
    }

    private static CheckedRow atStore(OptionalLong size, boolean namesBytes) {
        return row("s3main", size, namesBytes, Optional.of(BYTES.sha512()));
    }

    private static CheckedRow row(String backend, OptionalLong size, boolean namesBytes, Optional<Sha512> sha512) {
        return new CheckedRow(
                new UUID(0, 1),
                "/a",
                backend,
                namesBytes && backend.equals("postgres") ? OptionalLong.of(16400) : OptionalLong.empty(),
                namesBytes && !backend.equals("postgres")
                        ? Optional.of(new ObjectKey(new UUID(0, 2)))
                        : Optional.empty(),
                size,
                sha512,
                true,
                OptionalLong.empty());
    }
}
