package io.flynn.blobstore.store.s3;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.LocalS3;
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
}
