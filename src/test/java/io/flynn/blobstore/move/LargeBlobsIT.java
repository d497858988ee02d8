package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.S3MAIN;
import static io.flynn.blobstore.move.MoveWorld.S3OTHER;
import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.conformance.StoreProgram;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.VacuumMode;
import io.flynn.blobstore.decide.Verification;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.Proof;
import io.flynn.blobstore.store.Traffic;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.store.s3.S3BucketListing;
import io.flynn.blobstore.store.s3.S3Clients;
import io.flynn.blobstore.store.s3.TransferSizes;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.LocalS3.Operation;
import io.flynn.blobstore.testkit.StoreFault;
import io.flynn.blobstore.testkit.TcpLink;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.services.s3.S3AsyncClient;

/** Blobs that one request can't carry, for which a store that takes 6 MiB at once is enough. */
class LargeBlobsIT extends MoveFixture {

    private static final int MIB = 1024 * 1024;

    /** Three parts, the last of which ends in the middle of a chunk. */
    private static final int SIZE = 12 * MIB + 17;

    private static final TransferSizes SIZES = new TransferSizes(6 * MIB, 5 * MIB, 0, 8 * MIB, 2 * MIB);

    /** How it is stored, and why that is believed. */
    enum Way {
        READ_BACK(Verification.READ_BACK, SIZES, 12),
        /** Parts as they come, beside the whole. */
        PARTED(Verification.STORE_CHECKSUM, SIZES, 12),
        /** Parts that lie in memory. */
        GATHERED(Verification.STORE_CHECKSUM, new TransferSizes(6 * MIB, 5 * MIB, 5 * MIB, 8 * MIB, 2 * MIB), 27);

        private final Verification verification;

        @SuppressWarnings("ImmutableEnumChecker") // It is a record of numbers.
        private final TransferSizes sizes;

        /** The fewest exchanges that there are with the store when a large blob is moved. */
        private final int exchanges;

        Way(Verification verification, TransferSizes sizes, int exchanges) {
            this.verification = verification;
            this.sizes = sizes;
            this.exchanges = exchanges;
        }
    }

    private static final Route BACK = Route.ofAll(S3MAIN, BackendName.POSTGRES);
    private static final Route ON = Route.ofAll(S3MAIN, S3OTHER);

    private final List<S3BlobStore> opened = new ArrayList<>();

    @AfterEach
    void restoreStore() {
        s3.refuseChecksumsOfParts(false);
        s3.failNext(Operation.UPLOAD_PART, 0);
        opened.forEach(S3BlobStore::close);
    }

    private Stores stores(Way way) {
        return new Stores(Map.of(
                S3MAIN, store(s3.backend(S3MAIN, world.bucket), way),
                S3OTHER, store(s3.backend(S3OTHER, world.otherBucket), way)));
    }

    private S3BlobStore store(BackendSettings backend, Way way) {
        S3BlobStore store = new S3BlobStore(backend, 16, way.verification, new Traffic(), way.sizes);
        opened.add(store);
        return store;
    }

    private StageReport copy(Way way) {
        return world.copy(MoveWorld.TO_S3, stores(way));
    }

    private void assertMoved(StageReport copied, UUID id, byte[] content) {
        assertThat(copied.reason()).as(copied.message() + copied.findings()).isEqualTo(Reasons.DONE);
        assertThat(world.object(id)).isEqualTo(content);
        assertThat(world.column(id, "external_id"))
                .as("the key that every try has")
                .isEqualTo(ObjectKey.of(id, Blobs.sha512(content)).toString());
        assertNothingIsLeft(1);
    }

    private void assertNothingIsLeft(int objects) {
        assertThat(s3.unfinishedUploads(world.bucket)).isEmpty();
        assertThat(s3.sizes(world.bucket)).hasSize(objects);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    void aLargeBlobGoesByPartsAndIsProven(Way way) {
        byte[] content = bytes(SIZE, 1);
        UUID id = world.add("/large", content);
        long parts = s3.count(Operation.UPLOAD_PART);

        StageReport copied = copy(way);

        assertMoved(copied, id, content);
        assertThat(s3.count(Operation.UPLOAD_PART) - parts).isGreaterThanOrEqualTo(3);
        assertThat(s3.type(world.bucket, world.column(id, "external_id"))).isEqualTo("application/gzip");
        assertThat(world.verify().reason()).isEqualTo(Reasons.DONE);
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    void aRowWithoutADigestGetsOne(Way way) {
        byte[] content = bytes(SIZE, 2);
        UUID id = world.add("/large", content, null);

        assertMoved(copy(way), id, content);

        assertThat(world.column(id, "encode(sha512, 'hex')"))
                .isEqualTo(Blobs.sha512(content).toString());
    }

    @ParameterizedTest
    @ValueSource(ints = {5 * MIB + 1, SIZE})
    void aStoreThatDoesNotKnowChecksumsOfPartsIsReadBack(int size) {
        s3.refuseChecksumsOfParts(true);
        byte[] content = bytes(size, 3);
        UUID id = world.add("/large", content);
        Watched store = new Watched(store(world.settings(), Way.GATHERED));

        assertMoved(world.copyRun(store).run(), id, content);

        assertThat(store.readBacks).hasValue(1);
    }

    /** A store counts more than is asked of it: S3Proxy reads the parts of which it makes an object. */
    private static final class Watched extends DecoratedStore {

        private final AtomicInteger readBacks = new AtomicInteger();

        Watched(BlobStore store) {
            super(store);
        }

        @Override
        public Optional<BlobContent> readBack(ObjectKey key, long expected) {
            readBacks.incrementAndGet();
            return super.readBack(key, expected);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {MIB + 1, 5 * MIB, 5 * MIB + 1, SIZE})
    void whatIsSentWithItsChecksumIsNotReadBack(int size) {
        byte[] content = bytes(size, 5);
        UUID id = world.add("/streamed", content);
        Watched store = new Watched(store(world.settings(), Way.GATHERED));

        assertMoved(world.copyRun(store).run(), id, content);

        assertThat(store.readBacks).hasValue(0);
    }

    @ParameterizedTest
    @ValueSource(ints = {3 * MIB, SIZE})
    void aBitThatFlipsOnTheWayIsRefusedAndSentAgain(int size) {
        byte[] content = bytes(size, 6);
        UUID id = world.add("/streamed", content);
        try (TcpLink link = TcpLink.to("127.0.0.1", s3.endpoint().getPort())) {
            URI by = URI.create("http://127.0.0.1:" + link.port());
            Watched store = new Watched(store(s3.backend(S3MAIN, world.bucket, by), Way.GATHERED));
            assertThat(store.proof(size)).isEqualTo(Proof.CONTENT);
            link.flipNextBit();

            StageReport copied = world.copyRun(store).run();

            assertMoved(copied, id, content);
            assertThat(link.bitsToFlip()).isZero();
            assertThat(copied.figure(Figure.UPLOADS)).hasValue(2);
            assertThat(store.readBacks).hasValue(0);
        }
    }

    @ParameterizedTest
    @EnumSource(Way.class)
    void whatIsNotWhatItsRowSaysStaysAndIsNamed(Way way) {
        UUID longer = world.add("/longer", bytes(SIZE + 1, 1));
        UUID shorter = world.add("/shorter", bytes(SIZE - 1, 2));
        world.pg.execute("UPDATE files SET size = " + SIZE);
        UUID rotten = world.add("/rotten", bytes(SIZE, 3));
        world.pg.execute("SELECT lo_put(file_oid, 7000000, 'rotten') FROM files WHERE name = '/rotten'");
        UUID missing = world.add("/missing", bytes(SIZE, 4));
        world.pg.execute("SELECT lo_unlink(file_oid) FROM files WHERE name = '/missing'");

        StageReport copied = copy(way);

        assertThat(copied.reason()).isEqualTo(Reasons.BLOBS_FAILED);
        assertThat(copied.findings())
                .extracting(Finding::subject, Finding::reason)
                .containsExactlyInAnyOrder(
                        tuple(longer.toString(), Reasons.SIZE_DIFFERS),
                        tuple(shorter.toString(), Reasons.SIZE_DIFFERS),
                        tuple(rotten.toString(), Reasons.DIGEST_DIFFERS),
                        tuple(missing.toString(), Reasons.SOURCE_MISSING));
        assertThat(s3.unfinishedUploads(world.bucket)).isEmpty();
    }

    private static List<StoreFault> faults() {
        return List.of(
                StoreFault.status(503, "SlowDown"),
                StoreFault.status(403, "AccessDenied"),
                StoreFault.flippedBit(),
                StoreFault.truncatedAnswer(100_000),
                new StoreFault() {
                    @Override
                    public void after() {
                        throw new IllegalStateException("the answer is lost");
                    }
                });
    }

    @Test
    void someOfWhatGoesWrongOnceIsDoneAgain() {
        Random random = new Random(20_261_123);
        for (StoreFault fault : faults()) {
            for (Way way : List.of(Way.PARTED, Way.GATHERED)) {
                goesWrong(way, 1 + random.nextInt(way.exchanges), fault);
            }
        }
    }

    @Tag("long")
    @ParameterizedTest
    @EnumSource(
            value = Way.class,
            names = {"PARTED", "GATHERED"})
    void whateverGoesWrongOnceIsDoneAgain(Way way) {
        for (StoreFault fault : faults()) {
            int n = 1;
            while (goesWrong(way, n, fault)) {
                n++;
            }
            assertThat(n).as("exchanges with a store").isGreaterThan(way.exchanges);
        }
    }

    /** @return whether there was an n-th exchange */
    private boolean goesWrong(Way way, int n, StoreFault fault) {
        byte[] content = bytes(SIZE, n);
        UUID id = world.add("/large " + UUID.randomUUID(), content);
        s3.fail(n, fault);
        StageReport copied = copyOrFail(way);
        boolean hasNth = n <= s3.exchanges();
        s3.fail(0, StoreFault.NONE);

        String key = ObjectKey.of(id, Blobs.sha512(content)).toString();
        assertThat(s3.unfinishedUploads(world.bucket))
                .as("%s %d %s", way, n, fault)
                .doesNotContain(key);
        for (int again = 0; again < 3 && !copied.reason().equals(Reasons.DONE); again++) {
            copied = copyOrFail(way);
        }
        assertThat(copied.reason()).as("%s %d %s %s", way, n, fault, copied).isEqualTo(Reasons.DONE);
        assertThat(world.object(id)).as("%s %d %s", way, n, fault).isEqualTo(content);
        assertThat(s3.unfinishedUploads(world.bucket))
                .as("%s %d %s", way, n, fault)
                .doesNotContain(key);
        // The store keeps its objects in memory, and these are hundreds.
        s3.remove(world.bucket, key);
        world.pg.execute("SELECT lo_unlink(file_oid) FROM files");
        world.pg.execute("DELETE FROM files");
        return hasNth;
    }

    private StageReport copyOrFail(Way way) {
        StageContext context = world.context(Stage.COPY);
        return new StageRunner(Stage.COPY, context.progress(), new SilentOutput())
                .run(() -> new CopyRun(context, MoveWorld.TO_S3, stores(way), 4, 2));
    }

    @ParameterizedTest
    @EnumSource(
            value = Way.class,
            names = {"READ_BACK", "GATHERED"})
    void theLostAnswerToAnUploadsEndIsLookedUp(Way way) {
        byte[] content = bytes(SIZE, 1);
        UUID id = world.add("/large", content);
        Stores stores = stores(way);
        assertThat(stores.at(S3MAIN).proof(SIZE)).isNotNull();
        s3.loseNextCompletion();

        StageReport copied = world.copy(MoveWorld.TO_S3, stores);

        assertMoved(copied, id, content);
        assertThat(copied.figure(Figure.UPLOADS)).hasValue(1);
    }

    /** An object that lies there already, as long and wrong, is not taken for the one whose completion failed. */
    @Test
    void anUploadWhoseEndFailsIsNotTakenForWhatWasThereBefore() {
        byte[] content = bytes(SIZE, 1);
        UUID id = world.add("/large", content);
        String key = ObjectKey.of(id, Blobs.sha512(content)).toString();
        s3.overwrite(world.bucket, key, bytes(SIZE, 2));
        s3.failNext(Operation.COMPLETE_MULTIPART, 4);

        StageReport copied = copy(Way.READ_BACK);

        assertMoved(copied, id, content);
        assertThat(copied.figure(Figure.UPLOADS)).hasValue(2);
    }

    @Test
    void anUploadThatFailsForGoodLeavesNothing() {
        UUID id = world.add("/large", bytes(SIZE, 1));
        S3BlobStore store = store(world.settings(), Way.READ_BACK);
        s3.failNext(Operation.UPLOAD_PART, Integer.MAX_VALUE);

        StageReport copied = world.copyRun(store).run();

        assertThat(copied.reason()).isEqualTo(Reasons.BLOBS_FAILED);
        assertThat(world.backend(id)).isEqualTo("postgres");
        assertNothingIsLeft(0);
    }

    @Test
    void whatAKilledWorkerLeftIsAbortedByTheNext() {
        byte[] content = bytes(SIZE, 1);
        UUID id = world.add("/large", content);
        String key = ObjectKey.of(id, Blobs.sha512(content)).toString();
        try (S3AsyncClient killed = S3Clients.open(world.settings(), 2)) {
            for (int times = 0; times < 2; times++) {
                String upload = killed.createMultipartUpload(
                                r -> r.bucket(world.bucket).key(key))
                        .join()
                        .uploadId();
                killed.uploadPart(
                                r -> r.bucket(world.bucket)
                                        .key(key)
                                        .uploadId(upload)
                                        .partNumber(1),
                                AsyncRequestBody.fromBytes(new byte[5 * MIB]))
                        .join();
            }
        }
        assertThat(s3.unfinishedUploads(world.bucket)).hasSize(2);

        assertMoved(copy(Way.READ_BACK), id, content);
    }

    /** Of a size that one PUT can't carry, and as S3 wants its parts. */
    @Tag("long")
    @Test
    void aSparseBlobOf6GiBGoesToABucketAndBack(@TempDir Path folder) throws Exception {
        long size = 6L << 30;
        Sha512 sha512 = zerosThenX(size);
        UUID id = world.add("/sparse", new byte[] {0}, sha512.bytes());
        world.pg.execute("SELECT lo_put(file_oid, %d, 'x') FROM files".formatted(size - 1));
        world.pg.execute("UPDATE files SET size = " + size);
        try (StoreProgram onDisk = StoreProgram.versitygw(folder);
                S3BlobStore store =
                        new S3BlobStore(onDisk.backend(S3MAIN), 16, Verification.STORE_CHECKSUM, new Traffic());
                S3BucketListing listing = new S3BucketListing(onDisk.backend(S3MAIN))) {
            StageReport copied = world.copyRun(store).run();

            assertThat(copied.reason()).as(copied.message() + copied.findings()).isEqualTo(Reasons.DONE);
            assertThat(copied.figure(Figure.UPLOADS)).hasValue(1);
            assertThat(store.readBack(ObjectKey.of(id, sha512), size)).contains(new BlobContent(size, sha512));
            assertThat(listing.uploads()).isExhausted();
            assertThat(world.verify(store).reason()).isEqualTo(Reasons.DONE);

            StageReport back = world.copy(BACK, new Stores(Map.of(S3MAIN, store)));
            assertThat(back.reason()).as(back.message()).isEqualTo(Reasons.DONE);
            assertThat(world.backend(id)).isEqualTo("postgres");
        }
    }

    private static Sha512 zerosThenX(long size) {
        Digest digest = new Digest();
        byte[] zeros = new byte[MIB];
        for (long left = size - 1; left > 0; left -= zeros.length) {
            digest.update(ByteBuffer.wrap(zeros, 0, (int) Math.min(left, zeros.length)));
        }
        digest.update(ByteBuffer.wrap(new byte[] {'x'}));
        return digest.finish().sha512();
    }

    static List<Route> fromABucket() {
        return List.of(BACK, ON);
    }

    @ParameterizedTest
    @MethodSource("fromABucket")
    void aLargeBlobOfABucketIsReadByRanges(Route route) {
        byte[] content = bytes(SIZE, 1);
        UUID id = world.addObject("/large", content);
        long reads = s3.count(Operation.GET);

        StageReport copied = world.copy(route, stores(Way.READ_BACK));

        assertThat(copied.reason()).as(copied.message() + copied.findings()).isEqualTo(Reasons.DONE);
        assertThat(world.backend(id)).isEqualTo(route.to().value());
        assertThat(route.equals(BACK) ? world.largeObject(id) : world.object(id))
                .isEqualTo(content);
        assertThat(s3.count(Operation.GET) - reads).isGreaterThanOrEqualTo(SIZE / SIZES.range());
        assertThat(world.verify(route).reason()).isEqualTo(Reasons.DONE);
    }

    @ParameterizedTest
    @MethodSource("fromABucket")
    void aLargeBlobOfABucketThatIsNotWhatItsRowSaysStays(Route route) {
        UUID longer = world.addObject("/longer", bytes(SIZE, 1));
        UUID shorter = world.addObject("/shorter", bytes(SIZE, 2));
        UUID rotten = world.addObject("/rotten", bytes(SIZE, 3));
        s3.overwrite(world.bucket, world.column(longer, "external_id"), bytes(SIZE + 1, 1));
        s3.overwrite(world.bucket, world.column(shorter, "external_id"), bytes(SIZE - 6 * MIB, 2));
        s3.overwrite(world.bucket, world.column(rotten, "external_id"), bytes(SIZE, 4));

        StageReport copied = world.copy(route, stores(Way.READ_BACK));

        assertThat(copied.findings())
                .extracting(Finding::subject, Finding::reason)
                .containsExactlyInAnyOrder(
                        tuple(longer.toString(), Reasons.SIZE_DIFFERS),
                        tuple(shorter.toString(), Reasons.SIZE_DIFFERS),
                        tuple(rotten.toString(), Reasons.DIGEST_DIFFERS));
        assertThat(s3.unfinishedUploads(world.otherBucket)).isEmpty();
        assertThat(world.largeObjects()).isZero();
    }

    @Test
    void thePlanRefusesWhatNoStoreCanHave() {
        world.add("/large", bytes(1, 1));
        world.pg.execute("UPDATE files SET size = 5497558138880");
        assertThat(world.plan(S3MAIN).reason()).isEqualTo(Reasons.DONE);
        world.pg.execute("UPDATE files SET size = 5497558138881");
        assertThat(world.plan(S3MAIN).reason()).isEqualTo(Reasons.BLOB_TOO_LARGE);
        world.pg.execute("UPDATE files SET backend = 's3main', size = 4398046509057");
        StageReport back = new PlanRun(
                        world.context(Stage.PLAN),
                        new PlanRun.Order(BACK, BackendName.POSTGRES, "bucket", false, true, VacuumMode.NONE),
                        world.stores())
                .run();
        assertThat(back.reason()).isEqualTo(Reasons.BLOB_TOO_LARGE);
        assertThat(copy(Way.READ_BACK).reason()).isEqualTo(Reasons.DONE);
        assertThat(world.copy(BACK).findings()).extracting(Finding::reason).containsExactly(Reasons.BLOB_TOO_LARGE);
    }
}
