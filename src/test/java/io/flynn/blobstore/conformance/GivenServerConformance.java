package io.flynn.blobstore.conformance;

import java.net.URI;

/**
 * The suite against any blobstore that runs: {@code mvn verify -Dit.test=GivenServerConformance -Dblobstore.url=http://host:port} (see
 * CONTRIBUTING). Not among the tests that run by themselves.
 */
class GivenServerConformance extends BlobstoreConformance {

    @Override
    Deployment start() {
        String url = System.getProperty("blobstore.url", "");
        if (!url.matches("https?://[^/]+/?")) {
            throw new IllegalStateException(
                    "blobstore.url is \"%s\"; say which server with -Dblobstore.url=http://host:port".formatted(url));
        }
        return new Deployment() {
            @Override
            public URI url() {
                return URI.create(url);
            }

            @Override
            public void close() {
                // It is somebody else's.
            }
        };
    }
}
