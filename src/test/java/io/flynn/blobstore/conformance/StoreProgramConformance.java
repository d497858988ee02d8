package io.flynn.blobstore.conformance;

import io.flynn.blobstore.testkit.EmbeddedPg;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;

/** Every blob in the bucket of a store that runs as a program of its own. */
abstract class StoreProgramConformance extends BlobstoreConformance {

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private @Nullable StoreProgram store;

    @TempDir
    static Path folder;

    abstract StoreProgram program(Path home) throws IOException;

    /** How the server is told of the store, but for the bucket and the key. */
    abstract String backend(URI endpoint);

    @Override
    Deployment start() throws IOException {
        store = program(folder);
        return OurServer.start(
                database,
                Map.of(
                        "BACKEND_STORE",
                        backend(store.endpoint()) + " bucket=" + StoreProgram.BUCKET,
                        "BACKEND_STORE_ACCESS_KEY_ID",
                        StoreProgram.ACCESS_KEY_ID,
                        "BACKEND_STORE_SECRET_ACCESS_KEY",
                        StoreProgram.SECRET_ACCESS_KEY,
                        "DEFAULT_BACKEND",
                        "store"));
    }

    @Override
    void release() {
        if (store != null) {
            store.close();
        }
        database.close();
    }
}
