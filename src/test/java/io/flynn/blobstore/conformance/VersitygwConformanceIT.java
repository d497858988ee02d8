package io.flynn.blobstore.conformance;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;

class VersitygwConformanceIT extends StoreProgramConformance {

    @Override
    StoreProgram program(Path home) throws IOException {
        return StoreProgram.versitygw(home);
    }

    @Override
    String backend(URI endpoint) {
        return "backend=s3 path_style=true region=%s endpoint=%s".formatted(StoreProgram.REGION, endpoint);
    }
}
