package io.flynn.blobstore.conformance;

import io.flynn.blobstore.testkit.EmbeddedPg;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;

/** Every blob in a bucket of MinIO, which the server knows as the old program would. */
class MinioConformanceIT extends BlobstoreConformance {

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private @Nullable StoreProgram minio;

    @TempDir
    static Path folder;

    @Override
    Deployment start() throws IOException {
        minio = StoreProgram.minio(folder);
        return OurServer.start(
                database,
                Map.of(
                        "BACKEND_MINIO",
                        "backend=minio endpoint=%s bucket=%s access_key_id=%s secret_access_key=%s insecure=true"
                                .formatted(
                                        minio.endpoint().getAuthority(),
                                        StoreProgram.BUCKET,
                                        StoreProgram.ACCESS_KEY_ID,
                                        StoreProgram.SECRET_ACCESS_KEY),
                        "DEFAULT_BACKEND",
                        "minio"));
    }

    @Override
    void release() {
        if (minio != null) {
            minio.close();
        }
        database.close();
    }
}
