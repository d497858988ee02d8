package io.flynn.blobstore.conformance;

import io.flynn.blobstore.testkit.EmbeddedPg;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;

/** Every blob in a bucket of versitygw. */
class VersitygwConformanceIT extends BlobstoreConformance {

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private @Nullable StoreProgram versitygw;

    @TempDir
    static Path folder;

    @Override
    Deployment start() throws IOException {
        versitygw = StoreProgram.versitygw(folder);
        return OurServer.start(
                database,
                Map.of(
                        "BACKEND_GATEWAY",
                        "backend=s3 region=%s bucket=%s endpoint=%s path_style=true"
                                .formatted(StoreProgram.REGION, StoreProgram.BUCKET, versitygw.endpoint()),
                        "BACKEND_GATEWAY_ACCESS_KEY_ID",
                        StoreProgram.ACCESS_KEY_ID,
                        "BACKEND_GATEWAY_SECRET_ACCESS_KEY",
                        StoreProgram.SECRET_ACCESS_KEY,
                        "DEFAULT_BACKEND",
                        "gateway"));
    }

    @Override
    void release() {
        if (versitygw != null) {
            versitygw.close();
        }
        database.close();
    }
}
