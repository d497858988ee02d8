package io.flynn.blobstore.conformance;

import io.flynn.blobstore.testkit.EmbeddedPg;
import java.net.URI;

/** One database, of whose blobs some are in it and some in a bucket; the server that is asked puts new ones into the bucket. */
class MixedConformanceIT extends BlobstoreConformance {

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final S3 s3 = new S3();

    @Override
    Deployment start() {
        return new Both(OurServer.start(database, s3.byDefault()), OurServer.start(database, s3.known()));
    }

    @Override
    void release() {
        s3.close();
        database.close();
    }

    private record Both(OurServer toTheBucket, OurServer toTheDatabase) implements Deployment {

        @Override
        public URI url() {
            return toTheBucket.url();
        }

        @Override
        public URI otherUrl() {
            return toTheDatabase.url();
        }

        @Override
        public void close() {
            toTheBucket.close();
            toTheDatabase.close();
        }
    }
}
