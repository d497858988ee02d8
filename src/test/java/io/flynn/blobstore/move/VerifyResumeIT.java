package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.S3MAIN;
import static io.flynn.blobstore.move.MoveWorld.TO_S3;
import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.store.Note;
import io.flynn.blobstore.store.StorageFailure;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A verification that is interrupted is gone on with; it is over when all is proven, and then the next one begins anew. */
class VerifyResumeIT extends MoveFixture {

    private static final int BLOBS = 40;
    private static final int PROVEN_BEFORE = 25;

    private final Pad pad = new Pad();
    private final Map<ObjectKey, Integer> reads = new ConcurrentHashMap<>();
    private Instant now = Instant.parse("2026-01-01T00:00:00Z");
    private Map<UUID, byte[]> blobs = Map.of();

    /** A note in memory. */
    private static final class Pad implements Note {
        private Optional<String> text = Optional.empty();
        private Optional<StorageFailure> failure = Optional.empty();

        @Override
        public String place() {
            return "bucket b";
        }

        @Override
        public Optional<String> read() {
            failIfAsked();
            return text;
        }

        @Override
        public void write(String written) {
            failIfAsked();
            text = Optional.of(written);
        }

        @Override
        public void erase() {
            failIfAsked();
            text = Optional.empty();
        }

        private void failIfAsked() {
            failure.ifPresent(asked -> {
                throw asked;
            });
        }
    }

    @BeforeEach
    void moveBlobs() {
        blobs = IntStream.range(0, BLOBS)
                .boxed()
                .collect(Collectors.toMap(i -> world.add("/blob" + i, bytes(100 + i, i)), i -> bytes(100 + i, i)));
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
    }

    @Test
    void whatWasProvenBeforeAnInterruptionIsNotReadAgain() {
        String uninterrupted = world.verify().identity();
        interrupted();

        StageReport report = verify();

        assertThat(report.reason()).isEqualTo(Reasons.DONE);
        assertThat(report.figure(Figure.BLOBS)).hasValue((long) BLOBS);
        assertThat(report.identity()).isEqualTo(uninterrupted);
        assertThat(report.message()).contains("of them were proven before an interruption, since 2026-01-01T00:00:00Z");
        assertThat(readTwice()).as("neighbours of the first that was not read").isLessThan(3);
        assertThat(pad.text).isEmpty();
    }

    @Test
    void whatChangedSinceIsReadAgain() {
        interrupted();
        UUID changed = provenRow();
        ObjectKey key = key(changed);
        // Past the move guard, which would put the row back at once.
        world.pg.execute("SET session_replication_role = replica; UPDATE files SET sha512 = NULL WHERE file_id = '%s'"
                .formatted(changed));

        verify();

        assertThat(reads.get(key)).isGreaterThan(1);
    }

    @Test
    void whatCameSinceIsRead() {
        interrupted();
        UUID later = world.add("/later", bytes(500, 500));
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);

        StageReport report = verify();

        assertThat(report.figure(Figure.BLOBS)).hasValue(BLOBS + 1L);
        assertThat(reads).containsEntry(key(later), 1);
    }

    @Test
    void theNextVerificationReadsAll() {
        interrupted();
        verify();
        reads.clear();

        assertThat(verify().reason()).isEqualTo(Reasons.DONE);

        assertThat(reads).hasSize(BLOBS);
    }

    @Test
    void aWeekLaterNothingIsBelieved() {
        interrupted();
        now = now.plus(Duration.ofDays(7));
        reads.clear();

        assertThat(verify().reason()).isEqualTo(Reasons.DONE);

        assertThat(reads).hasSize(BLOBS);
    }

    @Test
    void ofAnotherScopeNothingIsBelieved() {
        interrupted();
        String first = pad.text.orElseThrow();
        pad.text = Optional.of(first.replaceFirst("\n[0-9a-f]{8}", "\n00000000"));
        reads.clear();

        assertThat(verify().reason()).isEqualTo(Reasons.DONE);

        assertThat(reads).hasSize(BLOBS);
    }

    @Test
    void whatIsNoNoteIsNotBelieved() {
        pad.text = Optional.of("something else\n000 00\n");

        assertThat(verify().reason()).isEqualTo(Reasons.DONE);

        assertThat(reads).hasSize(BLOBS);
        assertThat(pad.text).as("it had our name").isEmpty();
    }

    @Test
    void notesThatFailAreDoneWithout() {
        pad.failure = Optional.of(new StorageFailure.Denied(Reasons.ACCESS_DENIED, "may not write notes", null));
        interrupted();

        assertThat(verify().reason()).isEqualTo(Reasons.DONE);

        assertThat(reads).hasSize(BLOBS);
        assertThat(readTwice()).isEqualTo(PROVEN_BEFORE);
    }

    /** Asked to stop when {@link #PROVEN_BEFORE} blobs were read, an hour after it began. */
    private void interrupted() {
        StopSignal stop = new StopSignal();
        StageReport report = run(stop, () -> {
            now = now.plus(Duration.ofMinutes(2));
            if (reads.size() == PROVEN_BEFORE) {
                stop.request();
            }
        });
        assertThat(report.reason()).isEqualTo(Reasons.INTERRUPTED);
        now = now.plus(Duration.ofHours(1));
    }

    private StageReport verify() {
        return run(new StopSignal(), () -> {});
    }

    private StageReport run(StopSignal stop, Runnable afterEachRead) {
        StageContext given = world.context(Stage.VERIFY);
        StageContext context = new StageContext(given.database(), given.fence(), given.progress(), stop);
        DecoratedStore store = new DecoratedStore(world.store) {
            @Override
            public Optional<BlobContent> readBack(ObjectKey key, long expected) {
                Optional<BlobContent> read = super.readBack(key, expected);
                reads.merge(key, 1, Integer::sum);
                afterEachRead.run();
                return read;
            }
        };
        return new VerifyRun(context, TO_S3, new Stores(Map.of(S3MAIN, store)), 1, Optional.of(pad), () -> now).run();
    }

    private long readTwice() {
        return reads.values().stream().filter(times -> times > 1).count();
    }

    private UUID provenRow() {
        return blobs.keySet().stream()
                .filter(id -> reads.containsKey(key(id)))
                .findFirst()
                .orElseThrow();
    }

    private ObjectKey key(UUID id) {
        return new ObjectKey(UUID.fromString(world.column(id, "external_id")));
    }
}
