package io.flynn.blobstore.conformance;

import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInstance;

/** The whole suite, by HTTP alone: whatever else is in the blobstore stays as it is. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class BlobstoreConformance
        implements Uploads,
                Appends,
                Copies,
                ConditionalChanges,
                Reads,
                Ranges,
                SeveralRanges,
                Conditions,
                Names,
                Deletes,
                Lists {

    private Deployment deployment;
    private Blobstore blobs;
    private String folder;

    abstract Deployment start() throws Exception;

    /** Ends what {@link #start} needed besides, once the deployment is closed; also if it didn't get that far. */
    void release() {}

    @BeforeAll
    void begin() throws Exception {
        deployment = start();
        blobs = new Blobstore(deployment.url(), deployment.otherUrl());
    }

    @AfterAll
    void end() {
        if (deployment != null) {
            blobs.close();
            deployment.close();
        }
        release();
    }

    @BeforeEach
    void open() {
        folder = "/conformance-" + UUID.randomUUID();
    }

    @AfterEach
    void clean() {
        blobs.delete(folder);
    }

    @Override
    public final Blobstore blobs() {
        return blobs;
    }

    @Override
    public final String folder() {
        return folder;
    }
}
