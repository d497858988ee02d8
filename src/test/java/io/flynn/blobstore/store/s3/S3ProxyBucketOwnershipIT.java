package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.LocalS3;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

class S3ProxyBucketOwnershipIT extends BucketOwnershipContract {

    private static final String BUCKET = "owned";

    private static final LocalS3 S3 = LocalS3.start();

    @BeforeAll
    static void start() {
        S3.createBucket(BUCKET);
    }

    @AfterAll
    static void stop() {
        S3.close();
    }

    @Override
    BackendSettings settings() {
        return S3.backend(Blobs.S3MAIN, BUCKET);
    }
}
