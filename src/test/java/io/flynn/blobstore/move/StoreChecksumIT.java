package io.flynn.blobstore.move;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.Verification;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.Proof;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.LocalS3;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A copy that believes what its store proves, and nothing more. */
class StoreChecksumIT {

    private static final int MIB = 1 << 20;

    private static LocalS3 s3;
    private MoveWorld world;

    @BeforeAll
    static void start() {
        s3 = LocalS3.start();
    }

    @AfterAll
    static void stop() {
        s3.close();
    }

    @BeforeEach
    void create() {
        world = new MoveWorld(s3);
    }

    @AfterEach
    void close() {
        world.close();
    }

    /** Proves so much, and is never asked to read back but by who may not believe it. */
    private final class Proving implements BlobStore {
        private final Proof proof;
        private final AtomicInteger readBacks = new AtomicInteger();

        Proving(Proof proof) {
            this.proof = proof;
        }

        @Override
        public Proof proof(long bytes) {
            return proof;
        }

        @Override
        public void requireBucket() {
            world.store.requireBucket();
        }

        @Override
        public void put(ObjectKey key, ReplayableBody body) {
            if (proof == Proof.DIGEST && body.sha512().isPresent()) {
                BlobContent content = read(body);
                if (!content.sha512().equals(body.sha512().get())) {
                    throw new StorageFailure.Corrupt(Reasons.TARGET_DIFFERS, "refused as BadDigest", null);
                }
            }
            world.store.put(key, body);
        }

        @Override
        public OptionalLong sizeOf(ObjectKey key) {
            return world.store.sizeOf(key);
        }

        @Override
        public InputStream open(ObjectKey key, long size) {
            return world.store.open(key, size);
        }

        @Override
        public InputStream open(ObjectKey key, long size, long first, long length) {
            return world.store.open(key, size, first, length);
        }

        @Override
        public Optional<BlobContent> readBack(ObjectKey key, long expected) {
            readBacks.incrementAndGet();
            return world.store.readBack(key, expected);
        }
    }

    private static BlobContent read(ReplayableBody body) {
        CompletableFuture<BlobContent> content = new CompletableFuture<>();
        Digest digest = new Digest();
        body.open().subscribe(new Flow.Subscriber<>() {
            @Override
            public void onSubscribe(Flow.Subscription subscription) {
                subscription.request(Long.MAX_VALUE);
            }

            @Override
            public void onNext(ByteBuffer bytes) {
                digest.update(bytes.duplicate());
            }

            @Override
            public void onError(Throwable failure) {
                content.completeExceptionally(failure);
            }

            @Override
            public void onComplete() {
                content.complete(digest.finish());
            }
        });
        return content.join();
    }

    private StageReport copy(Proving store) {
        return world.copy(plain -> store);
    }

    @Test
    void whatTheStoreProvedIsNotReadBack() {
        for (Proof proof : new Proof[] {Proof.DIGEST, Proof.CONTENT}) {
            byte[] small = MoveWorld.bytes(5_000, proof.ordinal());
            byte[] large = MoveWorld.bytes(3 * MIB + 1, proof.ordinal());
            UUID one = world.add("/small" + proof, small);
            UUID other = world.add("/large" + proof, large);
            UUID empty = world.add("/empty" + proof, new byte[0]);
            Proving store = new Proving(proof);

            StageReport copied = copy(store);

            assertThat(copied.reason()).as(copied.findings().toString()).isEqualTo(Reasons.DONE);
            assertThat(store.readBacks).hasValue(0);
            assertThat(world.object(one)).isEqualTo(small);
            assertThat(world.object(other)).isEqualTo(large);
            assertThat(world.object(empty)).isEmpty();
        }
        assertThat(world.verify().reason()).isEqualTo(Reasons.DONE);
    }

    @Test
    void rowsWithoutADigestGetOneAndAreProvenToo() {
        for (Proof proof : new Proof[] {Proof.DIGEST, Proof.CONTENT}) {
            byte[] small = MoveWorld.bytes(5_000, 10 + proof.ordinal());
            byte[] large = MoveWorld.bytes(3 * MIB + 1, 10 + proof.ordinal());
            UUID one = world.add("/small" + proof, small, null);
            UUID other = world.add("/large" + proof, large, null);
            Proving store = new Proving(proof);

            StageReport copied = copy(store);

            assertThat(copied.reason()).as(copied.findings().toString()).isEqualTo(Reasons.DONE);
            assertThat(store.readBacks).hasValue(0);
            assertThat(world.column(one, "encode(sha512, 'hex')"))
                    .isEqualTo(Blobs.sha512(small).toString());
            assertThat(world.column(other, "encode(sha512, 'hex')"))
                    .isEqualTo(Blobs.sha512(large).toString());
            assertThat(world.object(other)).isEqualTo(large);
        }
    }

    @Test
    void aSourceThatIsNotWhatItsRowSaysIsNotMoved() {
        for (Proof proof : new Proof[] {Proof.DIGEST, Proof.CONTENT}) {
            byte[] wrong = Blobs.sha512(new byte[] {1}).bytes();
            UUID small = world.add("/small" + proof, MoveWorld.bytes(5_000, 1), wrong);
            UUID large = world.add("/large" + proof, MoveWorld.bytes(3 * MIB, 1), wrong);

            StageReport copied = copy(new Proving(proof));

            assertThat(copied.reason()).isEqualTo(Reasons.BLOBS_FAILED);
            assertThat(copied.findings())
                    .extracting(StageReport.Finding::reason)
                    .containsOnly(Reasons.DIGEST_DIFFERS);
            assertThat(world.backend(small)).isEqualTo("postgres");
            assertThat(world.backend(large)).isEqualTo("postgres");
        }
    }

    @Test
    void whatAStoreCantProveIsReadBack() {
        byte[] bytes = MoveWorld.bytes(3 * MIB + 1, 1);
        UUID id = world.add("/one", bytes);
        Proving store = new Proving(Proof.NONE);

        StageReport copied = copy(store);

        assertThat(copied.reason()).as(copied.findings().toString()).isEqualTo(Reasons.DONE);
        assertThat(store.readBacks).hasValue(1);
        assertThat(world.object(id)).isEqualTo(bytes);
    }

    @Test
    void whoReadsBackDoesSoWhateverTheStoreChecks() {
        world.add("/small", MoveWorld.bytes(5_000, 1));
        world.add("/large", MoveWorld.bytes(3 * MIB + 1, 1));
        try (S3BlobStore store = new S3BlobStore(world.settings(), 4, Verification.READ_BACK, new Traffic())) {
            long reads = s3.count(LocalS3.Operation.GET);

            StageReport copied = world.copy(plain -> store);

            assertThat(copied.reason()).as(copied.findings().toString()).isEqualTo(Reasons.DONE);
            assertThat(s3.count(LocalS3.Operation.GET)).isEqualTo(reads + 2);
        }
    }
}
