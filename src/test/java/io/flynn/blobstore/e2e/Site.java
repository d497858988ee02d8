package io.flynn.blobstore.e2e;

import io.flynn.blobstore.testkit.story.Bucket;
import io.flynn.blobstore.testkit.story.Database;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.sql.SQLException;
import org.junit.jupiter.api.Assumptions;
import org.testcontainers.DockerClientFactory;

/**
 * A cluster whose nodes have our image, and beside it a PostgreSQL and an S3 server. Addresses are the same for pods and for this process, so
 * that a redirect can be followed by both.
 */
interface Site extends AutoCloseable {

    /** Where {@code KUBECONFIG} points, else one made of containers, else the tests are skipped. */
    static Site find() throws Exception {
        String kubeconfig = System.getenv().getOrDefault("KUBECONFIG", "");
        if (!kubeconfig.isEmpty()) {
            return GivenCluster.start(Path.of(kubeconfig));
        }
        Assumptions.assumeTrue(
                DockerClientFactory.instance().isDockerAvailable(),
                "neither KUBECONFIG nor a Docker daemon: nothing was tested on a real cluster");
        return ContainerCluster.start();
    }

    Path kubeconfig();

    /** A new, empty database whose owner may do what a hosted database's owner may. */
    Database database(String name) throws SQLException;

    /** Stops the database server in the midst of what it does, and starts it again with the same data and address. */
    void restartDatabase() throws Exception;

    /** A new bucket that keeps every version of its objects. */
    Bucket.Location bucket(String name) throws Exception;

    /** A port of the cluster's node. */
    URI node(int port);

    @Override
    void close() throws IOException;
}
