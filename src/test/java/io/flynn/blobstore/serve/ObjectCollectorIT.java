package io.flynn.blobstore.serve;

import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.store.Precondition;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.postgres.RetiredObjects;
import io.flynn.blobstore.store.postgres.Schema;
import io.flynn.blobstore.store.postgres.ServedCatalog;
import io.flynn.blobstore.store.postgres.UploadIntent;
import io.flynn.blobstore.store.s3.PartRoom;
import io.flynn.blobstore.store.s3.S3Clients;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.services.s3.S3AsyncClient;

/** Which objects of deleted rows go, and when. */
class ObjectCollectorIT {

    private static final String BUCKET = "blobs";
    private static final Duration AGE = Duration.ofMinutes(15);
    private static final int PER_SECOND = 10_000;

    private final EmbeddedPg.Database pg = EmbeddedPg.database();
    private final LocalS3 store = LocalS3.start();
    private final Map<String, String> environment = new HashMap<>(store.environment(S3MAIN, BUCKET));
    private final Database database =
            new Database(PgSettings.decode(pg.environment(EmbeddedPg.SUPERUSER)), "test", 2, Duration.ofSeconds(5));

    @BeforeEach
    void makeSchema() throws Exception {
        store.createBucket(BUCKET);
        try (Connection connection = pg.connect()) {
            Schema.upgrade(connection);
        }
    }

    @AfterEach
    void close() {
        database.close();
        store.close();
        pg.close();
    }

    @Test
    void objectsOfRowsThatWereDeletedLongAgoGo() {
        String old = row("s3main", "now() - interval '16 minutes'");
        String young = row("s3main", "now() - interval '14 minutes'");
        String live = row("s3main", "NULL");

        round();

        assertThat(store.sizes(BUCKET)).containsOnlyKeys(young, live).doesNotContainKey(old);
        assertThat(pg.texts("SELECT external_id FROM files ORDER BY deleted_at NULLS LAST"))
                .as("a deleted row without a key: its object is gone")
                .containsExactly(null, young, live);
    }

    @Test
    void manyGoInOneRound() {
        for (int i = 0; i < 45; i++) {
            row("s3main", "now() - interval '1 hour'");
        }

        round();

        assertThat(store.sizes(BUCKET)).isEmpty();
    }

    @Test
    void noTransactionRestsWhileObjectsGoSlowly() {
        row("s3main", "now() - interval '1 hour'");
        // The SDK's first request takes it a while.
        round();
        pg.execute("ALTER DATABASE " + pg.name() + " SET idle_in_transaction_session_timeout = '1s'");
        for (int i = 0; i < 4; i++) {
            row("s3main", "now() - interval '1 hour'");
        }

        try (Backends backends = backends();
                Database limited = new Database(
                        PgSettings.decode(pg.environment(EmbeddedPg.SUPERUSER)), "test", 1, Duration.ofSeconds(5));
                ObjectCollector collector = new ObjectCollector(new RetiredObjects(limited), backends, AGE, 2)) {
            collector.round();
        }

        assertThat(named()).isZero();
    }

    @Test
    void objectThatIsGoneAlreadyIsForgotten() {
        store.remove(BUCKET, row("s3main", "now() - interval '1 hour'"));

        round();

        assertThat(named()).isZero();
    }

    @Test
    void objectThatALiveRowNamesTooStays() {
        String key = row("s3main", "now() - interval '1 hour'");
        pg.execute("""
                INSERT INTO files (external_id, backend, name, type, size)
                VALUES ('%s', 's3main', '/shared', '', 4)""".formatted(key));

        round();

        assertThat(store.sizes(BUCKET)).containsOnlyKeys(key);
    }

    /** A blob comes back to what it had left, and has the name that it had. */
    @Test
    void objectThatALiveRowNamesSinceItWasLookedForStays() {
        String key = row("s3main", "now() - interval '1 hour'");
        RetiredObjects rows = new RetiredObjects(database);
        List<UUID> found = rows.find("s3main", AGE, new UUID(0, 0), 10).ids();
        assertThat(found).hasSize(1);
        pg.execute("""
                INSERT INTO files (external_id, backend, name, type, size)
                SELECT external_id, backend, name, type, size FROM files""");

        assertThat(rows.collect("s3main", AGE, found, retired -> retired)).isFalse();

        assertThat(pg.texts("SELECT external_id FROM files")).containsExactly(key, key);
    }

    /** However many there are, and in whatever portions they are looked for. */
    @Test
    void objectsThatLiveRowsNameKeepNoOthersBack() {
        List<UUID> free = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            row("s3main", "now() - interval '1 hour'");
        }
        pg.execute("""
                INSERT INTO files (external_id, backend, name, type, size)
                SELECT external_id, backend, '/shared' || name, type, size FROM files ORDER BY file_id LIMIT 8""");
        RetiredObjects rows = new RetiredObjects(database);
        Optional<UUID> after = Optional.of(new UUID(0, 0));
        while (after.isPresent()) {
            RetiredObjects.Found found = rows.find("s3main", AGE, after.get(), 3);
            free.addAll(found.ids());
            after = found.last();
        }

        assertThat(free).extracting(UUID::toString).isSorted().hasSize(4);
    }

    @Test
    void whatAnUploadThatNeverEndedLeftBehindGoes() {
        String key = row("s3main", "now() - interval '1 hour'");
        pg.execute("UPDATE files SET size = NULL");
        try (S3AsyncClient client = S3Clients.open(store.backend(S3MAIN, BUCKET), 1)) {
            client.createMultipartUpload(r -> r.bucket(BUCKET).key(key)).join();
        }
        assertThat(store.unfinishedUploads(BUCKET)).containsExactly(key);

        round();

        assertThat(store.unfinishedUploads(BUCKET)).isEmpty();
        assertThat(store.sizes(BUCKET)).isEmpty();
        assertThat(named()).isZero();
    }

    @Test
    void whatTheStoreRefusesIsTriedAFewTimesOnlyAndAgainInTheNextRound() {
        for (int i = 0; i < 30; i++) {
            row("s3main", "now() - interval '1 hour'");
        }
        store.deny(LocalS3.Operation.DELETE);

        round();

        assertThat(store.count(LocalS3.Operation.DELETE)).isEqualTo(3);
        assertThat(named()).isEqualTo(30);

        store.deny();
        round();

        assertThat(store.sizes(BUCKET)).isEmpty();
        assertThat(named()).isZero();
    }

    @Test
    void objectsThatCannotBeDeletedKeepNoOthersBack() {
        for (int i = 0; i < 30; i++) {
            row("s3main", "now() - interval '1 hour'");
        }
        List<String> held =
                pg.texts("SELECT external_id FROM files ORDER BY file_id").subList(3, 8);
        store.hold(held);

        try (Backends backends = backends();
                ObjectCollector collector =
                        new ObjectCollector(new RetiredObjects(database), backends, AGE, PER_SECOND)) {
            collector.round();
            collector.round();
            assertThat(store.sizes(BUCKET)).containsOnlyKeys(held);

            store.hold(List.of());
            collector.round();
        }
        assertThat(store.sizes(BUCKET)).isEmpty();
        assertThat(named()).isZero();
    }

    @Test
    void backendThatIsAwayKeepsNoOtherBack() {
        environment.put(
                "BACKEND_AWAY",
                "backend=minio endpoint=127.0.0.1:1 bucket=b access_key_id=a secret_access_key=b insecure=true");
        row("s3main", "now() - interval '1 hour'");
        String away = row("away", "now() - interval '1 hour'");
        String unknown = row("unknown", "now() - interval '1 hour'");

        round();

        assertThat(pg.texts("SELECT external_id FROM files WHERE external_id IS NOT NULL"))
                .containsExactlyInAnyOrder(away, unknown);
    }

    @Test
    void whatGoesAndWhatCannotIsCounted() {
        row("s3main", "now() - interval '1 hour'");
        row("s3main", "now() - interval '1 hour'");
        SimpleMeterRegistry metrics = new SimpleMeterRegistry();
        try (Backends backends = backends();
                ObjectCollector collector =
                        new ObjectCollector(new RetiredObjects(database), backends, AGE, PER_SECOND)) {
            collector.observe(metrics);
            collector.round();
            store.deny(LocalS3.Operation.DELETE);
            row("s3main", "now() - interval '1 hour'");
            collector.round();
        }

        assertThat(metrics.get("blobstore.objects.deleted")
                        .tag("backend", "s3main")
                        .functionCounter()
                        .count())
                .isEqualTo(2);
        assertThat(metrics.get("blobstore.objects.failures")
                        .tag("backend", "s3main")
                        .functionCounter()
                        .count())
                .isOne();
    }

    /** Each goes on only once the other has rows of its own. */
    @Test
    void serversThatCollectAtOnceShareTheWork() throws Exception {
        for (int i = 0; i < 60; i++) {
            row("s3main", "now() - interval '1 hour'");
        }
        CyclicBarrier bothHaveRows = new CyclicBarrier(2);
        Set<UUID> taken = ConcurrentHashMap.newKeySet();
        RetiredObjects.Deletion deletion = retired -> {
            await(bothHaveRows);
            retired.forEach(one -> assertThat(taken.add(one.id())).isTrue());
            return retired;
        };
        RetiredObjects rows = new RetiredObjects(database);
        List<List<UUID>> batches = rows.find("s3main", AGE, new UUID(0, 0), 100).batches(20);
        Callable<Boolean> server =
                () -> batches.stream().anyMatch(batch -> rows.collect("s3main", AGE, batch, deletion));

        try (var servers = Executors.newVirtualThreadPerTaskExecutor()) {
            Future<Boolean> one = servers.submit(server);
            Future<Boolean> other = servers.submit(server);
            assertThat(one.get()).isTrue();
            assertThat(other.get()).isTrue();
        }
        assertThat(taken).hasSize(40);
        assertThat(named()).isEqualTo(20);

        round();

        assertThat(named()).isZero();
        assertThat(store.count(LocalS3.Operation.DELETE))
                .as("those that nobody had")
                .isEqualTo(20);
    }

    @Test
    void uploadThatMayHaveBeenHalfCollectedIsNotPublished() {
        ServedCatalog catalog = new ServedCatalog(database);
        try (UploadIntent upload = catalog.intend(new BlobName("/a"), "", S3MAIN)) {
            pg.execute("UPDATE files SET deleted_at = now() - interval '5 minutes'");

            assertThatThrownBy(() -> upload.publish(Precondition.NONE, new Digest().finish()))
                    .isInstanceOf(StorageFailure.Busy.class)
                    .hasMessageContaining("taken for dead");
        }
        assertThat(catalog.find(new BlobName("/a"))).isEmpty();
    }

    @Test
    void uploadThatIsPublishedWhileItIsCollectedIsRefused() {
        ServedCatalog catalog = new ServedCatalog(database);
        try (UploadIntent upload = catalog.intend(new BlobName("/a"), "", S3MAIN)) {
            RetiredObjects rows = new RetiredObjects(database);
            List<UUID> found =
                    rows.find("s3main", Duration.ZERO, new UUID(0, 0), 10).ids();
            assertThat(rows.collect("s3main", Duration.ZERO, found, retired -> retired))
                    .isTrue();

            assertThatThrownBy(() -> upload.publish(Precondition.NONE, new Digest().finish()))
                    .isInstanceOf(StorageFailure.Busy.class);
        }
    }

    /** @return the key, under which there is an object */
    private String row(String backend, String deletedAt) {
        String key = UUID.randomUUID().toString();
        if (backend.equals("s3main")) {
            store.overwrite(BUCKET, key, "blob".getBytes(StandardCharsets.UTF_8));
        }
        pg.execute("""
                INSERT INTO files (external_id, backend, name, type, size, deleted_at)
                VALUES ('%s', '%s', '/%s', '', 4, %s)""".formatted(key, backend, key, deletedAt));
        return key;
    }

    private long named() {
        return pg.count("SELECT count(external_id) FROM files");
    }

    private void round() {
        try (Backends backends = backends();
                ObjectCollector collector =
                        new ObjectCollector(new RetiredObjects(database), backends, AGE, PER_SECOND)) {
            collector.round();
        }
    }

    private Backends backends() {
        return new Backends(BackendEnvironment.decode(environment), 4, new PartRoom(1 << 20, Optional.empty()));
    }

    private static void await(CyclicBarrier others) {
        try {
            others.await(20, TimeUnit.SECONDS);
        } catch (InterruptedException | BrokenBarrierException | TimeoutException e) {
            throw new IllegalStateException(e);
        }
    }
}
