package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.S3MAIN;
import static io.flynn.blobstore.move.MoveWorld.TO_S3;
import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.MigrationFence;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.postgres.Shards;
import io.flynn.blobstore.testkit.EmbeddedPg;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Several workers of one migration at once. */
class ShardsIT extends MoveFixture {

    private static final int CONCURRENCY = 4;

    private Database database(String name) {
        return new Database(
                PgSettings.decode(world.pg.environment(EmbeddedPg.SUPERUSER)), name, 12, Duration.ofSeconds(5));
    }

    private static CopyRun copy(Database database, BlobStore store, StopSignal stop) {
        return copy(database, store, stop, new ProgressMeter(Stage.COPY));
    }

    private static CopyRun copy(Database database, BlobStore store, StopSignal stop, ProgressMeter progress) {
        return new CopyRun(
                new StageContext(database, new MigrationFence(database, "migration-1"), progress, stop),
                TO_S3,
                new Stores(Map.of(S3MAIN, store)),
                CONCURRENCY,
                1);
    }

    /** Remembers what is put, by whomever. */
    private final Map<ObjectKey, Integer> puts = new ConcurrentHashMap<>();

    private BlobStore counting() {
        return new DecoratedStore(world.store) {
            @Override
            public void put(ObjectKey key, ReplayableBody body) {
                puts.merge(key, 1, Integer::sum);
                super.put(key, body);
            }
        };
    }

    private Set<ObjectKey> putTwice() {
        return puts.entrySet().stream()
                .filter(put -> put.getValue() > 1)
                .map(Map.Entry::getKey)
                .collect(Collectors.toSet());
    }

    private void addMany(int blobs) {
        world.pg.execute("""
                INSERT INTO files (file_oid, backend, name, type, size, sha512)
                SELECT lo_from_bytea(0, b), 'postgres', '/blob ' || i, '', length(b), sha512(b)
                FROM (SELECT i, convert_to('blob ' || i, 'UTF8') AS b FROM generate_series(1, %d) i) blobs""".formatted(blobs));
    }

    @Test
    void threeWorkersDoEachBlobOnceAndTheDeadOnesPartIsDoneByTheOthers() throws Exception {
        int blobs = 2_400;
        addMany(blobs);
        Set<ObjectKey> ofTheDead = ConcurrentHashMap.newKeySet();
        StopSignal dead = new StopSignal();
        try (Database first = database("first");
                Database second = database("second");
                Database third = database("third")) {
            BlobStore dying = new DecoratedStore(counting()) {
                private final AtomicInteger done = new AtomicInteger();

                @Override
                public void put(ObjectKey key, ReplayableBody body) {
                    ofTheDead.add(key);
                    super.put(key, body);
                    if (done.incrementAndGet() == 60) {
                        dead.request();
                        world.pg.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                + " WHERE application_name = 'first'");
                    }
                }
            };
            CompletableFuture<StageReport> dies =
                    CompletableFuture.supplyAsync(() -> copy(first, dying, dead).run());
            List<CompletableFuture<StageReport>> live = List.of(
                    CompletableFuture.supplyAsync(
                            () -> copy(second, counting(), world.stop).run()),
                    CompletableFuture.supplyAsync(
                            () -> copy(third, counting(), world.stop).run()));

            for (CompletableFuture<StageReport> worker : live) {
                StageReport report = worker.get(60, TimeUnit.SECONDS);
                assertThat(report.reason()).as(report.message()).isEqualTo(Reasons.DONE);
            }
            dies.handle((report, failure) -> report).get(30, TimeUnit.SECONDS);
        }

        assertThat(world.pg.count("SELECT count(*) FROM files WHERE backend = 's3main'"))
                .isEqualTo(blobs);
        assertThat(ofTheDead)
                .as("only what the dead one had not flipped yet is done again")
                .containsAll(putTwice());
        assertThat(world.verify().reason()).isEqualTo(Reasons.DONE);
    }

    @Test
    void whatAWorkerSaysIsLeftIsWhatAllOfThemLeave() throws Exception {
        addMany(2_000);
        BlobStore slow = new DecoratedStore(world.store) {
            @Override
            public void put(ObjectKey key, ReplayableBody body) {
                Pauses.sleep(Duration.ofSeconds(1));
                super.put(key, body);
            }
        };
        ProgressMeter progress = new ProgressMeter(Stage.COPY);
        try (Database database = database("first");
                Shards other = Shards.join(world.database)) {
            CompletableFuture<StageReport> copied = CompletableFuture.supplyAsync(
                    () -> copy(database, slow, world.stop, progress).run());
            await().until(() -> left(progress) > 0 && left(progress) < 1_990);
            assertThat(left(progress)).isGreaterThan(1_500);
            assertThat(other.held()).isEmpty();

            // The other's half, at once.
            world.pg.execute(
                    "UPDATE files SET backend = 's3main', external_id = file_id WHERE file_id >= '80000000-0000-0000-0000-000000000000'");

            await().atMost(Duration.ofSeconds(6)).until(() -> left(progress) < 1_050);
            assertThat(copied).as("and not at its end").isNotDone();
            assertThat(copied.get(60, TimeUnit.SECONDS).reason()).isEqualTo(Reasons.DONE);
        }
    }

    private static long left(ProgressMeter progress) {
        Progress said = progress.progress(System.nanoTime());
        return said.totalBlobs() - said.doneBlobs();
    }

    @Test
    void workersShareWhatIsLeftAndWhoComesLaterGetsItsPart() {
        Set<Integer> all =
                new HashSet<>(IntStream.range(0, Shards.COUNT).boxed().toList());
        try (Shards first = Shards.join(world.database)) {
            assertThat(first.claim(all)).isEqualTo(1);
            assertThat(first.held()).hasSize(256);
            try (Shards second = Shards.join(world.database)) {
                assertThat(second.claim(all)).isEqualTo(2);
                assertThat(second.held()).as("nothing is free yet").isEmpty();

                first.share(200);
                assertThat(first.held()).as("what it has begun stays its own").hasSize(201);
                first.share(10);
                assertThat(first.held()).hasSizeBetween(100, 128);
                second.claim(all);

                assertThat(second.held()).doesNotContainAnyElementsOf(first.held());
                assertThat(second.held().size()).isBetween(55, 128);
            }
            first.claim(all);
            assertThat(first.held()).as("alone again").hasSize(256);
        }
    }

    @Test
    void twoWorkersThatBothMeetWhatCantBeMovedBothEnd() throws Exception {
        addMany(40);
        world.pg.execute("SELECT lo_unlink(file_oid) FROM files WHERE name IN ('/blob 7', '/blob 23', '/blob 31')");
        try (Database first = database("first");
                Database second = database("second")) {
            List<CompletableFuture<StageReport>> both = List.of(
                    CompletableFuture.supplyAsync(
                            () -> copy(first, counting(), world.stop).run()),
                    CompletableFuture.supplyAsync(
                            () -> copy(second, counting(), world.stop).run()));
            for (CompletableFuture<StageReport> one : both) {
                StageReport report = one.get(40, TimeUnit.SECONDS);
                assertThat(report.reason()).isEqualTo(Reasons.BLOBS_FAILED);
                assertThat(report.figure(Figure.FAILED_BLOBS)).hasValue(3);
            }
        }
        assertThat(putTwice()).isEmpty();
    }

    @Test
    void whatFailedIsInTheFileAndCanBeTriedAlone(@TempDir Path directory) throws Exception {
        List<UUID> broken = new ArrayList<>();
        for (int i = 0; i < 25; i++) {
            broken.add(world.add("/broken" + i, bytes(10, i)));
        }
        world.pg.execute("UPDATE files SET size = size + 1");
        world.add("/good", bytes(10, 100));
        Path file = directory.resolve("failed");

        StageReport copied = tolerant(TO_S3, 100, FailureFile.create(file));

        assertThat(copied.figure(Figure.FAILED_BLOBS)).hasValue(25);
        assertThat(copied.findings()).as("the first").hasSize(20);
        assertThat(FailureFile.ids(file)).containsExactlyInAnyOrderElementsOf(broken);
        assertThat(Files.readString(file)).contains("\t" + Reasons.SIZE_DIFFERS + "\t");

        world.pg.execute("UPDATE files SET size = 10");
        UUID later = world.add("/later", bytes(10, 200));
        Route onlyFailed = new Route(TO_S3.from(), TO_S3.to(), BlobFilter.ALL.only(FailureFile.ids(file)));
        StageReport again = tolerant(onlyFailed, 0, FailureFile.NONE);
        assertThat(again.reason()).as(again.message()).isEqualTo(Reasons.DONE);
        assertThat(again.figure(Figure.COPIED_BLOBS)).hasValue(25);
        assertThat(world.backend(later)).isEqualTo("postgres");
    }

    @Test
    void oneFailureMoreThanIsAllowedEndsTheRun() {
        int blobs = 3_000;
        addMany(blobs);
        world.pg.execute("UPDATE files SET size = size + 1");

        StageReport report = new StageRunner(Stage.COPY, new ProgressMeter(Stage.COPY), new SilentOutput())
                .run(() -> new CopyRun(
                        world.context(Stage.COPY),
                        TO_S3,
                        new Stores(Map.of(S3MAIN, world.store)),
                        1,
                        new CopyRun.Tolerance(0, 2, FailureFile.NONE)));

        assertThat(report.reason()).isEqualTo(Reasons.BLOBS_FAILED);
        assertThat(report.message()).contains("more than 2 blobs failed");
        assertThat(report.figure(Figure.FAILED_BLOBS).orElseThrow())
                .as("what was in flight may fail, too")
                .isBetween(3L, blobs - 1L);
    }

    private StageReport tolerant(Route route, int most, FailureFile file) {
        return new CopyRun(
                        world.context(Stage.COPY),
                        route,
                        new Stores(Map.of(S3MAIN, world.store)),
                        CONCURRENCY,
                        new CopyRun.Tolerance(1, most, file))
                .run();
    }
}
