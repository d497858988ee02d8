package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.S3MAIN;
import static io.flynn.blobstore.move.MoveWorld.S3OTHER;
import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.VacuumMode;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.MigrationFence;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.store.s3.S3OrphanStore;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.StatementLink;
import io.flynn.blobstore.testkit.StoreFault;
import io.flynn.blobstore.testkit.TcpLink;
import io.flynn.blobstore.testkit.TcpLink.Direction;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The first statement of a stage goes wrong, then the second, and so on until there is no such statement; then the first exchange with
 * the store, in every way. At once afterwards nothing is lost; what was begun then is ended by running it again, and leaves nothing.
 */
class NthOperationIT {

    private static final int LANES = 8;
    private static final int SAMPLED_LANES = 2;

    /** For each lane: which one is the n-th differs a little from run to run, since threads take turns. */
    private static final int BEYOND_THE_LAST = 1;

    private static final int SAMPLES = 6;
    private static final long SEED = 20_261_123;
    private static final int SAMPLED_STATEMENTS = 60;
    private static final int SAMPLED_EXCHANGES = 5;

    private static final int AGAIN_MAX = 6;

    /** More than a blob that is read whole. */
    private static final int STREAMED = 1_100_000;

    /** Longer than the client waits for a byte. */
    private static final Duration SILENCE = Duration.ofSeconds(32);

    /** What clean asks two buckets stays if its deletion is refused: SAFETY, "Not held yet". */
    private static final String QUESTION = "are these two buckets?";

    enum Move {
        TO_BUCKET(MoveWorld.TO_S3),
        FROM_BUCKET(Route.ofAll(S3MAIN, BackendName.POSTGRES)),
        BETWEEN_BUCKETS(Route.ofAll(S3MAIN, S3OTHER)),
        /** Of blobs that kept their large objects. */
        ROLLBACK(Route.ofAll(S3MAIN, BackendName.POSTGRES));

        private final Route route;

        Move(Route route) {
            this.route = route;
        }
    }

    /** What happens to the n-th. */
    enum Mishap {
        STATEMENT_NOT_SENT,
        STATEMENT_ANSWER_LOST,
        EXCHANGE_CUT,
        EXCHANGE_CUT_IN_REQUEST,
        EXCHANGE_ANSWER_LOST,
        EXCHANGE_ANSWER_CUT,
        EXCHANGE_ANSWER_TRUNCATED,
        EXCHANGE_BIT_FLIPPED,
        EXCHANGE_500,
        EXCHANGE_503,
        EXCHANGE_403,
        EXCHANGE_UNANSWERED;

        boolean isOfDatabase() {
            return this == STATEMENT_NOT_SENT || this == STATEMENT_ANSWER_LOST;
        }
    }

    record Case(Move move, Stage stage, Mishap mishap) {
        @Override
        public String toString() {
            return move + " " + stage + " " + mishap;
        }
    }

    static List<Case> cases() {
        List<Case> cases = new ArrayList<>();
        for (Move move : Move.values()) {
            for (Stage stage : stages(move)) {
                for (Mishap mishap : Mishap.values()) {
                    if (mishap.isOfDatabase() || stage != Stage.VACUUM) {
                        cases.add(new Case(move, stage, mishap));
                    }
                }
            }
        }
        return cases;
    }

    private static List<Stage> stages(Move move) {
        return move == Move.TO_BUCKET
                ? List.of(Stage.PLAN, Stage.COPY, Stage.VERIFY, Stage.CLEAN, Stage.VACUUM)
                : List.of(Stage.COPY, Stage.VERIFY, Stage.CLEAN);
    }

    @Tag("long")
    @ParameterizedTest
    @MethodSource("cases")
    void whateverGoesWrongNothingIsLostAndTheNextRunEndsIt(Case at) throws Exception {
        Queue<String> wrong = new ConcurrentLinkedQueue<>();
        try (Lanes lanes = new Lanes(LANES);
                ExecutorService threads = Executors.newFixedThreadPool(LANES)) {
            for (int lane = 0; lane < LANES; lane++) {
                int first = lane + 1;
                threads.execute(() -> {
                    int beyond = 0;
                    for (long n = first; beyond < BEYOND_THE_LAST && wrong.isEmpty(); n += LANES) {
                        beyond = lanes.hasNth(at, n, wrong) ? 0 : beyond + 1;
                    }
                });
            }
        }
        assertThat(wrong).isEmpty();
    }

    @Test
    void someOfWhatGoesWrongLosesNothing() throws Exception {
        List<Case> fast = cases().stream()
                .filter(one -> one.mishap() != Mishap.EXCHANGE_UNANSWERED)
                .toList();
        Random random = new Random(SEED);
        Queue<String> wrong = new ConcurrentLinkedQueue<>();
        try (Lanes lanes = new Lanes(SAMPLED_LANES);
                ExecutorService threads = Executors.newFixedThreadPool(SAMPLED_LANES)) {
            for (int sample = 0; sample < SAMPLES; sample++) {
                Case at = fast.get(random.nextInt(fast.size()));
                long n = 1 + random.nextInt(at.mishap().isOfDatabase() ? SAMPLED_STATEMENTS : SAMPLED_EXCHANGES);
                threads.execute(() -> lanes.hasNth(at, n, wrong));
            }
        }
        assertThat(wrong).isEmpty();
    }

    /** Stores beside each other, since each has its own mishap. */
    private static final class Lanes implements AutoCloseable {

        private final BlockingQueue<LocalS3> stores;

        Lanes(int count) {
            stores = new ArrayBlockingQueue<>(count);
            for (int lane = 0; lane < count; lane++) {
                stores.add(LocalS3.start());
            }
        }

        /** Runs it in a world of its own and notes what is wrong; false if the stage has no n-th. */
        boolean hasNth(Case at, long n, Queue<String> wrong) {
            LocalS3 store = take();
            try (Trial trial = new Trial(store, at.move())) {
                return trial.hasNth(at, n);
            } catch (RuntimeException | AssertionError e) {
                wrong.add("%s, n = %d: %s\n%s".formatted(at, n, e, where(e)));
                return false;
            } finally {
                stores.add(store);
            }
        }

        private static String where(Throwable e) {
            StringBuilder lines = new StringBuilder();
            for (Throwable one = e; one != null; one = one.getCause()) {
                lines.append(one).append('\n');
                Arrays.stream(one.getStackTrace())
                        .filter(line -> line.getClassName().startsWith("io.flynn"))
                        .limit(12)
                        .forEach(line -> lines.append("    ").append(line).append('\n'));
            }
            return lines.toString();
        }

        private LocalS3 take() {
            try {
                return stores.take();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException(e);
            }
        }

        @Override
        public void close() {
            stores.forEach(LocalS3::close);
        }
    }

    /** Blobs at the source, and stages that reach database and stores through links. */
    private static final class Trial implements AutoCloseable {

        private final LocalS3 s3;
        private final Move move;
        private final MoveWorld world;
        private final StatementLink toDatabase;
        private final TcpLink toStore;
        private final Database database;
        private final S3BlobStore store;
        private final S3BlobStore otherStore;
        private final S3OrphanStore deletion;
        private final Map<UUID, byte[]> blobs = new LinkedHashMap<>();
        private final List<String> keys = new ArrayList<>();

        Trial(LocalS3 s3, Move move) {
            this.s3 = s3;
            this.move = move;
            s3.fail(0, StoreFault.NONE);
            world = new MoveWorld(s3);
            toDatabase = StatementLink.to(world.pg.host(), world.pg.port());
            toStore = TcpLink.to("127.0.0.1", s3.endpoint().getPort());
            Map<String, String> environment = new HashMap<>(world.pg.environment(EmbeddedPg.SUPERUSER));
            environment.put("PGPORT", Integer.toString(toDatabase.port()));
            database = new Database(PgSettings.decode(environment), "trial", 8, Duration.ofSeconds(5));
            URI by = URI.create("http://127.0.0.1:" + toStore.port());
            store = new S3BlobStore(s3.backend(S3MAIN, world.bucket, by), 8);
            otherStore = new S3BlobStore(s3.backend(S3OTHER, world.otherBucket, by), 8);
            deletion = new S3OrphanStore(s3.backend(S3MAIN, world.bucket, by), 4);
            for (int size : new int[] {0, 5_000, STREAMED}) {
                byte[] content = bytes(size, size);
                String name = "/blob of " + size;
                boolean isInBucket = move == Move.FROM_BUCKET || move == Move.BETWEEN_BUCKETS;
                blobs.put(isInBucket ? world.addObject(name, content) : world.add(name, content), content);
            }
            if (move == Move.ROLLBACK) {
                assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
            }
            keys.addAll(s3.sizes(world.bucket).keySet());
        }

        boolean hasNth(Case at, long n) {
            for (Stage before : stages(move)) {
                if (before == at.stage()) {
                    break;
                }
                assertThat(run(before).reason()).isEqualTo(Reasons.DONE);
            }
            if (at.mishap().isOfDatabase()) {
                toDatabase.fail(
                        n,
                        at.mishap() == Mishap.STATEMENT_NOT_SENT
                                ? StatementLink.Fault.CUT_BEFORE
                                : StatementLink.Fault.ANSWER_LOST);
            } else {
                s3.fail(n, fault(at.mishap()));
            }
            String reason = tried(at.stage());
            boolean hasNth = n <= (at.mishap().isOfDatabase() ? toDatabase.statements() : s3.exchanges());
            toDatabase.fail(0, StatementLink.Fault.CUT_BEFORE);
            s3.fail(0, StoreFault.NONE);
            toStore.mend();

            assertNothingIsLost();
            if (at.stage() != Stage.CLEAN && at.stage() != Stage.VACUUM) {
                assertTheSourceIsThere();
            }
            if (at.stage() == Stage.VERIFY && reason.equals(Reasons.DONE)) {
                assertAllAreAtTheTarget();
            }
            runToTheEnd();
            assertNothingIsLost();
            assertAllAreAtTheTarget();
            assertNothingIsLeft();
            return hasNth;
        }

        private StoreFault fault(Mishap mishap) {
            return switch (mishap) {
                case STATEMENT_NOT_SENT, STATEMENT_ANSWER_LOST -> throw new IllegalArgumentException("of the database");
                case EXCHANGE_CUT ->
                    new StoreFault() {
                        @Override
                        public void before() {
                            toStore.cutNext(Direction.DOWN);
                            throw StoreFault.failure(500, "InternalError");
                        }
                    };
                case EXCHANGE_CUT_IN_REQUEST ->
                    new StoreFault() {
                        @Override
                        public InputStream stored(InputStream sent) {
                            toStore.cutNext(Direction.UP);
                            return sent;
                        }
                    };
                case EXCHANGE_ANSWER_LOST ->
                    new StoreFault() {
                        @Override
                        public void after() {
                            toStore.cutNext(Direction.DOWN);
                        }
                    };
                case EXCHANGE_ANSWER_CUT ->
                    new StoreFault() {
                        @Override
                        public void after() {
                            toStore.cutAfter(Direction.DOWN, 100, false);
                        }
                    };
                case EXCHANGE_ANSWER_TRUNCATED -> StoreFault.truncatedAnswer(1_000);
                case EXCHANGE_BIT_FLIPPED -> StoreFault.flippedBit();
                case EXCHANGE_500 -> StoreFault.status(500, "InternalError");
                case EXCHANGE_503 -> StoreFault.status(503, "SlowDown");
                case EXCHANGE_403 -> StoreFault.status(403, "AccessDenied");
                case EXCHANGE_UNANSWERED ->
                    new StoreFault() {
                        @Override
                        public void before() {
                            LockSupport.parkNanos(SILENCE.toNanos());
                            throw StoreFault.failure(500, "InternalError");
                        }
                    };
            };
        }

        /** The reason of its report, or that of the failure that ended it: nothing else may end it. */
        private String tried(Stage stage) {
            try {
                return run(stage).reason();
            } catch (StorageFailure e) {
                return e.reason();
            }
        }

        private StageReport run(Stage stage) {
            StageContext context = new StageContext(
                    database, new MigrationFence(database, "trial"), new ProgressMeter(stage), new StopSignal());
            Stores stores = new Stores(Map.of(S3MAIN, store, S3OTHER, otherStore));
            Route route = move.route;
            StageRun run = switch (stage) {
                case PLAN ->
                    new PlanRun(
                            context,
                            new PlanRun.Order(route, route.to(), "bucket", false, true, VacuumMode.AUTO),
                            stores);
                case COPY -> new CopyRun(context, route, stores, 2, 2);
                case VERIFY -> new VerifyRun(context, route, stores, 2, Optional.empty());
                case CLEAN ->
                    new CleanRun(
                            context,
                            route,
                            stores,
                            route.from().isExternal()
                                    ? Optional.of(new ObjectCleaning.Source(deletion, Duration.ZERO))
                                    : Optional.empty(),
                            2);
                case VACUUM -> new VacuumRun(context, VacuumMode.AUTO, Duration.ofSeconds(5));
                case PROBE -> throw new IllegalArgumentException("no stage of a move");
            };
            return run.run();
        }

        private void runToTheEnd() {
            List<String> reasons = new ArrayList<>();
            for (int again = 0; again < AGAIN_MAX; again++) {
                reasons.clear();
                for (Stage stage : List.of(Stage.COPY, Stage.VERIFY, Stage.CLEAN)) {
                    reasons.add(tried(stage));
                }
                if (Set.copyOf(reasons).equals(Set.of(Reasons.DONE))) {
                    return;
                }
            }
            throw new AssertionError("it doesn't come to an end: " + reasons);
        }

        private void assertNothingIsLost() {
            blobs.forEach((id, content) -> {
                assertThat(world.column(id, "deleted_at IS NULL")).isEqualTo("true");
                assertThat(world.column(id, "size")).isEqualTo(Integer.toString(content.length));
                byte[] present = world.backend(id).equals("postgres") ? world.largeObject(id) : world.object(id);
                assertThat(Arrays.equals(present, content))
                        .as("%d bytes at %s", content.length, world.backend(id))
                        .isTrue();
            });
        }

        private void assertTheSourceIsThere() {
            if (move == Move.TO_BUCKET || move == Move.ROLLBACK) {
                assertThat(world.largeObjects()).isEqualTo(blobs.size());
            }
            assertThat(s3.sizes(world.bucket).keySet()).containsAll(keys);
        }

        private void assertAllAreAtTheTarget() {
            assertThat(blobs.keySet().stream().map(world::backend))
                    .containsOnly(move.route.to().value());
        }

        private void assertNothingIsLeft() {
            assertThat(world.pg.texts("SELECT oid::text FROM pg_largeobject_metadata"))
                    .hasSameElementsAs(world.pg.texts("SELECT file_oid::text FROM files WHERE file_oid IS NOT NULL"));
            assertThat(Stream.of(world.bucket, world.otherBucket)
                            .flatMap(bucket -> s3.sizes(bucket).keySet().stream()
                                    .filter(key -> !new String(s3.bytes(bucket, key), StandardCharsets.ISO_8859_1)
                                            .equals(QUESTION))))
                    .hasSameElementsAs(
                            world.pg.texts(
                                    "SELECT external_id::text FROM files WHERE external_id IS NOT NULL AND deleted_at IS NULL"));
            assertThat(s3.unfinishedUploads(world.bucket)).isEmpty();
        }

        @Override
        public void close() {
            deletion.close();
            otherStore.close();
            store.close();
            database.close();
            toStore.close();
            toDatabase.close();
            world.close();
        }
    }
}
