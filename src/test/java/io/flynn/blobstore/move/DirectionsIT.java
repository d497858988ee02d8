package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.S3MAIN;
import static io.flynn.blobstore.move.MoveWorld.S3OTHER;
import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.VacuumMode;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import io.flynn.blobstore.store.postgres.RetiredObjects;
import io.flynn.blobstore.testkit.Blobs;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Moves out of a bucket: into the database, and into another bucket. */
class DirectionsIT extends MoveFixture {

    private static final int MIB = 1024 * 1024;

    private static final Route BACK = Route.ofAll(S3MAIN, BackendName.POSTGRES);
    private static final Route ON = Route.ofAll(S3MAIN, S3OTHER);

    @Test
    void aLimitOfBytesHoldsOnTheWayIntoTheDatabase() {
        for (int i = 0; i < 4; i++) {
            world.addObject("/small" + i, MoveWorld.bytes(200_000, i));
        }
        world.addObject("/streamed", MoveWorld.bytes(2 * MIB, 9));
        StageContext context = world.context(Stage.COPY);
        context.progress().traffic().limitBytes(2 * MIB);

        StageReport copied = new CopyRun(context, BACK, world.stores(), 4, 2).run();

        assertThat(copied.figure(Figure.COPIED_BLOBS)).hasValue(5);
        assertThat(context.progress().traffic().bottleneck()).contains(Traffic.Wait.THROTTLE);
    }

    @ParameterizedTest
    @MethodSource("fromABucket")
    void aBucketThatIsWaitedForIsTheBottleneck(Route route) {
        world.addObject("/small", bytes(1000, 1));
        world.addObject("/streamed", bytes(2 * MIB, 2));
        StageContext context = world.context(Stage.COPY);
        Stores slow = new Stores(Map.of(
                S3MAIN,
                new DecoratedStore(world.store) {
                    @Override
                    public java.io.InputStream open(ObjectKey key, long size) {
                        Pauses.sleep(Duration.ofSeconds(1));
                        return super.open(key, size);
                    }
                },
                S3OTHER,
                world.otherStore));

        StageReport copied = new CopyRun(context, route, slow, 4, 2).run();

        assertThat(copied.reason()).isEqualTo(Reasons.DONE);
        assertThat(context.progress().traffic().bottleneck()).contains(Traffic.Wait.SOURCE);
    }

    static List<Route> fromABucket() {
        return List.of(BACK, ON);
    }

    private byte[] content(UUID id) {
        return world.backend(id).equals("postgres") ? world.largeObject(id) : world.object(id);
    }

    @ParameterizedTest
    @MethodSource("fromABucket")
    void everySizeArrivesIsProvenAndLeavesNothing(Route route) {
        int[] sizes = {0, 1, 2047, 2048, 2049, 262_144, MIB, MIB + 1, 3 * MIB + 17};
        List<byte[]> contents = new ArrayList<>();
        List<UUID> ids = new ArrayList<>();
        for (int i = 0; i < sizes.length; i++) {
            contents.add(bytes(sizes[i], i));
            ids.add(world.addObject("/app " + i + "/100%_slug+é.tgz", contents.get(i)));
        }
        String updatedAt = world.column(ids.get(3), "updated_at");

        StageReport copied = world.copy(route);

        assertThat(copied.outcome()).as(copied.message() + copied.findings()).isEqualTo(ExitCode.DONE);
        assertThat(copied.figure(Figure.COPIED_BLOBS)).hasValue(sizes.length);
        assertThat(copied.figure(Figure.REMAINING_BLOBS)).hasValue(0);
        for (int i = 0; i < sizes.length; i++) {
            assertThat(world.backend(ids.get(i))).isEqualTo(route.to().value());
            assertThat(content(ids.get(i))).as(sizes[i] + " bytes").isEqualTo(contents.get(i));
        }
        assertThat(world.column(ids.get(3), "updated_at"))
                .as("is Last-Modified")
                .isEqualTo(updatedAt);
        assertThat(s3.sizes(world.bucket)).as("kept until clean").hasSize(sizes.length);
        assertThat(world.largeObjects()).isEqualTo(route.equals(BACK) ? sizes.length : 0);

        StageReport verified = world.verify(route);
        assertThat(verified.reason()).as(verified.message()).isEqualTo(Reasons.DONE);
        assertThat(verified.figure(Figure.BLOBS)).hasValue(sizes.length);
        assertThat(verified.figure(Figure.UNCLEANED_BLOBS)).hasValue(sizes.length);

        StageReport cleaned = world.clean(route, Duration.ZERO);
        assertThat(cleaned.reason()).as(cleaned.message()).isEqualTo(Reasons.DONE);
        assertThat(cleaned.figure(Figure.CLEANED_BLOBS)).hasValue(sizes.length);
        assertThat(s3.sizes(world.bucket)).isEmpty();
        assertThat(world.pg.count(
                        "SELECT count(*) FROM files WHERE external_id IS NOT NULL AND deleted_at IS NOT NULL"))
                .as("rows forget the keys of what is gone")
                .isZero();
        assertThat(world.verify(route).reason()).isEqualTo(Reasons.DONE);
    }

    @ParameterizedTest
    @MethodSource("fromABucket")
    void whatALinkMayStillPointAtIsNotDeletedYet(Route route) {
        UUID id = world.addObject("/slug", bytes(100, 1));
        String key = world.column(id, "external_id");
        assertThat(world.copy(route).reason()).isEqualTo(Reasons.DONE);
        world.stop.request();

        assertThat(world.clean(route, Duration.ofMinutes(15)).reason()).isEqualTo(Reasons.INTERRUPTED);

        assertThat(s3.bytes(world.bucket, key)).isEqualTo(bytes(100, 1));
    }

    /** A server's collector runs whenever it likes; what a migration keeps is none of its business. */
    @ParameterizedTest
    @MethodSource("fromABucket")
    void whatABlobLeftIsKeptFromServersUntilItIsCleaned(Route route) {
        UUID id = world.addObject("/slug", bytes(100, 1));
        String key = world.column(id, "external_id");
        assertThat(world.copy(route).reason()).isEqualTo(Reasons.DONE);

        assertThat(retired(new RetiredObjects(world.database))).isEmpty();

        assertThat(s3.bytes(world.bucket, key)).isEqualTo(bytes(100, 1));
    }

    @ParameterizedTest
    @MethodSource("fromABucket")
    void blobsThatAreNotWhatTheirRowsSayStayWhereTheyAreAndAreNamed(Route route) {
        UUID good = world.addObject("/good", bytes(10, 1));
        UUID missing = world.addObject("/missing", bytes(10, 2));
        UUID largeMissing = world.addObject("/large-missing", bytes(2 * MIB, 3));
        UUID keyless = world.addObject("/keyless", bytes(10, 4));
        UUID rotten = world.addObject("/rotten", bytes(10, 5));
        UUID largeRotten = world.addObject("/large-rotten", bytes(2 * MIB, 6));
        UUID longer = world.addObject("/longer", bytes(10, 7));
        UUID largeShorter = world.addObject("/large-shorter", bytes(2 * MIB, 8));
        s3.remove(world.bucket, world.column(missing, "external_id"));
        s3.remove(world.bucket, world.column(largeMissing, "external_id"));
        world.pg.execute("UPDATE files SET external_id = NULL WHERE name = '/keyless'");
        s3.overwrite(world.bucket, world.column(rotten, "external_id"), bytes(10, 50));
        s3.overwrite(world.bucket, world.column(largeRotten, "external_id"), bytes(2 * MIB, 60));
        s3.overwrite(world.bucket, world.column(longer, "external_id"), bytes(11, 7));
        s3.overwrite(world.bucket, world.column(largeShorter, "external_id"), bytes(2 * MIB - 1, 8));

        StageReport copied = world.copy(route);

        assertThat(copied.reason()).isEqualTo(Reasons.BLOBS_FAILED);
        assertThat(world.backend(good)).isEqualTo(route.to().value());
        assertThat(copied.findings())
                .extracting(Finding::subject, Finding::reason)
                .containsExactlyInAnyOrder(
                        org.assertj.core.groups.Tuple.tuple(missing.toString(), Reasons.SOURCE_MISSING),
                        org.assertj.core.groups.Tuple.tuple(largeMissing.toString(), Reasons.SOURCE_MISSING),
                        org.assertj.core.groups.Tuple.tuple(keyless.toString(), Reasons.SOURCE_MISSING),
                        org.assertj.core.groups.Tuple.tuple(rotten.toString(), Reasons.DIGEST_DIFFERS),
                        org.assertj.core.groups.Tuple.tuple(largeRotten.toString(), Reasons.DIGEST_DIFFERS),
                        org.assertj.core.groups.Tuple.tuple(longer.toString(), Reasons.SIZE_DIFFERS),
                        org.assertj.core.groups.Tuple.tuple(largeShorter.toString(), Reasons.SIZE_DIFFERS));
        assertThat(world.largeObjects()).as("nothing of them is stored whole").isEqualTo(route.equals(BACK) ? 1 : 0);
        assertThat(world.verify(route).figure(Figure.REMAINING_BLOBS)).hasValue(7);
    }

    @Test
    void withinTheRetentionBlobsComeBackByTheirRowsAlone() {
        List<UUID> ids = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            ids.add(world.add("/slug" + i, bytes(i == 4 ? 2 * MIB : 1000 + i, i)));
        }
        List<String> oids = ids.stream().map(id -> world.column(id, "file_oid")).toList();
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);

        StageReport back = world.copy(BACK);

        assertThat(back.reason()).as(back.message()).isEqualTo(Reasons.DONE);
        assertThat(back.figure(Figure.COPIED_BLOBS)).hasValue(5);
        assertThat(back.figure(Figure.UPLOADS)).as("nothing is copied").hasValue(0);
        assertThat(ids.stream().map(id -> world.column(id, "file_oid"))).isEqualTo(oids);
        assertThat(ids.stream().map(world::backend)).containsOnly("postgres");
        assertThat(world.verify(BACK).reason()).isEqualTo(Reasons.DONE);
        assertThat(world.clean(BACK, Duration.ZERO).reason()).isEqualTo(Reasons.DONE);
        assertThat(s3.sizes(world.bucket)).isEmpty();
        assertThat(world.largeObjects()).isEqualTo(5);
    }

    /** A migration whose source is kept for a while, and which comes to clean when another one has brought blobs back. */
    @Test
    void aCleanThatComesAfterBlobsWentBackTouchesNoneOfThem() {
        byte[] content = bytes(1000, 1);
        UUID back = world.add("/back/slug", content);
        UUID changed = world.add("/back/changed", bytes(500, 2));
        UUID stays = world.add("/stays/slug", bytes(700, 3));
        String oid = world.column(back, "file_oid");
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        assertThat(world.verify().reason()).isEqualTo(Reasons.DONE);
        byte[] current = bytes(600, 4);
        UUID key = UUID.randomUUID();
        s3.overwrite(world.bucket, key.toString(), current);
        world.pg.execute(
                "UPDATE files SET external_id = '%s', size = 600, sha512 = '\\x%s' WHERE name = '/back/changed'"
                        .formatted(key, Blobs.sha512(current)));
        Route some =
                new Route(S3MAIN, BackendName.POSTGRES, new BlobFilter("/back/", 0, Long.MAX_VALUE, Optional.empty()));
        assertThat(world.copy(some).reason()).isEqualTo(Reasons.DONE);

        StageReport cleaned = world.clean();

        assertThat(cleaned.reason()).as("nor is it taken for done").isEqualTo(Reasons.BLOBS_REMAIN);
        assertThat(world.column(back, "file_oid")).isEqualTo(oid);
        assertThat(world.largeObject(back)).isEqualTo(content);
        assertThat(world.largeObject(changed)).isEqualTo(current);
        assertThat(world.column(stays, "file_oid")).isEqualTo("null");
        assertThat(world.largeObjects()).isEqualTo(2);
        assertThat(world.verify(some).reason()).isEqualTo(Reasons.DONE);
    }

    @Test
    void whatWasChangedSinceItsMoveIsCopiedBackAndItsStaleLargeObjectGoes() {
        byte[] current = bytes(200, 2);
        UUID id = world.add("/slug", bytes(100, 1));
        String stale = world.column(id, "file_oid");
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        // An old server's append to a moved blob: a new random key, and the large object is kept.
        UUID key = UUID.randomUUID();
        s3.overwrite(world.bucket, key.toString(), current);
        world.pg.execute("UPDATE files SET external_id = '%s', size = 200, sha512 = '\\x%s'"
                .formatted(key, Blobs.sha512(current)));

        assertThat(world.copy(BACK).reason()).isEqualTo(Reasons.DONE);

        assertThat(world.largeObject(id)).isEqualTo(current);
        assertThat(world.column(id, "file_oid")).isNotEqualTo(stale);
        assertThat(world.largeObjects()).isEqualTo(1);
    }

    @Test
    void aBlobThatGoesToAndFroIsNeverDeletedByWhatItLeftBefore() {
        byte[] content = bytes(2 * MIB, 1);
        UUID id = world.add("/slug", content);
        for (int round = 0; round < 2; round++) {
            assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
            assertThat(world.copy(ON).reason()).isEqualTo(Reasons.DONE);
            assertThat(world.clean(ON, Duration.ZERO).reason()).isEqualTo(Reasons.DONE);
            assertThat(world.copy(Route.ofAll(S3OTHER, S3MAIN)).reason()).isEqualTo(Reasons.DONE);
            assertThat(world.copy(BACK).reason()).isEqualTo(Reasons.DONE);
        }
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);

        assertThat(retired(new RetiredObjects(world.database)))
                .as("nobody deletes what is a blob again")
                .isEmpty();
        assertThat(world.object(id)).isEqualTo(content);
        assertThat(world.verify().reason()).isEqualTo(Reasons.DONE);
    }

    /** What was released, and not yet deleted, is a blob again: a server that collects must not take it any more. */
    @Test
    void whatIsAboutToBeDeletedIsHeldBeforeABlobComesBackToIt() {
        byte[] content = bytes(2 * MIB, 1);
        UUID id = world.add("/slug", content);
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        assertThat(world.copy(BACK).reason()).isEqualTo(Reasons.DONE);
        // As clean leaves it before the objects are deleted.
        world.pg.execute("UPDATE files SET deleted_at = now() - interval '1 hour' WHERE deleted_at = 'infinity'");
        RetiredObjects collector = new RetiredObjects(world.database);
        AtomicReference<Boolean> isTaken = new AtomicReference<>(false);
        List<UUID> found = retired(collector);
        assertThat(found).hasSize(1);

        StageReport copied = world.copy(store -> new DecoratedStore(store) {
            @Override
            public java.util.Optional<io.flynn.blobstore.blob.BlobContent> readBack(ObjectKey key, long expected) {
                // Between the proof and the flip.
                var proven = super.readBack(key, expected);
                isTaken.set(collector.collect("s3main", Duration.ofMinutes(15), found, retired -> {
                    retired.forEach(
                            object -> s3.remove(world.bucket, object.key().toString()));
                    return retired;
                }));
                return proven;
            }
        });

        assertThat(copied.reason()).isEqualTo(Reasons.DONE);
        assertThat(isTaken.get()).isFalse();
        assertThat(world.object(id)).isEqualTo(content);
    }

    private static List<UUID> retired(RetiredObjects collector) {
        return collector.find("s3main", Duration.ZERO, new UUID(0, 0), 10).ids();
    }

    @ParameterizedTest
    @MethodSource("fromABucket")
    void aBlobDeletedWhileItIsCopiedIsNotBroughtBack(Route route) {
        UUID id = world.addObject("/slug", bytes(3 * MIB, 1));
        Stores deleting = new Stores(Map.of(
                S3MAIN,
                new DecoratedStore(world.store) {
                    @Override
                    public java.io.InputStream open(ObjectKey key, long size) {
                        world.pg.execute("UPDATE files SET deleted_at = now() WHERE name = '/slug'");
                        return super.open(key, size);
                    }
                },
                S3OTHER,
                world.otherStore));

        StageReport copied = world.copy(route, deleting);

        assertThat(copied.reason()).isEqualTo(Reasons.DONE);
        assertThat(copied.figure(Figure.COPIED_BLOBS)).hasValue(0);
        assertThat(world.backend(id)).isEqualTo("s3main");
        assertThat(world.largeObjects()).isZero();
        assertThat(world.pg.count("SELECT count(*) FROM files"))
                .as("it left nothing")
                .isEqualTo(1);
    }

    /** An old server's overwrite deletes the object before its commit, and then breaks off. */
    @Test
    void anObjectThatWasCopiedBeforeItsSourceWasLostIsNotLost() {
        byte[] content = bytes(1000, 1);
        UUID id = world.addObject("/slug", content);
        ObjectKey key = ObjectKey.of(id, Blobs.sha512(content));
        s3.overwrite(world.otherBucket, key.toString(), content);
        s3.remove(world.bucket, world.column(id, "external_id"));

        assertThat(world.copy(ON).reason()).isEqualTo(Reasons.DONE);

        assertThat(world.object(id)).isEqualTo(content);
    }

    @ParameterizedTest
    @MethodSource("fromABucket")
    void whatIsLostAtTheTargetIsRestoredFromWhatWasLeft(Route route) {
        byte[] content = bytes(1000, 1);
        UUID id = world.addObject("/slug", content);
        String key = world.column(id, "external_id");
        assertThat(world.copy(route).reason()).isEqualTo(Reasons.DONE);
        if (route.equals(BACK)) {
            world.pg.execute("SELECT lo_put(file_oid, 3, 'rotten') FROM files WHERE file_oid IS NOT NULL");
        } else {
            s3.remove(world.otherBucket, world.column(id, "external_id"));
        }

        StageReport verified = world.verify(route);

        assertThat(verified.reason()).as(verified.message()).isEqualTo(Reasons.BLOBS_REMAIN);
        assertThat(world.backend(id)).isEqualTo("s3main");
        assertThat(world.column(id, "external_id")).isEqualTo(key);
        assertThat(world.copy(route).reason()).isEqualTo(Reasons.DONE);
        assertThat(world.verify(route).reason()).isEqualTo(Reasons.DONE);
        assertThat(content(id)).isEqualTo(content);
    }

    @Test
    void twoNamesOfOneBucketAreRefusedByThePlanAndByWhatDeletes() {
        world.addObject("/slug", bytes(100, 1));
        StageReport planned = new PlanRun(
                        world.context(Stage.PLAN),
                        new PlanRun.Order(ON, S3OTHER, "bucket", true, true, VacuumMode.NONE),
                        world.stores())
                .run();
        assertThat(planned.reason()).isEqualTo(Reasons.SAME_BUCKET);

        // By addresses that nobody can tell from one another.
        Stores same = new Stores(Map.of(S3MAIN, world.store, S3OTHER, world.store));
        assertThat(world.copy(ON, same).reason()).isEqualTo(Reasons.DONE);
        assertThatThrownBy(() -> world.clean(ON, same, Duration.ZERO))
                .isInstanceOfSatisfying(
                        StorageFailure.Denied.class,
                        denied -> assertThat(denied.reason()).isEqualTo(Reasons.SAME_BUCKET));
        assertThat(s3.sizes(world.bucket))
                .as("nothing was deleted, and nothing left")
                .hasSize(2);
    }

    @Test
    void aCommitWhoseAnswerIsLostIsLookedUpInTheRow() {
        byte[] content = bytes(2 * MIB, 1);
        UUID id = world.addObject("/slug", content);
        world.pg.execute("""
                CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$""");
        world.pg.execute("CREATE CONSTRAINT TRIGGER cut AFTER UPDATE ON files DEFERRABLE INITIALLY DEFERRED"
                + " FOR EACH ROW EXECUTE FUNCTION cut()");
        StageReport cut;
        try {
            cut = world.copy(BACK, new Stores(Map.of(S3MAIN, new DecoratedStore(world.store) {
                private int opened;

                @Override
                public java.io.InputStream open(ObjectKey key, long size) {
                    if (++opened == 2) {
                        world.pg.execute("DROP TRIGGER cut ON files");
                    }
                    return super.open(key, size);
                }
            })));
        } finally {
            world.pg.execute("DROP FUNCTION cut() CASCADE");
        }

        assertThat(cut.reason()).as(cut.message()).isEqualTo(Reasons.DONE);
        assertThat(world.largeObject(id)).isEqualTo(content);
        assertThat(world.largeObjects()).as("the first try left nothing").isEqualTo(1);
    }

    @Test
    void aTransferIsCheckedAgainstTheRowWhateverTheStoreSends() {
        byte[] content = bytes(2 * MIB, 1);
        UUID id = world.addObject("/slug", content);
        byte[] wrong = content.clone();
        wrong[MIB] ^= 1;
        Stores flippingOnce = new Stores(Map.of(S3MAIN, new DecoratedStore(world.store) {
            private boolean isFlipped;

            @Override
            public java.io.InputStream open(ObjectKey key, long size) {
                if (isFlipped) {
                    return super.open(key, size);
                }
                isFlipped = true;
                return new java.io.ByteArrayInputStream(wrong);
            }
        }));

        StageReport copied = world.copy(BACK, flippingOnce);

        assertThat(copied.reason()).as(copied.findings().toString()).isEqualTo(Reasons.DONE);
        assertThat(world.largeObject(id)).isEqualTo(content);
        assertThat(world.largeObjects()).isEqualTo(1);
    }

    @Test
    void aTargetThatReadsBackWrongGetsNoRow() {
        UUID id = world.addObject("/slug", bytes(3000, 1));
        Stores lying = new Stores(Map.of(S3MAIN, world.store, S3OTHER, new DecoratedStore(world.otherStore) {
            @Override
            public void put(ObjectKey key, ReplayableBody body) {
                super.put(key, body);
                s3.overwrite(world.otherBucket, key.toString(), bytes(3000, 9));
            }
        }));

        assertThat(world.copy(ON, lying).reason()).isEqualTo(Reasons.BLOBS_FAILED);
        assertThat(world.backend(id)).isEqualTo("s3main");
    }
}
