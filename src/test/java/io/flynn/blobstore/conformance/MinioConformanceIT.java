package io.flynn.blobstore.conformance;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;

/** MinIO, which the server knows as the old program would. */
class MinioConformanceIT extends StoreProgramConformance {

    @Override
    StoreProgram program(Path home) throws IOException {
        return StoreProgram.minio(home);
    }

    @Override
    String backend(URI endpoint) {
        return "backend=minio insecure=true endpoint=" + endpoint.getAuthority();
    }
}
