package io.flynn.blobstore.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Random;

/** What every part of the suite has: a client, and a folder in which nobody else has anything. */
interface Suite {

    Blobstore blobs();

    /** With a slash at its start and none at its end. */
    String folder();

    /** A name of this test's own. */
    default String name(String inFolder) {
        return folder() + "/" + inFolder;
    }

    /** Stores a blob that the test needs. */
    default void given(String inFolder, String body, String... headers) {
        assertThat(blobs().put(name(inFolder), body, headers).status())
                .as("PUT of %s", inFolder)
                .isEqualTo(200);
    }

    default void assertBlob(String inFolder, String body) {
        Answer answer = blobs().read(name(inFolder));
        assertThat(answer.status()).as("GET of %s: %s", inFolder, answer).isEqualTo(200);
        assertThat(answer.text()).isEqualTo(body);
        assertThat(blobs().head(name(inFolder)).header("Etag")).contains(Blobstore.etag(Blobstore.bytes(body)));
    }

    default void assertMissing(String inFolder) {
        assertThat(blobs().get(name(inFolder)).status())
                .as("GET of %s", inFolder)
                .isEqualTo(404);
    }

    /** Whether readers are sent to the store that holds the blob. */
    default boolean isRedirected(String inFolder) {
        return blobs().get(name(inFolder)).isRedirect();
    }

    /** Sends these bytes on a connection of their own and returns what comes until it is closed. */
    default String raw(String bytes) throws IOException {
        try (Wire wire = Wire.to(blobs().server())) {
            wire.send(bytes);
            return new String(wire.rest(), StandardCharsets.ISO_8859_1);
        }
    }

    static byte[] random(int length) {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return bytes;
    }
}
