package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.S3MAIN;
import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.VacuumMode;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every stage moves, counts, proves and cleans what its filter means, and nothing else. */
class ScopeIT extends MoveFixture {

    private static Route prefix(String prefix) {
        return new Route(BackendName.POSTGRES, S3MAIN, new BlobFilter(prefix, 0, Long.MAX_VALUE, Optional.empty()));
    }

    /** Names that a pattern, a collation or a normalization would take for one another. */
    private static final List<String> NAMES = List.of(
            "/a%b/1",
            "/axb/1",
            "/a_b/1",
            "/a.b/1",
            "/A%b/1",
            "/a\\b/1",
            "/caf\u00e9/1",
            "/cafe\u0301/1",
            "/cafe/1",
            "/a%b",
            "/ a%b/1");

    @ParameterizedTest
    @ValueSource(strings = {"/a%b/", "/a_b/", "/a.b/", "/a%", "/a\\b", "/caf\u00e9", "/cafe\u0301", "/cafe", "/a", ""})
    void aPrefixIsTheBytesThatANameBeginsWith(String prefix) {
        Map<String, UUID> ids = new LinkedHashMap<>();
        for (int i = 0; i < NAMES.size(); i++) {
            ids.put(NAMES.get(i), world.add(NAMES.get(i), bytes(100 + i, i)));
        }
        List<String> wanted =
                NAMES.stream().filter(name -> name.startsWith(prefix)).toList();

        StageReport copied = world.copy(prefix(prefix));

        assertThat(copied.reason()).as(copied.message()).isEqualTo(Reasons.DONE);
        assertThat(copied.figure(Figure.COPIED_BLOBS)).hasValue(wanted.size());
        assertThat(copied.figure(Figure.REMAINING_BLOBS)).hasValue(0);
        List<String> moved = new ArrayList<>();
        ids.forEach((name, id) -> {
            if (world.backend(id).equals("s3main")) {
                moved.add(name);
            }
        });
        assertThat(moved).isEqualTo(wanted);
    }

    @Test
    void sizesAreIncludedAtBothEndsAndTimesAreNot() {
        UUID small = world.add("/9", bytes(9, 1));
        UUID least = world.add("/10", bytes(10, 2));
        UUID most = world.add("/20", bytes(20, 3));
        UUID large = world.add("/21", bytes(21, 4));
        UUID young = world.add("/young", bytes(15, 5));
        Instant limit = Instant.parse("2020-02-02T00:00:00Z");
        world.pg.execute("UPDATE files SET updated_at = '2020-02-01T23:59:59.999999Z' WHERE name <> '/young'");
        world.pg.execute("UPDATE files SET updated_at = '2020-02-02T00:00:00Z' WHERE name = '/young'");

        StageReport copied =
                world.copy(new Route(BackendName.POSTGRES, S3MAIN, new BlobFilter("", 10, 20, Optional.of(limit))));

        assertThat(copied.figure(Figure.COPIED_BLOBS)).as(copied.message()).hasValue(2);
        assertThat(List.of(small, least, most, large, young).stream().map(world::backend))
                .containsExactly("postgres", "s3main", "s3main", "postgres", "postgres");
    }

    @Test
    void aRowWithoutASizeIsNotPassedOverInSilence() {
        world.add("/slug", bytes(10, 1));
        world.pg.execute("UPDATE files SET size = NULL");

        assertThat(world.copy(prefix("")).reason()).isEqualTo(Reasons.BLOBS_FAILED);
    }

    @Test
    void everyStageKeepsToIt() {
        Route route = prefix("/in/");
        UUID inside = world.add("/in/slug", bytes(100, 1));
        UUID outside = world.add("/out/slug", bytes(200, 2));
        UUID movedBefore = world.add("/out/moved", bytes(300, 3));
        assertThat(world.copy(prefix("/out/moved")).reason()).isEqualTo(Reasons.DONE);
        // What is wrong outside is none of this migration's business.
        world.pg.execute("SELECT lo_unlink(file_oid) FROM files WHERE name = '/out/slug'");
        s3.remove(world.bucket, world.column(movedBefore, "external_id"));

        StageReport planned = new PlanRun(
                        world.context(Stage.PLAN),
                        new PlanRun.Order(route, S3MAIN, "bucket", false, true, VacuumMode.AUTO),
                        world.stores())
                .run();
        assertThat(planned.figure(Figure.BLOBS)).as(planned.message()).hasValue(1);
        assertThat(planned.figure(Figure.BYTES)).hasValue(100);
        assertThat(planned.identity()).isNotEqualTo(world.plan(S3MAIN).identity());

        assertThat(world.copy(route).reason()).isEqualTo(Reasons.DONE);
        StageReport verified = world.verify(route);
        assertThat(verified.reason()).as(verified.message()).isEqualTo(Reasons.DONE);
        assertThat(verified.figure(Figure.BLOBS)).hasValue(1);
        assertThat(verified.figure(Figure.UNCLEANED_BLOBS)).hasValue(1);
        StageReport cleaned = world.clean(route, Duration.ZERO);
        assertThat(cleaned.reason()).as(cleaned.message()).isEqualTo(Reasons.DONE);
        assertThat(cleaned.figure(Figure.CLEANED_BLOBS)).hasValue(1);

        assertThat(world.column(inside, "file_oid")).isEqualTo("null");
        assertThat(world.backend(outside)).isEqualTo("postgres");
        assertThat(world.column(movedBefore, "file_oid")).isNotEqualTo("null");
    }
}
