package io.flynn.blobstore.conformance;

import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.LocalS3;
import java.util.HashMap;
import java.util.Map;

/** One bucket of an S3Proxy in this process. */
final class S3 implements AutoCloseable {

    static final String BUCKET = "blobs";

    private final LocalS3 store = LocalS3.start();

    S3() {
        store.createBucket(BUCKET);
    }

    LocalS3 store() {
        return store;
    }

    /** The variables of a server that knows the bucket but puts new blobs into the database. */
    Map<String, String> known() {
        return store.environment(Blobs.S3MAIN, BUCKET);
    }

    /** The variables of a server that puts new blobs into the bucket. */
    Map<String, String> byDefault() {
        Map<String, String> settings = new HashMap<>(known());
        settings.put("DEFAULT_BACKEND", "s3main");
        return settings;
    }

    @Override
    public void close() {
        store.close();
    }
}
