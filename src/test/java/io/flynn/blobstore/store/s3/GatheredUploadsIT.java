package io.flynn.blobstore.store.s3;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Verification;
import io.flynn.blobstore.store.Proof;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.LocalS3.Operation;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Uploads that gather what they send, where there is memory for one part only. */
class GatheredUploadsIT {

    private static final int MIB = 1 << 20;
    private static final String BUCKET = "blobs";
    private static final TransferSizes SIZES = new TransferSizes(6 * MIB, 5 * MIB, 5 * MIB, 8 * MIB, 2 * MIB);
    private static final int CHUNK_BYTES = 256 * 1024;

    private final LocalS3 s3 = LocalS3.start();
    private final PartMemory memory = new PartMemory(SIZES.gathered());
    private final Traffic traffic = new Traffic();
    private S3BlobStore store;

    @BeforeEach
    void open() {
        s3.createBucket(BUCKET);
        store = new S3BlobStore(
                s3.backend(Blobs.S3MAIN, BUCKET), 16, Verification.STORE_CHECKSUM, traffic, SIZES, memory);
        assertThat(store.proof(12 * MIB)).isEqualTo(Proof.CONTENT);
    }

    @AfterEach
    void close() {
        store.close();
        s3.close();
    }

    /** Comes in chunks, from a thread of its own; fails where it is told to. */
    private record Streamed(byte[] bytes, int end) implements ReplayableBody {

        Streamed(byte[] bytes) {
            this(bytes, bytes.length);
        }

        @Override
        public long size() {
            return bytes.length;
        }

        @Override
        public String type() {
            return "";
        }

        @Override
        public Flow.Publisher<ByteBuffer> open(long first, long length) {
            return subscriber -> {
                subscriber.onSubscribe(new Flow.Subscription() {
                    @Override
                    public void request(long items) {
                        // All of it is wanted.
                    }

                    @Override
                    public void cancel() {
                        // It ends by itself.
                    }
                });
                Thread.ofPlatform().daemon().start(() -> {
                    for (int at = 0; at < end; at += CHUNK_BYTES) {
                        subscriber.onNext(ByteBuffer.wrap(bytes, at, Math.min(CHUNK_BYTES, end - at)));
                    }
                    if (end < bytes.length) {
                        subscriber.onError(new StorageFailure.Busy(Reasons.STORE_BUSY, "the source ends here", null));
                    } else {
                        subscriber.onComplete();
                    }
                });
            };
        }
    }

    private static byte[] bytes(int size) {
        byte[] bytes = new byte[size];
        new Random(size).nextBytes(bytes);
        return bytes;
    }

    private static ObjectKey key() {
        return new ObjectKey(UUID.randomUUID());
    }

    private void assertNothingIsTaken() {
        assertThat(memory.reserveIfFree(SIZES.gathered())).isTrue();
        memory.free(SIZES.gathered());
        assertThat(s3.unfinishedUploads(BUCKET)).isEmpty();
    }

    @Test
    void manyGoOnWithMemoryForOnePart() throws Exception {
        Map<ObjectKey, byte[]> wanted = new LinkedHashMap<>();
        Map<ObjectKey, Future<?>> running = new LinkedHashMap<>();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int number = 0; number < 8; number++) {
                ObjectKey key = key();
                byte[] bytes = bytes(number % 2 == 0 ? 11 * MIB + number : 2 * MIB + number);
                wanted.put(key, bytes);
                running.put(key, threads.submit(() -> store.put(key, new Streamed(bytes))));
            }
            for (Future<?> upload : running.values()) {
                upload.get(1, TimeUnit.MINUTES);
            }
        }
        wanted.forEach(
                (key, bytes) -> assertThat(s3.bytes(BUCKET, key.toString())).isEqualTo(bytes));
        assertNothingIsTaken();
    }

    @Test
    void aSourceThatFailsLeavesNothing() {
        for (int size : new int[] {3 * MIB, 12 * MIB}) {
            ObjectKey key = key();

            assertThatThrownBy(() -> store.put(key, new Streamed(bytes(size), size - MIB)))
                    .hasMessage("the source ends here");

            assertThat(s3.sizes(BUCKET)).isEmpty();
            assertNothingIsTaken();
        }
    }

    @Test
    void aPartThatIsRefusedEndsTheUpload() {
        s3.deny(Operation.UPLOAD_PART);
        ObjectKey key = key();

        // The store may hang up before it has said why.
        assertThatThrownBy(() -> store.put(key, new Streamed(bytes(12 * MIB)))).isInstanceOf(StorageFailure.class);

        assertThat(s3.sizes(BUCKET)).isEmpty();
        assertNothingIsTaken();
    }

    @Test
    void whatIsTooMuchIsSentAgainFromMemoryAndSlowsOthersDown() {
        traffic.limitBlobs(4);
        int before = traffic.shares();
        long parts = s3.count(Operation.UPLOAD_PART);
        s3.failNext(Operation.UPLOAD_PART, 1);
        // To a part the store may say so and hang up: then nobody hears it.
        s3.failNext(Operation.COMPLETE_MULTIPART, 1);
        ObjectKey key = key();
        byte[] bytes = bytes(12 * MIB);

        store.put(key, new Streamed(bytes));

        assertThat(s3.bytes(BUCKET, key.toString())).isEqualTo(bytes);
        assertThat(s3.count(Operation.UPLOAD_PART)).isEqualTo(parts + 4);
        assertThat(traffic.shares()).isLessThan(before);
        assertNothingIsTaken();
    }

    @Test
    void anObjectOfPartsIsNotBelievedIfItsChecksumIsRefusedAndItLiesThere() {
        s3.refuseNextCompletion();
        ObjectKey key = key();

        assertThatThrownBy(() -> store.put(key, new Streamed(bytes(12 * MIB))))
                .isInstanceOf(StorageFailure.Corrupt.class);

        assertNothingIsTaken();
    }
}
