package io.flynn.blobstore.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Verification;
import io.flynn.blobstore.store.BytesBody;
import io.flynn.blobstore.store.Proof;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.store.s3.TransferSizes;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.TcpLink;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.Flow;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What each kind of store proves by taking an object, and that it is found out by what the store does, not by what it is. */
class StoreProofIT {

    private static final TransferSizes SMALL_PARTS = new TransferSizes(6 << 20, 5 << 20, 5 << 20, 1 << 20, 256 << 10);

    /** Around the edges of a chunk that a checksum follows, and of what is announced before it is sent. */
    private static final int[] SIZES = {0, 1, 7, 16 * 1024, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20};

    @TempDir
    Path folder;

    @Test
    void versitygwRefusesAWrongDigest() throws Exception {
        try (StoreProgram program = StoreProgram.versitygw(folder);
                S3BlobStore store = store(program)) {
            assertThat(store.proof(1)).isEqualTo(Proof.DIGEST);
            everyBodyArrives(store);
            byte[] bytes = bytes(100_000);
            Optional<Sha512> wrong = Optional.of(Blobs.sha512(bytes(5)));
            for (ReplayableBody body : List.of(new Body(bytes, wrong), held(bytes, wrong))) {
                ObjectKey key = key();
                assertThatThrownBy(() -> store.put(key, body))
                        .isInstanceOf(StorageFailure.Corrupt.class)
                        .extracting(failure -> ((StorageFailure) failure).reason())
                        .isEqualTo(Reasons.TARGET_DIFFERS);
                assertThat(store.sizeOf(key)).isEmpty();
            }
            partsMakeTheWhole(store);
            ObjectKey key = key();
            assertThatThrownBy(() -> store.put(key, changing())).isInstanceOf(StorageFailure.OutcomeUnknown.class);
            assertThat(store.sizeOf(key)).isEmpty();
            whatFlipsOnTheWayIsRefused(program.backend(Blobs.S3MAIN));
        }
    }

    @Test
    void minioTakesAWrongDigestButNoWrongCrc() throws Exception {
        try (StoreProgram program = StoreProgram.minio(folder);
                S3BlobStore store = store(program)) {
            assertThat(store.proof(1)).isEqualTo(Proof.CONTENT);
            everyBodyArrives(store);
            partsMakeTheWhole(store);
            whatIsSentIsWhatWasRead(store);
            whatFlipsOnTheWayIsRefused(program.backend(Blobs.S3MAIN));
        }
    }

    @Test
    void s3ProxyKnowsNoDigestButRefusesAWrongCrc() {
        try (LocalS3 s3 = LocalS3.start()) {
            s3.createBucket("blobs");
            try (S3BlobStore store = store(s3.backend(Blobs.S3MAIN, "blobs"))) {
                assertThat(store.proof(1)).isEqualTo(Proof.CONTENT);
                assertThat(s3.sizes("blobs")).isEmpty();
                everyBodyArrives(store);
                partsMakeTheWhole(store);
                whatIsSentIsWhatWasRead(store);
                whatFlipsOnTheWayIsRefused(s3.backend(Blobs.S3MAIN, "blobs"));
                assertThat(s3.unfinishedUploads("blobs")).isEmpty();
            }
        }
    }

    @Test
    void whoReadsBackAsksNothing() {
        try (LocalS3 s3 = LocalS3.start()) {
            s3.createBucket("blobs");
            try (S3BlobStore store = new S3BlobStore(s3.backend(Blobs.S3MAIN, "blobs"), 4)) {
                assertThat(store.proof(1)).isEqualTo(Proof.NONE);
                assertThat(s3.count(LocalS3.Operation.PUT)).isZero();
                everyBodyArrives(store);
            }
        }
    }

    private static S3BlobStore store(StoreProgram program) {
        return store(program.backend(Blobs.S3MAIN));
    }

    private static S3BlobStore store(BackendSettings backend) {
        return new S3BlobStore(backend, 8, Verification.STORE_CHECKSUM, new Traffic(), SMALL_PARTS);
    }

    private static void everyBodyArrives(S3BlobStore store) {
        for (int size : SIZES) {
            byte[] bytes = bytes(size);
            Sha512 sha512 = Blobs.sha512(bytes);
            for (Optional<Sha512> known : List.of(Optional.of(sha512), Optional.<Sha512>empty())) {
                for (ReplayableBody body : List.of(new Body(bytes, known), held(bytes, known))) {
                    ObjectKey key = key();
                    store.put(key, body);
                    assertThat(store.readBack(key, size)).as("%d bytes", size).contains(new BlobContent(size, sha512));
                }
            }
        }
    }

    private static void partsMakeTheWhole(S3BlobStore store) {
        assertThat(store.proof(SMALL_PARTS.wholeMax() + 1)).isEqualTo(Proof.CONTENT);
        for (int size : new int[] {(6 << 20) + 1, 15 << 20, (20 << 20) - 1}) {
            byte[] bytes = bytes(size);
            ObjectKey key = key();
            store.put(key, new Body(bytes, Optional.empty()));
            assertThat(store.readBack(key, size))
                    .as("%d bytes", size)
                    .contains(new BlobContent(size, Blobs.sha512(bytes)));
        }
    }

    private static void whatIsSentIsWhatWasRead(S3BlobStore store) {
        Changing changing = changing();
        ObjectKey key = key();
        store.put(key, changing);
        assertThat(store.readBack(key, changing.size()))
                .contains(new BlobContent(
                        changing.size(), Blobs.sha512(changing.whole().bytes())));
    }

    private static Changing changing() {
        byte[] read = bytes(15 << 20);
        byte[] sent = read.clone();
        sent[7 << 20] ^= 1;
        return new Changing(new Body(read, Optional.empty()), new Body(sent, Optional.empty()));
    }

    private static void whatFlipsOnTheWayIsRefused(BackendSettings direct) {
        URI endpoint = direct.endpoint().orElseThrow();
        try (TcpLink link = TcpLink.to(endpoint.getHost(), endpoint.getPort());
                S3BlobStore store = store(new BackendSettings(
                        direct.name(),
                        direct.kind(),
                        direct.region(),
                        direct.bucket(),
                        Optional.of(URI.create("http://127.0.0.1:" + link.port())),
                        true,
                        direct.accessKeyId(),
                        direct.secretAccessKey()))) {
            for (int size : new int[] {100_000, 3 << 20, 15 << 20}) {
                assertThat(store.proof(size)).isNotEqualTo(Proof.NONE);
                byte[] bytes = bytes(size);
                Optional<Sha512> known = Optional.of(Blobs.sha512(bytes));
                ObjectKey key = key();
                link.flipNextBit();
                assertThatThrownBy(() -> store.put(key, new Body(bytes, known)))
                        .as("%d bytes", size)
                        .isInstanceOf(StorageFailure.class);
                assertThat(link.bitsToFlip()).isZero();
                assertThat(store.sizeOf(key)).isEmpty();
                store.put(key, new Body(bytes, known));
                assertThat(store.readBack(key, size)).contains(new BlobContent(size, known.orElseThrow()));
            }
        }
    }

    /** Its parts aren't those of the whole. */
    private record Changing(Body whole, Body parts) implements ReplayableBody {

        @Override
        public long size() {
            return whole.size();
        }

        @Override
        public String type() {
            return whole.type();
        }

        @Override
        public Flow.Publisher<ByteBuffer> open(long first, long length) {
            return (length == size() ? whole : parts).open(first, length);
        }
    }

    private static byte[] bytes(int size) {
        byte[] bytes = new byte[size];
        new Random(size).nextBytes(bytes);
        return bytes;
    }

    private static ReplayableBody held(byte[] bytes, Optional<Sha512> sha512) {
        return new BytesBody(ByteBuffer.wrap(bytes), "application/gzip", sha512);
    }

    private static ObjectKey key() {
        return new ObjectKey(UUID.randomUUID());
    }

    /** Comes in pieces that fit nothing. */
    private record Body(byte[] bytes, Optional<Sha512> sha512) implements ReplayableBody {

        private static final int PIECE_BYTES = 77_777;

        @Override
        public long size() {
            return bytes.length;
        }

        @Override
        public String type() {
            return "application/gzip";
        }

        @Override
        public Flow.Publisher<ByteBuffer> open(long first, long length) {
            return new Body(Arrays.copyOfRange(bytes, (int) first, (int) (first + length)), sha512).pieces();
        }

        private Flow.Publisher<ByteBuffer> pieces() {
            return subscriber -> Thread.ofVirtual()
                    .start(() -> subscriber.onSubscribe(new Flow.Subscription() {
                        private int sent;
                        private long wanted;
                        private boolean isDelivering;
                        private boolean isOver;

                        @Override
                        public void request(long items) {
                            // One that arrives while another is answered asks on.
                            wanted = items > Long.MAX_VALUE - wanted ? Long.MAX_VALUE : wanted + items;
                            if (isDelivering) {
                                return;
                            }
                            isDelivering = true;
                            while (!isOver && wanted > 0 && sent < bytes.length) {
                                wanted--;
                                int from = sent;
                                sent = Math.min(bytes.length, sent + PIECE_BYTES);
                                subscriber.onNext(ByteBuffer.wrap(Arrays.copyOfRange(bytes, from, sent)));
                            }
                            isDelivering = false;
                            if (!isOver && sent == bytes.length) {
                                isOver = true;
                                subscriber.onComplete();
                            }
                        }

                        @Override
                        public void cancel() {
                            isOver = true;
                        }
                    }));
        }
    }
}
