package io.flynn.blobstore.move;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.Installation;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.OrphanDecision;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.SweepReport;
import io.flynn.blobstore.move.CheckRun.Bucket;
import io.flynn.blobstore.move.CheckRun.Scope;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.BucketOwnership;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.MigrationFence;
import io.flynn.blobstore.store.s3.S3BucketListing;
import io.flynn.blobstore.store.s3.S3BucketOwnership;
import io.flynn.blobstore.store.s3.S3Clients;
import io.flynn.blobstore.store.s3.S3OrphanStore;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.CheckFindings;
import io.flynn.blobstore.testkit.LocalS3;
import java.sql.Connection;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.services.s3.S3AsyncClient;

/** What no row names goes, and nothing else. */
class OrphanSweepIT {

    private static final LocalS3 S3 = LocalS3.start();

    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private final MoveWorld world = new MoveWorld(S3);
    private final S3BucketListing listing = new S3BucketListing(world.settings());
    private final S3OrphanStore orphanStore = new S3OrphanStore(world.settings(), 8);
    private final CheckFindings told = new CheckFindings();
    private Duration transactionsPatience = PATIENCE;

    /** What happens between the two looks. */
    private Runnable meanwhile = () -> {};

    @AfterEach
    void close() {
        orphanStore.close();
        listing.close();
        world.close();
    }

    @AfterAll
    static void stop() {
        S3.close();
    }

    private final class Owned implements BucketOwnership {
        @Override
        public void claim() {}

        @Override
        public void check() {
            meanwhile.run();
        }
    }

    @Test
    void whatThisInstallationMustHaveMadeGoesAndNothingElse() {
        byte[] bytes = MoveWorld.bytes(1000, 1);
        String ofDeleted = key(deleted("/deleted", bytes), bytes);
        String ofMovedOtherwise = key(named("/moved otherwise", UUID.randomUUID(), bytes), bytes);
        String ofUnmoved = key(world.add("/unmoved", bytes), bytes);
        UUID named = UUID.randomUUID();
        named("/named", named, bytes);
        UUID retired = UUID.randomUUID();
        named("/retired", retired, bytes);
        world.pg.execute("UPDATE files SET deleted_at = now() WHERE name = '/retired'");
        String random = UUID.randomUUID().toString();
        String ofAnother = key(UUID.randomUUID(), bytes);
        List<String> stay = List.of(
                ofUnmoved,
                named.toString(),
                retired.toString(),
                random,
                ofAnother,
                "not-ours",
                S3BucketOwnership.KEY,
                random.toUpperCase(java.util.Locale.ROOT));
        stay.forEach(this::store);
        List.of(ofDeleted, ofMovedOtherwise).forEach(this::store);

        SweepReport report = sweep(new OrphanSweep.Order(true, false, false, Duration.ZERO));

        assertThat(told.deleted()).containsExactlyInAnyOrder(ofDeleted, ofMovedOtherwise);
        assertThat(told.kept()).containsExactlyInAnyOrder(random, ofAnother);
        assertThat(objects()).containsAll(stay).doesNotContain(ofDeleted, ofMovedOtherwise);
        assertThat(report.deletedObjects()).isEqualTo(2);
        assertThat(report.deletedBytes()).isEqualTo(6);
        assertThat(report.kept()).containsExactlyEntriesOf(Map.of(OrphanDecision.UNPROVEN, 2L));
        assertThat(report.outcome()).isEqualTo(ExitCode.DONE);
    }

    @Test
    void whatNobodyProvesGoesOnlyIfItIsAskedFor() {
        byte[] bytes = MoveWorld.bytes(1000, 1);
        String ofUnmoved = key(world.add("/unmoved", bytes), bytes);
        String random = UUID.randomUUID().toString();
        String upload = UUID.randomUUID().toString();
        List.of(ofUnmoved, random, "not-ours").forEach(this::store);
        startUpload(upload);
        startUpload("not-ours-either");

        sweep(new OrphanSweep.Order(true, false, false, Duration.ZERO));
        assertThat(told.deleted()).isEmpty();

        sweep(new OrphanSweep.Order(true, true, false, Duration.ZERO));

        assertThat(told.deleted()).containsExactlyInAnyOrder(random, upload);
        assertThat(objects()).contains(ofUnmoved, "not-ours").doesNotContain(random);
        assertThat(S3.unfinishedUploads(world.bucket)).containsExactly("not-ours-either");
    }

    /** A row without a digest: its key isn't known before its bytes are read. */
    @Test
    void copyOfARowWithoutADigestStays() {
        byte[] bytes = MoveWorld.bytes(1000, 1);
        UUID id = world.add("/no digest", bytes);
        world.pg.execute("UPDATE files SET sha512 = NULL");
        String random = UUID.randomUUID().toString();
        store(key(id, bytes));
        store(random);

        sweep(new OrphanSweep.Order(true, true, false, Duration.ZERO));

        assertThat(told.deleted()).containsExactly(random);
        assertThat(told.kept()).containsExactly(key(id, bytes));
        assertThat(objects()).contains(key(id, bytes));
    }

    @Test
    void whatIsNamedOrStoredAnewOrGoneAtTheSecondLookStays() {
        UUID named = UUID.randomUUID();
        String anew = UUID.randomUUID().toString();
        String gone = UUID.randomUUID().toString();
        String still = UUID.randomUUID().toString();
        List.of(named.toString(), anew, gone, still).forEach(this::store);
        String namedMeanwhile = named.toString();

        Orphans orphans = check();
        OrphanSweep sweep = sweepOf(new OrphanSweep.Order(true, true, false, Duration.ofSeconds(2)));
        CompletableFuture<SweepReport> swept = CompletableFuture.supplyAsync(() -> sweep.run(orphans));
        await().atMost(PATIENCE).until(() -> S3.count(LocalS3.Operation.HEAD) > 0);
        named("/named", named, new byte[] {1, 2, 3});
        meanwhile = () -> {
            S3.overwrite(world.bucket, anew, new byte[] {9, 9, 9});
            S3.remove(world.bucket, gone);
        };
        SweepReport report = swept.join();

        assertThat(told.deleted()).containsExactly(still);
        assertThat(told.kept()).containsExactlyInAnyOrder(namedMeanwhile, anew, gone);
        assertThat(report.kept())
                .containsOnly(
                        Map.entry(OrphanDecision.NAMED, 1L),
                        Map.entry(OrphanDecision.CHANGED, 1L),
                        Map.entry(OrphanDecision.GONE, 1L));
        assertThat(objects()).contains(namedMeanwhile, anew).doesNotContain(still);
    }

    /** It has stored its object and read its row, no more: its first lock comes after. */
    @Test
    void appendOfAnOldServerThatHasNotTouchedItsRowYetIsWaitedFor() throws Exception {
        UUID old = UUID.randomUUID();
        UUID id = named("/appended", old, new byte[] {1, 2, 3});
        store(old.toString());
        String appended = UUID.randomUUID().toString();
        try (Connection connection = world.pg.connect()) {
            connection.setAutoCommit(false);
            connection.createStatement().executeQuery("SELECT external_id FROM files WHERE name = '/appended'");
            store(appended);
            transactionsPatience = Duration.ofMillis(100);
            Orphans orphans = check();
            assertThat(orphans.found()).hasSize(1);

            assertThatThrownBy(() -> sweepOf(new OrphanSweep.Order(true, true, false, Duration.ZERO))
                            .run(orphans))
                    .isInstanceOfSatisfying(
                            StorageFailure.Busy.class,
                            busy -> assertThat(busy.reason()).isEqualTo(Reasons.WAITING_FOR_TRANSACTIONS));

            transactionsPatience = PATIENCE;
            OrphanSweep patient = sweepOf(new OrphanSweep.Order(true, true, false, Duration.ZERO));
            CompletableFuture<SweepReport> swept = CompletableFuture.supplyAsync(() -> patient.run(orphans));
            connection
                    .createStatement()
                    .execute("UPDATE files SET external_id = '" + appended + "' WHERE file_id = '" + id + "'");
            connection.commit();
            swept.join();
        }

        assertThat(told.deleted()).isEmpty();
        assertThat(objects()).contains(appended);
    }

    @Test
    void whileAMigrationIsAtWorkNothingGoes() {
        String random = UUID.randomUUID().toString();
        store(random);
        Orphans orphans = check();

        assertThatThrownBy(() -> new MigrationFence(world.database, "migration-1")
                        .holding(() -> sweepOf(new OrphanSweep.Order(true, true, true, Duration.ZERO))
                                .run(orphans)))
                .isInstanceOfSatisfying(
                        StorageFailure.Busy.class,
                        busy -> assertThat(busy.reason()).isEqualTo(Reasons.ANOTHER_MIGRATION));

        assertThat(objects()).contains(random);
    }

    @Test
    void inAnotherInstallationsBucketNothingGoes() {
        new S3BucketOwnership(world.settings(), () -> new Installation("there"), Optional.empty()).claim();
        String random = UUID.randomUUID().toString();
        store(random);
        OrphanSweep sweep = new OrphanSweep(
                world.database,
                Map.of(
                        "s3main",
                        new OrphanSweep.Bucket(
                                orphanStore,
                                new S3BucketOwnership(
                                        world.settings(), () -> new Installation("here"), Optional.empty()))),
                new OrphanSweep.Order(true, true, true, Duration.ZERO),
                4,
                told);

        assertThatThrownBy(() -> sweep.run(check()))
                .isInstanceOfSatisfying(
                        StorageFailure.Denied.class,
                        denied -> assertThat(denied.reason()).isEqualTo(Reasons.FOREIGN_BUCKET));

        assertThat(objects()).contains(random);
    }

    /** Paused between its proof and its flip, while its session, and the fence with it, is lost. */
    @Test
    void workerThatSleptThroughItsFenceFindsWhatItHasProven() throws Exception {
        byte[] bytes = MoveWorld.bytes(2000, 1);
        UUID withDigest = world.add("/with digest", bytes);
        UUID without = world.add("/without", bytes);
        world.pg.execute("UPDATE files SET sha512 = NULL WHERE name = '/without'");
        Asleep store = new Asleep(world.store);
        CompletableFuture<StageReport> copied =
                CompletableFuture.supplyAsync(() -> world.copyRun(store).run());
        assertThat(store.asleep.await(60, TimeUnit.SECONDS)).isTrue();
        world.pg.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'");
        await().atMost(PATIENCE)
                .until(() -> world.pg.count("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0);

        sweep(new OrphanSweep.Order(true, true, true, Duration.ZERO));
        store.wake.countDown();
        // Its fence's session is gone, so how it ends is its own matter; what it flipped by then is what counts.
        copied.handle((report, failure) -> report).join();
        world.copy();

        assertThat(told.deleted()).isEmpty();
        for (UUID id : List.of(withDigest, without)) {
            assertThat(world.backend(id)).isEqualTo("s3main");
            assertThat(world.object(id)).isEqualTo(bytes);
        }
    }

    @Test
    void largeObjectsGoIfTheyAreAskedForAndNoOtherTableMayNameThem() {
        UUID id = world.add("/named", MoveWorld.bytes(1000, 1));
        world.pg.execute("SELECT lo_from_bytea(0, 'abc') FROM generate_series(1, 1200)");

        sweep(new OrphanSweep.Order(true, true, false, Duration.ZERO));
        assertThat(world.largeObjects()).isEqualTo(1201);
        SweepReport report = sweep(new OrphanSweep.Order(false, false, true, Duration.ZERO));

        assertThat(report.deletedLargeObjects()).isEqualTo(1200);
        assertThat(report.deletedLargeObjectBytes()).isEqualTo(3600);
        assertThat(world.pg.count("SELECT length(lo_get(file_oid)) FROM files WHERE file_id = '" + id + "'"))
                .isEqualTo(1000);
        assertThat(world.largeObjects()).isOne();

        world.pg.execute("CREATE TABLE pictures (picture oid)");
        world.pg.execute("INSERT INTO pictures SELECT lo_from_bytea(0, 'mine')");
        assertThatThrownBy(() -> sweep(new OrphanSweep.Order(false, false, true, Duration.ZERO)))
                .hasMessageContaining("public.pictures.picture");
        assertThat(world.largeObjects()).isEqualTo(2);
    }

    @Test
    void largeObjectThatARowNamesAtTheSecondLookStays() {
        long oid = world.pg.count("SELECT lo_from_bytea(0, 'abc')");
        Orphans orphans = check();
        world.pg.execute("INSERT INTO files (file_oid, backend, name, type, size) VALUES (" + oid
                + ", 'postgres', '/late', '', 3)");

        SweepReport report = sweepOf(new OrphanSweep.Order(false, false, true, Duration.ZERO))
                .run(orphans);

        assertThat(report.deletedLargeObjects()).isZero();
        assertThat(told.kept()).containsExactly(Long.toString(oid));
        assertThat(world.largeObjects()).isOne();
    }

    @Test
    void whatCantBeDeletedIsSaidAndKeepsNoOtherBack() {
        String held = UUID.randomUUID().toString();
        String free = UUID.randomUUID().toString();
        store(held);
        store(free);
        S3.hold(List.of(held));
        try {
            SweepReport report = sweep(new OrphanSweep.Order(true, true, false, Duration.ZERO));

            assertThat(report.outcome()).isEqualTo(ExitCode.FAILED);
            assertThat(report.failed()).isOne();
            assertThat(told.kept()).containsExactly(held);
            assertThat(objects()).contains(held).doesNotContain(free);
        } finally {
            S3.hold(List.of());
        }
    }

    private SweepReport sweep(OrphanSweep.Order order) {
        return sweepOf(order).run(check());
    }

    private OrphanSweep sweepOf(OrphanSweep.Order order) {
        return new OrphanSweep(
                world.database,
                Map.of("s3main", new OrphanSweep.Bucket(orphanStore, new Owned())),
                order,
                4,
                told,
                transactionsPatience);
    }

    private Orphans check() {
        Orphans orphans = new Orphans(told);
        new CheckRun(
                        world.database,
                        new Scope(Set.of(BackendName.POSTGRES, MoveWorld.S3MAIN), true, Map.of()),
                        Map.of(MoveWorld.S3MAIN, new Bucket(world.store, listing)),
                        false,
                        4,
                        orphans)
                .run();
        return orphans;
    }

    private static String key(UUID id, byte[] bytes) {
        return ObjectKey.of(id, Blobs.sha512(bytes)).toString();
    }

    private void store(String key) {
        S3.overwrite(world.bucket, key, new byte[] {1, 2, 3});
    }

    private Set<String> objects() {
        return S3.sizes(world.bucket).keySet();
    }

    private UUID deleted(String name, byte[] bytes) {
        UUID key = UUID.randomUUID();
        UUID id = named(name, key, bytes);
        S3.remove(world.bucket, key.toString());
        world.pg.execute("UPDATE files SET deleted_at = now(), external_id = NULL WHERE file_id = '%s'".formatted(id));
        return id;
    }

    private UUID named(String name, UUID key, byte[] bytes) {
        UUID id = world.add(name, bytes);
        world.pg.execute("SELECT lo_unlink(file_oid) FROM files WHERE file_id = '%s'".formatted(id));
        world.pg.execute(
                "UPDATE files SET file_oid = NULL, backend = 's3main', external_id = '%s', size = 3 WHERE file_id = '%s'"
                        .formatted(key, id));
        S3.overwrite(world.bucket, key.toString(), new byte[] {1, 2, 3});
        return id;
    }

    private void startUpload(String key) {
        try (S3AsyncClient client = S3Clients.open(world.settings(), 2)) {
            client.createMultipartUpload(r -> r.bucket(world.bucket).key(key)).join();
        }
    }

    /** Falls asleep once two objects have been read back right, before anybody is told. */
    private static final class Asleep extends DecoratedStore {

        private final CountDownLatch asleep = new CountDownLatch(2);
        private final CountDownLatch wake = new CountDownLatch(1);

        Asleep(BlobStore store) {
            super(store);
        }

        @Override
        public Optional<BlobContent> readBack(ObjectKey key, long expected) {
            Optional<BlobContent> content = super.readBack(key, expected);
            asleep.countDown();
            try {
                wake.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            return content;
        }
    }
}
