package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.S3MAIN;
import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.decide.VacuumMode;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.MigrationFence;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.EmbeddedPg;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** The stages on a real PostgreSQL and a real S3 server. */
class MoveIT extends MoveFixture {

    private static final int MIB = 1024 * 1024;

    @Test
    void everySizeIsCopiedProvenCleanedAndItsSpaceGivenBack() {
        int[] sizes = {0, 1, 2047, 2048, 2049, 262_144, MIB, MIB + 1, 3 * MIB + 17};
        List<byte[]> contents = new ArrayList<>();
        List<UUID> ids = new ArrayList<>();
        for (int i = 0; i < sizes.length; i++) {
            contents.add(bytes(sizes[i], i));
            ids.add(world.add("/app " + i + "/100%_slug+é.tgz", contents.get(i)));
        }
        String updatedAt = world.column(ids.get(3), "updated_at");

        StageReport copied = world.copy();
        assertThat(copied.outcome()).as(copied.message()).isEqualTo(ExitCode.DONE);
        assertThat(copied.figure(Figure.COPIED_BLOBS)).hasValue(sizes.length);
        assertThat(copied.figure(Figure.REMAINING_BLOBS)).hasValue(0);
        for (int i = 0; i < sizes.length; i++) {
            assertThat(world.backend(ids.get(i))).isEqualTo("s3main");
            assertThat(world.column(ids.get(i), "file_oid"))
                    .as("kept until clean")
                    .isNotEqualTo("null");
            assertThat(world.object(ids.get(i))).isEqualTo(contents.get(i));
        }
        assertThat(world.column(ids.get(3), "updated_at"))
                .as("is Last-Modified")
                .isEqualTo(updatedAt);

        StageReport verified = world.verify();
        assertThat(verified.reason()).as(verified.message()).isEqualTo(Reasons.DONE);
        assertThat(verified.figure(Figure.BLOBS)).hasValue(sizes.length);
        assertThat(verified.figure(Figure.UNCLEANED_BLOBS)).hasValue(sizes.length);

        StageReport cleaned = world.clean();
        assertThat(cleaned.reason()).as(cleaned.message()).isEqualTo(Reasons.DONE);
        assertThat(cleaned.figure(Figure.CLEANED_BLOBS)).hasValue(sizes.length);
        assertThat(world.largeObjects()).isZero();
        assertThat(world.pg.count("SELECT count(*) FROM pg_trigger WHERE tgname = 'blobstore_move_guard'"))
                .as("nothing is left to guard")
                .isZero();

        StageReport vacuumed = world.vacuum(VacuumMode.AUTO);
        assertThat(vacuumed.outcome()).as(vacuumed.message()).isEqualTo(ExitCode.DONE);
        assertThat(vacuumed.findings())
                .anySatisfy(finding -> assertThat(finding.message()).isEqualTo("FULL"));
        // Not of what it was before: autovacuum may have come first.
        assertThat(vacuumed.figure(Figure.LARGE_OBJECT_BYTES_AFTER).orElseThrow())
                .isLessThan(IntStream.of(sizes).sum() / 10);
        assertThat(world.verify().reason()).isEqualTo(Reasons.DONE);
    }

    @Test
    void aRowWithoutADigestGetsItWithItsFlip() {
        byte[] small = bytes(100, 1);
        byte[] large = bytes(2 * MIB, 2);
        UUID smallId = world.add("/small", small, null);
        UUID largeId = world.add("/large", large, null);

        assertThat(world.copy().outcome()).isEqualTo(ExitCode.DONE);

        assertThat(world.column(smallId, "encode(sha512, 'hex')"))
                .isEqualTo(Blobs.sha512(small).toString());
        assertThat(world.column(largeId, "encode(sha512, 'hex')"))
                .isEqualTo(Blobs.sha512(large).toString());
        assertThat(world.object(largeId)).isEqualTo(large);
    }

    @Test
    void aSparseLargeObjectArrivesWithItsHoles() {
        byte[] whole = new byte[10_003];
        whole[0] = 1;
        System.arraycopy(new byte[] {7, 8, 9}, 0, whole, 10_000, 3);
        UUID id = world.add("/sparse", new byte[] {1}, Blobs.sha512(whole).bytes());
        world.pg.execute("SELECT lo_put(file_oid, 10000, '\\x070809') FROM files");
        world.pg.execute("UPDATE files SET size = 10003");

        assertThat(world.copy().outcome()).isEqualTo(ExitCode.DONE);
        assertThat(world.object(id)).isEqualTo(whole);
    }

    @Test
    void aBlobFoundInPlaceIsNotSentAgain() {
        byte[] content = bytes(4 * MIB, 1);
        UUID id = world.add("/slug", content);
        ObjectKey key = ObjectKey.of(id, Blobs.sha512(content));
        s3.overwrite(world.bucket, key.toString(), content);

        StageReport copied = world.copy();

        assertThat(copied.figure(Figure.UPLOADS))
                .as("left by a run that died before its flip")
                .hasValue(0);
        assertThat(world.backend(id)).isEqualTo("s3main");
    }

    @Test
    void halfAnObjectInPlaceIsReplaced() {
        byte[] content = bytes(4 * MIB, 1);
        UUID id = world.add("/slug", content);
        byte[] wrong = content.clone();
        wrong[17] ^= 1;
        s3.overwrite(world.bucket, ObjectKey.of(id, Blobs.sha512(content)).toString(), wrong);

        assertThat(world.copy().outcome()).isEqualTo(ExitCode.DONE);
        assertThat(world.object(id)).isEqualTo(content);
    }

    @Test
    void blobsThatAreNotWhatTheirRowsSayStayWhereTheyAreAndAreNamed() {
        UUID good = world.add("/good", bytes(10, 1));
        UUID missing = world.add("/missing", bytes(10, 2));
        UUID largeMissing = world.add("/large-missing", bytes(2 * MIB, 3));
        UUID rotten =
                world.add("/rotten", bytes(10, 4), Blobs.sha512(bytes(10, 5)).bytes());
        UUID largeRotten = world.add(
                "/large-rotten", bytes(2 * MIB, 6), Blobs.sha512(bytes(10, 5)).bytes());
        UUID longer = world.add("/longer", bytes(10, 7));
        UUID largeShorter = world.add("/large-shorter", bytes(2 * MIB, 8));
        world.pg.execute("SELECT lo_unlink(file_oid) FROM files WHERE name IN ('/missing', '/large-missing')");
        world.pg.execute("SELECT lo_put(file_oid, 10, 'x') FROM files WHERE name = '/longer'");
        world.pg.execute("UPDATE files SET size = size + 5 WHERE name = '/large-shorter'");

        StageReport copied = world.copy();

        assertThat(copied.outcome())
                .as("a person is needed: the next copy would find the same")
                .isEqualTo(ExitCode.FAILED);
        assertThat(copied.reason()).isEqualTo(Reasons.BLOBS_FAILED);
        assertThat(world.backend(good)).isEqualTo("s3main");
        assertThat(copied.findings())
                .extracting(Finding::subject, Finding::reason)
                .containsExactlyInAnyOrder(
                        failed(missing, Reasons.SOURCE_MISSING),
                        failed(largeMissing, Reasons.SOURCE_MISSING),
                        failed(rotten, Reasons.DIGEST_DIFFERS),
                        failed(largeRotten, Reasons.DIGEST_DIFFERS),
                        failed(longer, Reasons.SIZE_DIFFERS),
                        failed(largeShorter, Reasons.SIZE_DIFFERS));
        assertThat(world.backend(largeRotten)).isEqualTo("postgres");
        assertThat(s3.sizes(world.bucket)).as("nothing rotten is stored whole").hasSize(1);
        assertThat(world.verify().reason()).isEqualTo(Reasons.BLOBS_REMAIN);
    }

    private static org.assertj.core.groups.Tuple failed(UUID id, String reason) {
        return org.assertj.core.api.Assertions.tuple(id.toString(), reason);
    }

    @Test
    void aStoreThatReadsBackWrongGetsNoRow() {
        UUID id = world.add("/slug", bytes(1000, 1));
        BlobStore lying = new DecoratedStore(world.store) {
            @Override
            public Optional<BlobContent> readBack(ObjectKey key, long expected) {
                return super.readBack(key, expected)
                        .map(content -> new BlobContent(content.size(), new Sha512(new byte[64])));
            }
        };

        StageReport copied = world.copy(store -> lying);

        assertThat(copied.reason()).isEqualTo(Reasons.BLOBS_FAILED);
        assertThat(copied.findings())
                .singleElement()
                .extracting(Finding::reason)
                .isEqualTo(Reasons.TARGET_DIFFERS);
        assertThat(world.backend(id)).isEqualTo("postgres");
    }

    @Test
    void onePoisonBlobDoesNotKeepTheOthersBack() {
        UUID poison = world.add("/poison", bytes(1000, 1));
        for (int i = 0; i < 30; i++) {
            world.add("/good" + i, bytes(1000, 100 + i));
        }
        ObjectKey bad = ObjectKey.of(poison, Blobs.sha512(bytes(1000, 1)));
        BlobStore poisoned = new DecoratedStore(world.store) {
            @Override
            public void put(ObjectKey key, ReplayableBody body) {
                if (key.equals(bad)) {
                    throw new StorageFailure.Busy(Reasons.STORE_BUSY, "could not store object " + key, null);
                }
                super.put(key, body);
            }
        };

        StageReport copied = world.copy(store -> poisoned);

        assertThat(copied.figure(Figure.COPIED_BLOBS)).hasValue(30);
        assertThat(copied.findings()).singleElement().satisfies(finding -> {
            assertThat(finding.subject()).isEqualTo(poison.toString());
            assertThat(finding.reason()).isEqualTo(Reasons.STORE_BUSY);
        });
    }

    @Test
    void aShortOutageOfTheStoreIsRiddenOut() {
        for (int i = 0; i < 30; i++) {
            world.add("/slug" + i, bytes(1000, i));
        }
        AtomicInteger refusals = new AtomicInteger(45);
        BlobStore flaky = new DecoratedStore(world.store) {
            @Override
            public void put(ObjectKey key, ReplayableBody body) {
                if (refusals.getAndDecrement() > 0) {
                    throw new StorageFailure.Unreachable(Reasons.ENDPOINT_UNREACHABLE, "nobody answers", null);
                }
                super.put(key, body);
            }

            @Override
            public OptionalLong sizeOf(ObjectKey key) {
                if (refusals.get() > 0) {
                    throw new StorageFailure.Unreachable(Reasons.ENDPOINT_UNREACHABLE, "nobody answers", null);
                }
                return super.sizeOf(key);
            }
        };

        StageReport copied = world.copy(store -> flaky);

        assertThat(copied.reason()).as(copied.findings().toString()).isEqualTo(Reasons.DONE);
        assertThat(copied.figure(Figure.COPIED_BLOBS)).hasValue(30);
    }

    @Test
    void aShortOutageCostsAVerificationNoProof() {
        int blobs = 20;
        for (int i = 0; i < blobs; i++) {
            world.add("/slug" + i, bytes(100, i));
        }
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        AtomicInteger reads = new AtomicInteger();
        BlobStore stumbling = new DecoratedStore(world.store) {
            @Override
            public Optional<BlobContent> readBack(ObjectKey key, long expected) {
                if (reads.incrementAndGet() == blobs) {
                    throw new StorageFailure.Unreachable(Reasons.ENDPOINT_UNREACHABLE, "cut", null);
                }
                return super.readBack(key, expected);
            }
        };

        StageReport verified = world.verify(stumbling);

        assertThat(verified.reason()).as(verified.message()).isEqualTo(Reasons.DONE);
        assertThat(verified.figure(Figure.BLOBS)).hasValue(blobs);
        assertThat(reads).as("only the blob that failed was read again").hasValue(blobs + 1);
    }

    @Test
    void aDenialEndsTheRunAtOnceAndSaysWhy() {
        world.add("/slug", bytes(1000, 1));
        BlobStore denied = new DecoratedStore(world.store) {
            @Override
            public void put(ObjectKey key, ReplayableBody body) {
                throw new StorageFailure.Denied(Reasons.ACCESS_DENIED, "could not store object: HTTP status 403", null);
            }
        };
        StageRunner runner = new StageRunner(Stage.COPY, new ProgressMeter(Stage.COPY), new SilentOutput());

        StageReport report = runner.run(() -> world.copyRun(denied));

        assertThat(report.outcome()).isEqualTo(ExitCode.FAILED);
        assertThat(report.reason()).isEqualTo(Reasons.ACCESS_DENIED);
        assertThat(report.figure(Figure.COPIED_BLOBS)).hasValue(0);
    }

    @Test
    void connectionsThatAreCutAreMadeAgain() {
        for (int i = 0; i < 40; i++) {
            world.add("/slug" + i, bytes(100_000, i));
        }
        AtomicInteger puts = new AtomicInteger();
        BlobStore cutting = new DecoratedStore(world.store) {
            @Override
            public void put(ObjectKey key, ReplayableBody body) {
                if (puts.incrementAndGet() == 10) {
                    world.pg.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            + " WHERE datname = current_database() AND pid <> pg_backend_pid()");
                }
                super.put(key, body);
            }
        };

        StageReport copied = world.copy(store -> cutting);

        assertThat(copied.reason()).as(copied.message()).isEqualTo(Reasons.DONE);
        assertThat(copied.figure(Figure.REMAINING_BLOBS)).hasValue(0);
        assertThat(world.verify().reason()).isEqualTo(Reasons.DONE);
    }

    @Test
    void anAppendOfAnOldServerAcrossTheFlipPutsTheRowBack() throws SQLException {
        byte[] before = bytes(4096, 1);
        byte[] appended = bytes(3000, 2);
        byte[] after = new byte[7096];
        System.arraycopy(before, 0, after, 0, 4096);
        System.arraycopy(appended, 0, after, 4096, 3000);
        UUID id = world.add("/log", before);
        try (OldAppend append = new OldAppend(id, appended)) {
            // The row has not changed yet, so it is flipped to the 4,096 bytes that it speaks of.
            assertThat(world.copy(store -> new DecoratedStore(store) {
                                private final AtomicBoolean hasAppended = new AtomicBoolean();

                                @Override
                                public void put(ObjectKey key, ReplayableBody body) {
                                    super.put(key, body);
                                    if (hasAppended.compareAndSet(false, true)) {
                                        append.writeLargeObject();
                                    }
                                }
                            })
                            .reason())
                    .isEqualTo(Reasons.DONE);
            assertThat(world.backend(id)).isEqualTo("s3main");
            append.updateRowAndCommit(after);
        }
        assertThat(world.backend(id)).as("inside the append's own statement").isEqualTo("postgres");
        assertThat(world.verify().reason()).isEqualTo(Reasons.BLOBS_REMAIN);
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        assertThat(world.object(id)).isEqualTo(after);
    }

    @Test
    void verifyIsNotDoneBeforeAWriteThatBeganBeforeTheFlipHasEnded() throws Exception {
        byte[] before = bytes(4096, 1);
        byte[] after = appended(before);
        UUID id = world.add("/log", before);
        CompletableFuture<StageReport> verified;
        try (OldAppend append = new OldAppend(id, tail(after))) {
            copyWhile(append);
            verified = CompletableFuture.supplyAsync(world::verify);
            assertThat(isStillWaiting(verified)).isTrue();
            append.updateRowAndCommit(after);
        }

        assertThat(verified.get(30, TimeUnit.SECONDS).reason()).isEqualTo(Reasons.BLOBS_REMAIN);
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        assertThat(world.object(id)).isEqualTo(after);
    }

    @Test
    void cleanIsNotDoneWhenAWriteThatBeganBeforeTheFlipPutItsRowBack() throws Exception {
        byte[] before = bytes(4096, 1);
        byte[] after = appended(before);
        UUID id = world.add("/log", before);
        CompletableFuture<StageReport> cleaned;
        try (OldAppend append = new OldAppend(id, tail(after))) {
            copyWhile(append);
            cleaned = CompletableFuture.supplyAsync(world::clean);
            assertThat(isStillWaiting(cleaned)).isTrue();
            append.updateRowAndCommit(after);
        }

        assertThat(cleaned.get(30, TimeUnit.SECONDS).reason()).isEqualTo(Reasons.BLOBS_REMAIN);
        assertThat(world.pg.count("SELECT count(*) FROM pg_trigger WHERE tgname = 'blobstore_move_guard'"))
                .as("what is moved again has to be guarded")
                .isEqualTo(1);
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        assertThat(world.clean().reason()).isEqualTo(Reasons.DONE);
        assertThat(world.object(id)).isEqualTo(after);
    }

    /** By a role that may not set the guard: the append's end, long after the flip, is waited for and settled. */
    @Test
    void copyWithoutTheMoveGuardSettlesAnAppendThatEndsLongAfterTheFlip() throws Exception {
        String role = EmbeddedPg.role();
        try (MoveWorld poor = new MoveWorld(s3, role)) {
            byte[] before = bytes(4096, 1);
            byte[] after = appended(before);
            UUID id = poor.add("/log", before);
            poor.pg.execute("GRANT SELECT, INSERT, UPDATE ON files TO " + role);
            poor.pg.execute("SELECT lo_put(file_oid, 0, '') FROM files");
            poor.pg.execute(
                    "GRANT SELECT, UPDATE ON LARGE OBJECT %s TO %s".formatted(poor.column(id, "file_oid"), role));
            CompletableFuture<StageReport> copied;
            try (OldAppend append = new OldAppend(poor, id, tail(after))) {
                append.writeLargeObject();
                copied = CompletableFuture.supplyAsync(poor::copy);
                org.awaitility.Awaitility.await()
                        .atMost(20, TimeUnit.SECONDS)
                        .until(() -> poor.backend(id).equals("s3main"));
                assertThat(isStillWaiting(copied)).isTrue();
                append.updateRowAndCommit(after);
            }

            StageReport report = copied.get(30, TimeUnit.SECONDS);
            assertThat(report.reason()).as(report.message()).isEqualTo(Reasons.DONE);
            assertThat(report.figure(Figure.SETTLED_BLOBS)).hasValue(1);
            assertThat(poor.object(id)).isEqualTo(after);
        }
    }

    @Test
    void twoWorkersThatSetTheMoveGuardAtOnceBothGoOn() throws Exception {
        world.add("/slug", bytes(100, 1));
        List<CompletableFuture<Boolean>> installed = new ArrayList<>();
        // Whoever writes keeps the guard's lock away from both of them.
        try (Connection writer = world.pg.connect();
                Statement statement = writer.createStatement()) {
            writer.setAutoCommit(false);
            statement.execute("UPDATE files SET name = '/other'");
            for (int i = 0; i < 2; i++) {
                installed.add(CompletableFuture.supplyAsync(
                        () -> new io.flynn.blobstore.store.postgres.MoveGuard(world.database).install()));
            }
            Thread.sleep(1_500);
            writer.commit();
        }

        for (CompletableFuture<Boolean> one : installed) {
            assertThat(one.get(30, TimeUnit.SECONDS)).isTrue();
        }
    }

    private static byte[] appended(byte[] before) {
        byte[] after = bytes(before.length + 3000, 2);
        System.arraycopy(before, 0, after, 0, before.length);
        return after;
    }

    private static byte[] tail(byte[] after) {
        return java.util.Arrays.copyOfRange(after, after.length - 3000, after.length);
    }

    /** The append has written its large object and not yet its row, so the flip goes to what the row speaks of. */
    private void copyWhile(OldAppend append) {
        AtomicBoolean hasAppended = new AtomicBoolean();
        StageReport copied = world.copy(store -> new DecoratedStore(store) {
            @Override
            public void put(ObjectKey key, ReplayableBody body) {
                super.put(key, body);
                if (hasAppended.compareAndSet(false, true)) {
                    append.writeLargeObject();
                }
            }
        });
        assertThat(copied.reason()).isEqualTo(Reasons.DONE);
    }

    private static boolean isStillWaiting(CompletableFuture<?> stage) throws InterruptedException {
        Thread.sleep(1_500);
        return !stage.isDone();
    }

    @Test
    void withoutTheMoveGuardVerifySettlesWhatAnOldAppendLeft() throws SQLException {
        byte[] before = bytes(4096, 1);
        byte[] after = bytes(7096, 2);
        System.arraycopy(before, 0, after, 0, 4096);
        UUID id = world.add("/log", before);
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        world.pg.execute("DROP TRIGGER blobstore_move_guard ON files");
        try (OldAppend append = new OldAppend(id, java.util.Arrays.copyOfRange(after, 4096, 7096))) {
            append.writeLargeObject();
            append.updateRowAndCommit(after);
        }

        StageReport verified = world.verify();

        assertThat(verified.reason()).isEqualTo(Reasons.BLOBS_REMAIN);
        assertThat(verified.figure(Figure.SETTLED_BLOBS)).hasValue(1);
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        assertThat(world.object(id)).isEqualTo(after);
    }

    @Test
    void aStaleLargeObjectIsOnlyUnlinked() {
        byte[] old = bytes(100, 1);
        byte[] current = bytes(200, 2);
        UUID id = world.add("/slug", old);
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        // An old server's append to a moved blob: a new random key, and the large object is kept.
        UUID key = UUID.randomUUID();
        s3.overwrite(world.bucket, key.toString(), current);
        world.pg.execute("UPDATE files SET external_id = '%s', size = 200, sha512 = '\\x%s'"
                .formatted(key, Blobs.sha512(current)));

        assertThat(world.verify().reason()).isEqualTo(Reasons.DONE);
        assertThat(world.clean().reason()).isEqualTo(Reasons.DONE);
        assertThat(world.largeObjects()).isZero();
        assertThat(world.object(id)).isEqualTo(current);
    }

    @Test
    void anObjectThatIsLostBeforeCleanIsRestoredFromTheLargeObject() {
        byte[] content = bytes(100, 1);
        UUID id = world.add("/slug", content);
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        s3.remove(world.bucket, world.column(id, "external_id"));

        StageReport cleaned = world.clean();

        assertThat(cleaned.reason()).isEqualTo(Reasons.BLOBS_REMAIN);
        assertThat(world.largeObjects()).as("source outlives doubt").isEqualTo(1);
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        assertThat(world.object(id)).isEqualTo(content);
        assertThat(world.clean().reason()).isEqualTo(Reasons.DONE);
    }

    @Test
    void whenNeitherSideIsTheBlobAPersonIsAskedAndNothingIsUnlinked() {
        UUID id = world.add("/slug", bytes(100, 1));
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        s3.overwrite(world.bucket, world.column(id, "external_id"), bytes(100, 2));
        world.pg.execute("SELECT lo_put(file_oid, 0, 'x') FROM files");

        StageReport verified = world.verify();
        assertThat(verified.outcome()).isEqualTo(ExitCode.FAILED);
        assertThat(verified.findings()).singleElement().satisfies(finding -> {
            assertThat(finding.level()).isEqualTo(Level.FAILURE);
            assertThat(finding.reason()).isEqualTo(Reasons.TARGET_DIFFERS);
            assertThat(finding.subject()).isEqualTo(id.toString());
        });
        assertThat(world.clean().outcome()).isEqualTo(ExitCode.FAILED);
        assertThat(world.largeObjects()).isEqualTo(1);
    }

    @Test
    void anObjectThatAnOverwriteDeletedBeforeItsCommitIsWaitedForNotGivenUp() throws SQLException {
        UUID id = world.add("/slug", bytes(100, 1));
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        assertThat(world.clean().reason()).isEqualTo(Reasons.DONE);
        try (Connection oldServer = world.pg.connect();
                Statement statement = oldServer.createStatement()) {
            oldServer.setAutoCommit(false);
            statement.execute("UPDATE files SET deleted_at = now()");
            s3.remove(world.bucket, world.column(id, "external_id"));

            assertThat(world.verify().reason()).isEqualTo(Reasons.BLOBS_REMAIN);

            oldServer.commit();
        }
        assertThat(world.verify().reason()).isEqualTo(Reasons.DONE);
    }

    @Test
    void twoRowsThatShareALargeObjectLoseItWithTheLast() {
        byte[] content = bytes(100, 1);
        UUID first = world.add("/a", content);
        world.pg.execute("INSERT INTO files (file_oid, backend, name, type, size, sha512)"
                + " SELECT file_oid, backend, '/b', type, size, sha512 FROM files");
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        world.pg.execute("UPDATE files SET backend = 'postgres', external_id = NULL WHERE name = '/b'");

        assertThat(world.clean().reason()).isEqualTo(Reasons.BLOBS_REMAIN);
        assertThat(world.largeObjects()).as("/b still needs it").isEqualTo(1);
        assertThat(world.column(first, "file_oid")).isEqualTo("null");
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        assertThat(world.clean().reason()).isEqualTo(Reasons.DONE);
        assertThat(world.largeObjects()).isZero();
    }

    @Test
    void aBlobDeletedWhileItIsCopiedIsNotBroughtBack() {
        UUID id = world.add("/slug", bytes(3 * MIB, 1));
        StageReport copied = world.copy(store -> new DecoratedStore(store) {
            @Override
            public void put(ObjectKey key, ReplayableBody body) {
                super.put(key, body);
                world.pg.execute("UPDATE files SET deleted_at = now()");
            }
        });

        assertThat(copied.reason()).isEqualTo(Reasons.DONE);
        assertThat(copied.figure(Figure.COPIED_BLOBS)).hasValue(0);
        assertThat(world.backend(id)).isEqualTo("postgres");
        assertThat(world.largeObjects()).isZero();
    }

    @Test
    void aRowThatSomebodyHoldsIsPassedOverAndFlippedLater() throws Exception {
        UUID held = world.add("/held", bytes(100, 1));
        UUID free = world.add("/free", bytes(100, 2));
        CompletableFuture<StageReport> copied;
        try (Connection writer = world.pg.connect();
                Statement statement = writer.createStatement()) {
            writer.setAutoCommit(false);
            statement.execute("SELECT 1 FROM files WHERE name = '/held' FOR UPDATE");
            copied = CompletableFuture.supplyAsync(world::copy);
            org.awaitility.Awaitility.await().until(() -> world.backend(free).equals("s3main"));
            assertThat(world.backend(held)).isEqualTo("postgres");
            writer.rollback();
        }
        assertThat(copied.get(30, TimeUnit.SECONDS).reason()).isEqualTo(Reasons.DONE);
        assertThat(world.backend(held)).isEqualTo("s3main");
    }

    @Test
    void cleanWaitsForTransactionsThatMayStillReadALargeObject() throws Exception {
        world.add("/slug", bytes(100, 1));
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        CompletableFuture<StageReport> cleaned;
        try (Connection reader = world.pg.connect();
                Statement statement = reader.createStatement()) {
            reader.setAutoCommit(false);
            statement.executeQuery("SELECT file_oid FROM files").close();
            cleaned = CompletableFuture.supplyAsync(world::clean);
            org.awaitility.Awaitility.await()
                    .during(1, TimeUnit.SECONDS)
                    .atMost(10, TimeUnit.SECONDS)
                    .until(() -> world.largeObjects() == 1 && !cleaned.isDone());
            reader.rollback();
        }
        assertThat(cleaned.get(30, TimeUnit.SECONDS).reason()).isEqualTo(Reasons.DONE);
        assertThat(world.largeObjects()).isZero();
    }

    @Test
    void anotherMigrationOnTheDatabaseIsNamedAndKeptOut() throws Exception {
        world.add("/slug", bytes(100, 1));
        CountDownLatch isInside = new CountDownLatch(1);
        CountDownLatch leave = new CountDownLatch(1);
        Thread other = Thread.startVirtualThread(() -> new MigrationFence(world.database, "another").holding(() -> {
            isInside.countDown();
            try {
                return leave.await(30, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }));
        assertThat(isInside.await(10, TimeUnit.SECONDS)).isTrue();
        world.stop.request();

        assertThatThrownBy(world::copy)
                .isInstanceOfSatisfying(
                        StorageFailure.Busy.class,
                        busy -> assertThat(busy.reason()).isEqualTo(Reasons.ANOTHER_MIGRATION))
                .hasMessageContaining("blobstore test");
        // Workers of the same migration share the fence.
        assertThat(new MigrationFence(world.database, "another").holding(() -> "inside"))
                .isEqualTo("inside");
        leave.countDown();
        other.join();
    }

    @Test
    void aPlanCountsAndNamesWhatWouldStopTheMove() {
        world.add("/slug", bytes(100, 1), null);

        StageReport ready = world.plan(S3MAIN);
        assertThat(ready.outcome()).as(ready.message()).isEqualTo(ExitCode.DONE);
        assertThat(ready.figure(Figure.BLOBS)).hasValue(1);
        assertThat(ready.figure(Figure.BYTES)).hasValue(100);
        assertThat(ready.identity()).hasSize(16).isEqualTo(world.plan(S3MAIN).identity());
        assertThat(ready.findings()).extracting(Finding::reason).containsExactly(Reasons.DIGEST_MISSING);

        StageReport blocked = world.plan(BackendName.POSTGRES);
        assertThat(blocked.outcome()).isEqualTo(ExitCode.FAILED);
        assertThat(blocked.reason()).isEqualTo(Reasons.TARGET_NOT_DEFAULT);
        assertThat(s3.sizes(world.bucket)).isEmpty();
    }

    @Test
    void aRoleWithFewRightsIsToldBeforeAnythingIsTouched() {
        String role = EmbeddedPg.role();
        try (MoveWorld poor = new MoveWorld(s3, role)) {
            poor.add("/slug", bytes(100, 1));
            poor.pg.execute("GRANT SELECT, INSERT, UPDATE ON files TO " + role);

            StageReport plan = poor.plan(S3MAIN);

            assertThat(plan.outcome()).isEqualTo(ExitCode.FAILED);
            assertThat(plan.findings())
                    .extracting(Finding::reason)
                    .contains(Reasons.LARGE_OBJECTS_DENIED, Reasons.VACUUM_NOT_PERMITTED, Reasons.NO_MOVE_GUARD);
            assertThatThrownBy(() -> poor.vacuum(VacuumMode.FULL))
                    .isInstanceOfSatisfying(
                            StorageFailure.Denied.class,
                            denied -> assertThat(denied.reason()).isEqualTo(Reasons.VACUUM_NOT_PERMITTED));
        }
    }

    /** The old server's append: the large object first, the row at the end, no lock before. */
    private final class OldAppend implements AutoCloseable {

        private final Connection connection;
        private final UUID id;
        private final byte[] bytes;

        OldAppend(UUID id, byte[] bytes) throws SQLException {
            this(world, id, bytes);
        }

        OldAppend(MoveWorld world, UUID id, byte[] bytes) throws SQLException {
            connection = world.pg.connect();
            this.id = id;
            this.bytes = bytes;
            connection.setAutoCommit(false);
        }

        void writeLargeObject() {
            try (var put =
                    connection.prepareStatement("SELECT lo_put(file_oid, size, ?) FROM files WHERE file_id = ?")) {
                put.setBytes(1, bytes);
                put.setObject(2, id);
                put.executeQuery().close();
            } catch (SQLException e) {
                throw new IllegalStateException(e);
            }
        }

        void updateRowAndCommit(byte[] whole) throws SQLException {
            try (var update = connection.prepareStatement(
                    "UPDATE files SET size = ?, sha512 = ?, updated_at = now() WHERE file_id = ?")) {
                update.setLong(1, whole.length);
                update.setBytes(2, Blobs.sha512(whole).bytes());
                update.setObject(3, id);
                update.executeUpdate();
            }
            connection.commit();
        }

        @Override
        public void close() throws SQLException {
            connection.close();
        }
    }
}
