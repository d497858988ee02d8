package io.flynn.blobstore.move;

import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.serve.RunningServer;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.LargeObjects;
import io.flynn.blobstore.store.postgres.MigrationFence;
import io.flynn.blobstore.store.postgres.MoveCatalog;
import io.flynn.blobstore.store.postgres.MoveCatalog.Flip;
import io.flynn.blobstore.store.postgres.MoveGuard;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.TcpLink;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A request that changes a blob, and the worker's four steps with that blob, in every order. Not by timing: the server is held
 * up before each of its round trips to the database until it is its turn.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ServerDuringMoveIT {

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final String BUCKET = "blobs";
    private static final String NAME = "/a b.tgz";
    private static final String COPY = "/copy";
    private static final byte[] OLD = MoveWorld.bytes(5_000, 1);
    private static final byte[] MORE = MoveWorld.bytes(3_000, 2);

    /** Of the server's and of the worker's. */
    private static final int STEPS = 4;

    private final EmbeddedPg.Database pg = EmbeddedPg.database();
    private final LocalS3 s3 = LocalS3.start();
    private final TcpLink link = TcpLink.to(pg.host(), pg.port());
    private final Turns turns = new Turns();
    private final Map<Change, Integer> roundTrips = new HashMap<>();
    private RunningServer server;
    private HttpClient client;
    private Database database;
    private S3BlobStore store;
    private Connection sql;

    /** What a client asks for. */
    private enum Change {
        APPEND,
        OVERWRITE,
        COPY,
        DELETE
    }

    @BeforeAll
    void start() throws SQLException {
        s3.createBucket(BUCKET);
        Map<String, String> environment = new HashMap<>(pg.environment(EmbeddedPg.SUPERUSER));
        environment.put("PGPORT", Integer.toString(link.port()));
        environment.put("DEFAULT_BACKEND", "s3main");
        // Nobody is in a hurry here.
        environment.put("BLOBSTORE_DATABASE_WAIT", "30s");
        environment.putAll(s3.environment(S3MAIN, BUCKET));
        server = RunningServer.ready(environment);
        client = HttpClient.newHttpClient();
        database = new Database(
                PgSettings.decode(pg.environment(EmbeddedPg.SUPERUSER)), "worker", 4, Duration.ofSeconds(5));
        store = new S3BlobStore(s3.backend(S3MAIN, BUCKET), 4);
        sql = pg.connect();
        new MoveGuard(database).install();
    }

    @AfterAll
    void stop() throws SQLException {
        sql.close();
        client.close();
        server.close();
        store.close();
        database.close();
        link.close();
        s3.close();
        pg.close();
    }

    @BeforeEach
    void makeBlob() throws SQLException {
        execute("UPDATE files SET deleted_at = now() WHERE deleted_at IS NULL");
        execute("DELETE FROM files");
        s3.sizes(BUCKET).keySet().forEach(key -> s3.remove(BUCKET, key));
        try (PreparedStatement insert =
                sql.prepareStatement("INSERT INTO files (file_oid, backend, name, type, size, sha512)"
                        + " VALUES (lo_from_bytea(0, ?), 'postgres', ?, 'application/gzip', ?, ?)")) {
            insert.setBytes(1, OLD);
            insert.setString(2, NAME);
            insert.setLong(3, OLD.length);
            insert.setBytes(4, Blobs.sha512(OLD).bytes());
            insert.executeUpdate();
        }
    }

    /** Every order of four steps of the server and four of the worker. */
    private static Stream<Arguments> ordersOfFourSteps() {
        return Arrays.stream(Change.values())
                .flatMap(change -> places(STEPS).stream().map(places -> Arguments.of(change, places)));
    }

    @ParameterizedTest(name = "{0} {1}")
    @MethodSource("ordersOfFourSteps")
    void whatIsAcknowledgedIsThereWhateverTheOrder(Change change, List<Integer> places) throws Exception {
        int trips = roundTrips(change);
        run(change, places.stream().map(place -> trips * place / STEPS).toList());
    }

    /** The same with every round trip as a step. */
    @Tag("long")
    @ParameterizedTest
    @EnumSource
    void whatIsAcknowledgedIsThereWhateverTheOrderOfRoundTrips(Change change) throws Exception {
        for (List<Integer> places : places(roundTrips(change))) {
            makeBlob();
            run(change, places);
        }
    }

    /** How many of the server's steps come before each of the worker's. */
    private static List<List<Integer>> places(int steps) {
        List<List<Integer>> all = new ArrayList<>();
        for (int read = 0; read <= steps; read++) {
            for (int upload = read; upload <= steps; upload++) {
                for (int flip = upload; flip <= steps; flip++) {
                    for (int clean = flip; clean <= steps; clean++) {
                        all.add(List.of(read, upload, flip, clean));
                    }
                }
            }
        }
        return all;
    }

    private int roundTrips(Change change) throws Exception {
        Integer known = roundTrips.get(change);
        if (known == null) {
            // Once for the connections, once for counting.
            run(change, List.of());
            makeBlob();
            known = run(change, List.of());
            roundTrips.put(change, known);
            makeBlob();
        }
        return known;
    }

    /** @return how many round trips the server made */
    private int run(Change change, List<Integer> places) throws Exception {
        Worker worker = new Worker();
        List<Runnable> steps = List.of(worker::read, worker::upload, worker::flip, worker::clean);
        CompletableFuture<Integer> answer = new CompletableFuture<>();
        link.gate(turns);
        int done = 0;
        int trips = 0;
        try {
            boolean isRunning = false;
            while (done < places.size() || !answer.isDone()) {
                while (done < places.size() && (places.get(done) <= trips || answer.isDone())) {
                    steps.get(done).run();
                    done++;
                }
                if (!isRunning) {
                    send(change, answer);
                    isRunning = true;
                    turns.await(answer);
                } else if (turns.next(answer)) {
                    trips++;
                }
            }
        } finally {
            link.open();
            turns.releaseAll();
        }
        assertIsDone(change, answer.get());
        Worker again = new Worker();
        again.read();
        again.upload();
        again.flip();
        again.clean();
        assertIsDone(change, answer.get());
        return trips;
    }

    private void send(Change change, CompletableFuture<Integer> answer) {
        HttpRequest.Builder request = HttpRequest.newBuilder(server.uri("/a%20b.tgz"));
        switch (change) {
            case APPEND ->
                request.PUT(BodyPublishers.ofByteArray(MORE)).header("Blobstore-Offset", Integer.toString(OLD.length));
            case OVERWRITE -> request.PUT(BodyPublishers.ofByteArray(MORE));
            case COPY ->
                request.uri(server.uri(COPY)).PUT(BodyPublishers.noBody()).header("Blobstore-Copy-From", "/a%20b.tgz");
            case DELETE -> request.DELETE();
        }
        client.sendAsync(request.build(), BodyHandlers.discarding())
                .thenApply(HttpResponse::statusCode)
                .whenComplete((status, failure) -> {
                    if (failure == null) {
                        answer.complete(status);
                    } else {
                        answer.completeExceptionally(failure);
                    }
                });
    }

    private void assertIsDone(Change change, int status) throws SQLException {
        assertThat(status).isEqualTo(200);
        byte[] longer = Arrays.copyOf(OLD, OLD.length + MORE.length);
        System.arraycopy(MORE, 0, longer, OLD.length, MORE.length);
        assertThat(bytes(NAME))
                .isEqualTo(
                        switch (change) {
                            case APPEND -> Optional.of(Blobs.sha512(longer));
                            case OVERWRITE -> Optional.of(Blobs.sha512(MORE));
                            case COPY -> Optional.of(Blobs.sha512(OLD));
                            case DELETE -> Optional.empty();
                        });
        if (change == Change.COPY) {
            assertThat(bytes(COPY)).contains(Blobs.sha512(OLD));
        }
        assertNothingIsLeftOver();
    }

    /** The digest of the live bytes, which must be the row's, as its size. */
    private Optional<Sha512> bytes(String name) throws SQLException {
        try (PreparedStatement select = sql.prepareStatement(
                "SELECT CASE WHEN backend = 'postgres' THEN lo_get(file_oid) END, external_id::text, size, sha512, backend"
                        + " FROM files WHERE name = ? AND deleted_at IS NULL")) {
            select.setString(1, name);
            try (ResultSet rows = select.executeQuery()) {
                if (!rows.next()) {
                    return Optional.empty();
                }
                byte[] bytes = rows.getBytes(1) != null ? rows.getBytes(1) : s3.bytes(BUCKET, rows.getString(2));
                assertThat(bytes).as(rows.getString(5)).hasSize(rows.getInt(3));
                assertThat(Blobs.sha512(bytes).bytes()).isEqualTo(rows.getBytes(4));
                return Optional.of(Blobs.sha512(bytes));
            }
        }
    }

    /** But objects under the keys that moves derive, which another move would use again. */
    private void assertNothingIsLeftOver() throws SQLException {
        assertThat(texts("SELECT oid::text FROM pg_largeobject_metadata"))
                .isEqualTo(texts("SELECT DISTINCT file_oid::text FROM files WHERE file_oid IS NOT NULL"));
        Set<String> named = texts("SELECT external_id::text FROM files WHERE external_id IS NOT NULL");
        assertThat(s3.sizes(BUCKET).keySet())
                .allMatch(key -> named.contains(key) || UUID.fromString(key).version() == 5)
                .containsAll(
                        texts("SELECT external_id::text FROM files WHERE deleted_at IS NULL AND backend = 's3main'"));
        assertThat(s3.unfinishedUploads(BUCKET)).isEmpty();
        assertThat(texts("SELECT file_id::text FROM files WHERE size IS NULL")).isEmpty();
    }

    private Set<String> texts(String query) throws SQLException {
        try (PreparedStatement select = sql.prepareStatement(query);
                ResultSet rows = select.executeQuery()) {
            Set<String> texts = new TreeSet<>();
            while (rows.next()) {
                texts.add(rows.getString(1));
            }
            return texts;
        }
    }

    private void execute(String statement) throws SQLException {
        try (PreparedStatement prepared = sql.prepareStatement(statement)) {
            prepared.executeUpdate();
        }
    }

    /** What the stages do with one blob, step by step. */
    private final class Worker {

        private final StageContext context = new StageContext(
                database, new MigrationFence(database, "move"), new ProgressMeter(Stage.COPY), new StopSignal());
        private final MoveCatalog catalog = new MoveCatalog(database);
        private final BlobSource source = new LargeObjectSource(new LargeObjects(database));
        private final BlobMover mover = new BlobMover(source, store, S3MAIN, new AtomicLong());
        private final Settler settler = new Settler(context, MoveWorld.TO_S3, new Stores(Map.of(S3MAIN, store)));
        private List<BlobRow> seen = List.of();
        private final List<Flip> proven = new ArrayList<>();

        void read() {
            seen = catalog.page(BackendName.POSTGRES, BlobFilter.ALL, Optional.empty(), 10);
        }

        void upload() {
            for (BlobSource.Small blob : source.readAll(seen)) {
                if (mover.move(blob) instanceof Mover.Moved.Proven moved) {
                    proven.add(moved.flip());
                }
            }
        }

        void flip() {
            context.fence().holding(() -> catalog.flip(context.fence(), proven, BackendName.POSTGRES, S3MAIN));
        }

        void clean() {
            context.fence().holding(() -> {
                List<BlobRow> settled = catalog.pageUncleaned(S3MAIN, BlobFilter.ALL, Optional.empty(), 10).stream()
                        .filter(row -> settler.settle(row) == Settler.Outcome.PROVEN)
                        .toList();
                return catalog.clean(context.fence(), settled, S3MAIN);
            });
        }
    }

    /** Holds the server up before what it sends to the database, and lets it go on once at a time. */
    private static final class Turns implements TcpLink.Gate {

        private final BlockingQueue<CountDownLatch> waiting = new LinkedBlockingQueue<>();

        @Override
        public void pass(TcpLink.Direction direction) throws InterruptedException {
            if (direction == TcpLink.Direction.UP) {
                CountDownLatch turn = new CountDownLatch(1);
                waiting.add(turn);
                turn.await();
            }
        }

        /** Returns when the server waits for its turn, or has answered. */
        void await(CompletableFuture<?> answer) throws InterruptedException {
            long end = System.nanoTime() + PATIENCE.toNanos();
            while (waiting.isEmpty() && !answer.isDone()) {
                assertThat(System.nanoTime()).as("the server does nothing").isLessThan(end);
                TimeUnit.MICROSECONDS.sleep(200);
            }
        }

        /** @return false if the server has answered and waits for nothing */
        boolean next(CompletableFuture<?> answer) throws InterruptedException {
            CountDownLatch turn = waiting.poll();
            if (turn != null) {
                turn.countDown();
            }
            await(answer);
            return turn != null;
        }

        void releaseAll() {
            for (CountDownLatch turn = waiting.poll(); turn != null; turn = waiting.poll()) {
                turn.countDown();
            }
        }
    }
}
