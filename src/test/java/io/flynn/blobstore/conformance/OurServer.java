package io.flynn.blobstore.conformance;

import io.flynn.blobstore.serve.RunningServer;
import io.flynn.blobstore.testkit.EmbeddedPg;
import java.net.URI;
import java.util.HashMap;
import java.util.Map;

/** Our server in this process, on a database that is there already. */
final class OurServer implements Deployment {

    private final RunningServer server;

    private OurServer(RunningServer server) {
        this.server = server;
    }

    /** @param settings what is to be set besides the database */
    static OurServer start(EmbeddedPg.Database database, Map<String, String> settings) {
        Map<String, String> environment = new HashMap<>(database.environment(EmbeddedPg.SUPERUSER));
        environment.putAll(settings);
        return new OurServer(RunningServer.ready(environment));
    }

    @Override
    public URI url() {
        return server.uri("");
    }

    @Override
    public void close() {
        server.close();
    }
}
