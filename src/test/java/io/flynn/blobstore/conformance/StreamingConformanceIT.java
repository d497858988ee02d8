package io.flynn.blobstore.conformance;

import io.flynn.blobstore.testkit.EmbeddedPg;
import java.util.HashMap;
import java.util.Map;

/** Every blob in a bucket that readers can't reach: its bytes come through the server. */
class StreamingConformanceIT extends BlobstoreConformance {

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final S3 s3 = new S3();

    @Override
    Deployment start() {
        Map<String, String> settings = new HashMap<>(s3.byDefault());
        settings.put("BLOBSTORE_REDIRECT", "false");
        return OurServer.start(database, settings);
    }

    @Override
    void release() {
        s3.close();
        database.close();
    }
}
