package io.flynn.blobstore.conformance;

import io.flynn.blobstore.testkit.EmbeddedPg;

/** Every blob in a bucket of S3Proxy. */
class S3ProxyConformanceIT extends BlobstoreConformance {

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final S3 s3 = new S3();

    @Override
    Deployment start() {
        return OurServer.start(database, s3.byDefault());
    }

    @Override
    void release() {
        s3.close();
        database.close();
    }
}
