package io.flynn.blobstore.conformance;

import io.flynn.blobstore.testkit.EmbeddedPg;
import java.util.Map;

/** No store but the database. */
class PostgresConformanceIT extends BlobstoreConformance {

    private final EmbeddedPg.Database database = EmbeddedPg.database();

    @Override
    Deployment start() {
        return OurServer.start(database, Map.of());
    }

    @Override
    void release() {
        database.close();
    }
}
