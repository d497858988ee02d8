package io.flynn.blobstore.store.s3;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Verification;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.StoreFault;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class ObjectReaderIT {

    @Test
    void objectsOfAnotherLengthLeaveNoConnectionTaken() {
        int size = 2 * 1024 * 1024;
        ObjectKey key = new ObjectKey(UUID.randomUUID());
        try (LocalS3 s3 = LocalS3.start();
                S3BlobStore store = new S3BlobStore(s3.backend(Blobs.S3MAIN, "bucket"), 2)) {
            s3.createBucket("bucket");
            s3.overwrite("bucket", key.toString(), new byte[size - 1]);

            // More often than there are connections.
            for (int i = 0; i < 5; i++) {
                assertThatThrownBy(() -> store.open(key, size))
                        .isInstanceOfSatisfying(
                                StorageFailure.Corrupt.class,
                                differs -> assertThat(differs.reason()).isEqualTo(Reasons.SIZE_DIFFERS));
            }
        }
    }

    private static final TransferSizes SMALL_RANGES = new TransferSizes(6 << 20, 5 << 20, 0, 4 * 64 * 1024, 64 * 1024);

    private static S3BlobStore ranged(LocalS3 s3) {
        return new S3BlobStore(
                s3.backend(Blobs.S3MAIN, "bucket"), 8, Verification.READ_BACK, new Traffic(), SMALL_RANGES);
    }

    private static byte[] bytes(int size, long seed) {
        byte[] bytes = new byte[size];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    @Test
    void rangesComeInOrderWhateverTheyFailAt() throws Exception {
        ObjectKey key = new ObjectKey(UUID.randomUUID());
        try (LocalS3 s3 = LocalS3.start();
                S3BlobStore store = ranged(s3)) {
            s3.createBucket("bucket");
            for (int size : new int[] {4 * 65_536 - 1, 4 * 65_536, 4 * 65_536 + 1, 1_000_003}) {
                byte[] content = bytes(size, size);
                s3.overwrite("bucket", key.toString(), content);
                s3.fail(3, StoreFault.status(503, "SlowDown"));
                try (InputStream read = store.open(key, size)) {
                    assertThat(read.readAllBytes()).as("%d bytes", size).isEqualTo(content);
                }
                int first = size / 7;
                int length = size - first - 5;
                try (InputStream read = store.open(key, size, first, length)) {
                    assertThat(read.readAllBytes())
                            .as("%d bytes", size)
                            .isEqualTo(Arrays.copyOfRange(content, first, first + length));
                }
                assertThat(store.readBack(key, size)).contains(new BlobContent(size, Blobs.sha512(content)));
            }
            assertThat(store.readBack(new ObjectKey(UUID.randomUUID()), 1_000_003))
                    .isEmpty();
            assertThatThrownBy(() -> store.open(new ObjectKey(UUID.randomUUID()), 1_000_003))
                    .isInstanceOf(StorageFailure.Missing.class);
        }
    }

    @Test
    void anObjectThatChangesWhileItIsReadIsNoticed() throws Exception {
        int size = 2_000_000;
        ObjectKey key = new ObjectKey(UUID.randomUUID());
        try (LocalS3 s3 = LocalS3.start();
                S3BlobStore store = ranged(s3)) {
            s3.createBucket("bucket");
            s3.overwrite("bucket", key.toString(), bytes(size, 1));
            // More often than objects are read by ranges at once: each gives its room back.
            for (int times = 0; times < 4; times++) {
                try (InputStream read = store.open(key, size)) {
                    read.readNBytes(1);
                    s3.overwrite("bucket", key.toString(), bytes(size, 2 + times));
                    assertThatThrownBy(read::readAllBytes).isInstanceOf(StorageFailure.OutcomeUnknown.class);
                }
            }
            long reads = s3.count(LocalS3.Operation.GET);
            store.readBack(key, size);
            assertThat(s3.count(LocalS3.Operation.GET) - reads).as("by ranges").isGreaterThan(30);
        }
    }

    @Test
    void moreThanThereIsRoomForAreReadAsStreams() throws Exception {
        int size = 1_000_000;
        ObjectKey key = new ObjectKey(UUID.randomUUID());
        byte[] content = bytes(size, 1);
        try (LocalS3 s3 = LocalS3.start();
                S3BlobStore store = ranged(s3)) {
            s3.createBucket("bucket");
            s3.overwrite("bucket", key.toString(), content);
            long reads = s3.count(LocalS3.Operation.GET);
            try (InputStream one = store.open(key, size);
                    InputStream two = store.open(key, size)) {
                try (InputStream three = store.open(key, size)) {
                    assertThat(three.readAllBytes()).isEqualTo(content);
                    assertThat(two.readAllBytes()).isEqualTo(content);
                    assertThat(one.readAllBytes()).isEqualTo(content);
                }
                assertThat(s3.count(LocalS3.Operation.GET) - reads).isEqualTo(1 + 2 * 16);
            }
        }
    }
}
