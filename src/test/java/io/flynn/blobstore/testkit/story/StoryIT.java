package io.flynn.blobstore.testkit.story;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole story on parts of this machine, as {@code ./demo} tells it, and once more with each fault that it must survive. */
@Tag("long")
class StoryIT {

    private static final long SEED = 20160624;

    /** So slow that a copy of some 60 blobs has a middle. */
    private static final Duration SLOW_PUT = Duration.ofMillis(150);

    @TempDir
    private Path folder;

    @Test
    void everyBlobMovesAndNoClientNoticesIt() throws Exception {
        try (LocalWorld world = LocalWorld.start(folder)) {
            Outcome outcome = story(world).tell();

            assertThat(outcome.wrongFigures()).isEmpty();
            assertThat(outcome.keptRedirects()).isPositive();
            assertThat(world.s3().keysPutTwice()).isEmpty();
        }
    }

    /** One run for the three of them, since each run is half a minute; on a real cluster each has its own. */
    @Test
    void whateverIsKilledInMidCopyNothingIsLostAndOnlyWhatWasInFlightIsCopiedTwice() throws Exception {
        try (LocalWorld world = LocalWorld.start(folder)) {
            world.s3().delayPuts(SLOW_PUT);

            Set<String> moved = new HashSet<>();
            Outcome outcome = story(world).tell(() -> {
                moved.addAll(world.awaitMoved(5));
                world.killPodOf("copy");
                moved.addAll(world.awaitMoved(20));
                world.killOperator();
                world.startOperator();
                world.postgres().crash();
            });

            // Whoever was in the middle of a request when the database went away has had a failed one.
            assertThat(outcome.problems()).isEmpty();
            assertThat(outcome.verdict().problems()).isEmpty();
            assertThat(outcome.verdict().rowsAtPostgres()).isZero();
            assertThat(outcome.verdict().largeObjects()).isZero();
            assertThat(moved).hasSizeGreaterThanOrEqualTo(20);
            assertThat(world.s3().keysPutTwice()).doesNotContainAnyElementsOf(moved);
        }
    }

    @Test
    void anOldServerThatWritesMeanwhileLosesNothingThatCanBeHeld() throws Exception {
        try (LocalWorld world = LocalWorld.start(folder)) {
            world.s3().delayPuts(SLOW_PUT);
            Story story = story(world);
            OldWriter writer = new OldWriter(world, story);

            Outcome outcome = story.tell(writer);

            assertThat(writer.server.failures()).isEmpty();
            assertThat(writer.server.appendsAcrossAMove()).isPositive();
            assertThat(outcome.wrongFigures()).isEmpty();
        }
    }

    private static final class OldWriter implements Story.Meanwhile {
        private final LocalWorld world;
        private final Story story;
        private OldServer server;

        OldWriter(LocalWorld world, Story story) {
            this.world = world;
            this.story = story;
        }

        @Override
        public void beforeApplied() throws Exception {
            server = OldServer.start(world.database(), world.bucket(), story.ledger(), SEED);
        }

        @Override
        public void whenApplied() throws Exception {
            world.awaitMoved(1);
            server.overwriteToo();
            world.await("bm/pg-to-s3", "Copied", Duration.ofMinutes(2));
            server.breakNoMoreUploads();
        }

        @Override
        public void whenComplete() throws Exception {
            server.stop();
            server.close();
        }
    }

    private Story story(LocalWorld world) {
        return new Story(world, OldState.light(SEED), Narrator.silent(), folder, SEED);
    }
}
