package io.flynn.blobstore.serve;

import static io.flynn.blobstore.testkit.Blobs.S3MAIN;

import io.flynn.blobstore.testkit.LocalS3;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;

/** The contract where new blobs go to a bucket, which is empty before each test. */
abstract class S3ServerContract extends BlobServerContract {

    static final String BUCKET = "blobs";

    final LocalS3 store = LocalS3.start();

    @Override
    Map<String, String> backend() {
        store.createBucket(BUCKET);
        Map<String, String> environment = new HashMap<>(store.environment(S3MAIN, BUCKET));
        environment.put("DEFAULT_BACKEND", "s3main");
        return environment;
    }

    @Override
    long objects() {
        return store.sizes(BUCKET).size() + store.unfinishedUploads(BUCKET).size();
    }

    @Override
    String backendName() {
        return "s3main";
    }

    @BeforeEach
    void empty() {
        store.sizes(BUCKET).keySet().forEach(key -> store.remove(BUCKET, key));
    }

    @AfterAll
    void stopStore() {
        store.close();
    }
}
