package io.flynn.blobstore.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.story.Database;
import io.flynn.blobstore.testkit.story.Narrator;
import io.flynn.blobstore.testkit.story.OldServer;
import io.flynn.blobstore.testkit.story.OldState;
import io.flynn.blobstore.testkit.story.Outcome;
import io.flynn.blobstore.testkit.story.Story;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The story where it will be lived: real pods, our image, our chart; and what may happen to it there. */
@Tag("cluster")
class ClusterStoryIT {

    private static final long SEED = 20_261_122;

    private static Site site;

    @TempDir
    private Path folder;

    /** The objects of the blobs that were moved when the fault struck. */
    private Set<String> movedBefore = Set.of();

    @BeforeAll
    static void start() throws Exception {
        site = Site.find();
    }

    @AfterAll
    static void stop() throws IOException {
        if (site != null) {
            site.close();
        }
    }

    @Test
    @Tag("plain")
    void everyBlobEndsInTheBucketWhileClientsWork() throws Exception {
        run("plain", OldState.whole(SEED), UnaryOperator.identity(), (world, story) -> () -> {}, (world, outcome) -> {
            assertThat(outcome.wrongFigures()).isEmpty();
            assertThat(storedAgain(world)).isEmpty();
        });
    }

    @Test
    void theMigrationsPodIsKilled() throws Exception {
        run(
                "worker-killed",
                OldState.whole(SEED),
                inMidCopy(world -> {
                    assertThat(world.programs()
                                    .kubectl(
                                            "delete",
                                            "pod",
                                            "--selector=blobstore.flynn.io/migration=pg-to-s3,blobstore.flynn.io/stage=copy",
                                            "--grace-period=0",
                                            "--force",
                                            "--wait=false"))
                            .contains("deleted");
                }),
                (world, outcome) -> {
                    assertThat(outcome.wrongFigures()).isEmpty();
                    assertThat(storedAgain(world)).doesNotContainAnyElementsOf(movedBefore);
                });
    }

    @Test
    void theOperatorsPodIsDeleted() throws Exception {
        run(
                "operator-deleted",
                OldState.whole(SEED),
                inMidCopy(world -> {
                    assertThat(world.programs()
                                    .kubectl(
                                            "delete",
                                            "pod",
                                            "--selector=app.kubernetes.io/name=blobstore-operator",
                                            "--wait=false"))
                            .contains("deleted");
                }),
                (world, outcome) -> {
                    assertThat(outcome.wrongFigures()).isEmpty();
                    assertThat(storedAgain(world))
                            .as("the worker went on undisturbed")
                            .isEmpty();
                });
    }

    @Test
    void theDatabaseRestarts() throws Exception {
        run(
                "database-restarted",
                OldState.whole(SEED),
                inMidCopy(world -> {
                    site.restartDatabase();
                }),
                (world, outcome) -> {
                    // Requests that were under way fail with the database, and an upload may then leave an object
                    // without a row.
                    assertThat(outcome.verdict().lost()).isZero();
                    assertThat(outcome.verdict().wrong()).isZero();
                    assertThat(outcome.verdict().rowsAtPostgres()).isZero();
                    assertThat(outcome.verdict().largeObjects()).isZero();
                    assertThat(outcome.problems()).isEmpty();
                    assertThat(storedAgain(world)).doesNotContainAnyElementsOf(movedBefore);
                });
    }

    @Test
    void anOldServerWritesToo() throws Exception {
        run(
                "old-server",
                OldState.light(SEED),
                OldWriter::new,
                (world, outcome) -> assertThat(outcome.wrongFigures()).isEmpty());
    }

    /** The double of the old server, on the same database and bucket as our two. */
    private record OldWriter(ClusterWorld world, Story story, AtomicReference<OldServer> server)
            implements Story.Meanwhile {
        OldWriter(ClusterWorld world, Story story) {
            this(world, story, new AtomicReference<>());
        }

        @Override
        public void beforeApplied() throws SQLException {
            server.set(OldServer.start(world.database(), world.bucket(), story.ledger(), SEED));
        }

        @Override
        public void whenApplied() throws Exception {
            ClusterStoryIT.await(() -> !world.database().movedObjects().isEmpty());
            server.get().overwriteToo();
            world.await("bm/pg-to-s3", "Copied", Duration.ofMinutes(2));
            server.get().breakNoMoreUploads();
        }

        @Override
        public void whenComplete() throws InterruptedException {
            try (OldServer ended = server.get()) {
                ended.stop();
                assertThat(ended.failures()).isEmpty();
            }
        }
    }

    private interface Beside {
        Story.Meanwhile of(ClusterWorld world, Story story);
    }

    private interface Check {
        void of(ClusterWorld world, Outcome outcome) throws Exception;
    }

    private interface Fault {
        void strike(ClusterWorld world) throws Exception;
    }

    private Beside inMidCopy(Fault fault) {
        return (world, story) -> () -> {
            awaitMidCopy(world);
            movedBefore = world.database().movedObjects();
            fault.strike(world);
        };
    }

    private void run(String name, OldState old, Beside beside, Check check) throws Exception {
        run(name, old, Story::withoutBackups, beside, check);
    }

    private void run(String name, OldState old, UnaryOperator<Story> told, Beside beside, Check check)
            throws Exception {
        Path log = Files.createDirectories(Path.of("target/e2e")).resolve(name + ".log");
        try (PrintStream out = new PrintStream(Files.newOutputStream(log));
                ClusterWorld world = ClusterWorld.create(site, name)) {
            try {
                Story story = told.apply(new Story(world, old, new Narrator(out, false), folder, SEED));
                Outcome outcome = story.tell(beside.of(world, story));
                check.of(world, outcome);
            } catch (Exception | AssertionError e) {
                out.println(world.programs().state());
                throw new AssertionError(log + " tells what was the case", e);
            }
        }
    }

    /** Returns when some blobs are moved and many are not. */
    private static void awaitMidCopy(ClusterWorld world) throws SQLException {
        Database database = world.database();
        long before = database.number("SELECT count(*) FROM files WHERE backend = 'postgres' AND deleted_at IS NULL");
        assertThat(before).as("blobs to copy").isGreaterThan(50);
        await(() -> world.database().movedObjects().size() >= 5);
        assertThat(database.number("SELECT count(*) FROM files WHERE backend = 'postgres' AND deleted_at IS NULL"))
                .as("blobs that are still to be copied: this was not the middle")
                .isGreaterThan(10);
    }

    private static void await(Callable<Boolean> condition) {
        Awaitility.await()
                .atMost(Duration.ofMinutes(2))
                .pollInterval(Duration.ofMillis(50))
                .until(condition);
    }

    /** The blobs' objects that the store was sent more than once, as it says itself. */
    private static Set<String> storedAgain(ClusterWorld world) throws SQLException {
        Set<String> blobs = world.database().texts("SELECT external_id FROM files WHERE external_id IS NOT NULL");
        return Minio.storedAgain(world.bucket()).stream()
                .filter(blobs::contains)
                .collect(Collectors.toSet());
    }
}
