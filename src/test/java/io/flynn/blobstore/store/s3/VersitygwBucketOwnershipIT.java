package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.conformance.StoreProgram;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.testkit.Blobs;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

class VersitygwBucketOwnershipIT extends BucketOwnershipContract {

    @TempDir
    private static Path folder;

    private static StoreProgram store;

    @BeforeAll
    static void start() throws IOException {
        store = StoreProgram.versitygw(folder);
    }

    @AfterAll
    static void stop() {
        if (store != null) {
            store.close();
        }
    }

    /** Seen with 1.8.0 on posix: of ten that replace one object by its Etag at once, two are told that they did. */
    @Override
    boolean decidesBetweenWrites() {
        return false;
    }

    @Override
    BackendSettings settings() {
        return store.backend(Blobs.S3MAIN);
    }
}
