package io.flynn.blobstore.conformance;

import static io.flynn.blobstore.conformance.Blobstore.bytes;
import static io.flynn.blobstore.conformance.Blobstore.encoded;
import static io.flynn.blobstore.conformance.Blobstore.etag;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** PUT, append, copy and DELETE on condition (RFC 9110, section 13): done whole, or refused with 412 and nothing changed. */
interface ConditionalChanges extends Suite {

    String TAG = etag(bytes("hello"));

    private int put(String inFolder, String body, String... headers) {
        return blobs().put(name(inFolder), body, headers).status();
    }

    @Test
    default void putOfThatVersionOnly() {
        given("a", "hello");

        assertThat(put("a", "new", "If-Match", "\"other\"")).isEqualTo(412);
        assertThat(put("a", "new", "If-Match", "W/" + TAG)).isEqualTo(412);
        assertThat(put("a", "new", "If-Unmodified-Since", Conditions.LONG_AGO)).isEqualTo(412);
        assertBlob("a", "hello");
        assertThat(put("a", "new", "If-Match", "\"other\", " + TAG)).isEqualTo(200);
        assertBlob("a", "new");
        assertThat(put("a", "newer", "If-Match", TAG)).isEqualTo(412);
        assertThat(put("a", "newer", "If-Match", "*")).isEqualTo(200);
        assertBlob("a", "newer");
    }

    @Test
    default void putOfANewNameOnly() {
        assertThat(put("a", "hello", "If-Match", "*")).isEqualTo(412);
        assertMissing("a");
        assertThat(put("a", "hello", "If-None-Match", "*")).isEqualTo(200);
        assertThat(put("a", "new", "If-None-Match", "*")).isEqualTo(412);
        assertThat(put("a", "new", "If-None-Match", TAG)).isEqualTo(412);
        assertBlob("a", "hello");
        assertThat(put("a", "new", "If-None-Match", "\"other\"")).isEqualTo(200);
        assertBlob("a", "new");
    }

    @Test
    default void appendOfThatVersionOnly() {
        given("a", "hello");

        assertThat(put("a", "!", "Blobstore-Offset", "5", "If-Match", "\"other\""))
                .isEqualTo(412);
        assertBlob("a", "hello");
        assertThat(put("a", "!", "Blobstore-Offset", "5", "If-Match", TAG)).isEqualTo(200);
        assertBlob("a", "hello!");
    }

    @Test
    default void copyToANewNameOnly() {
        given("a", "hello");
        given("b", "old");
        String source = encoded(name("a"));

        assertThat(put("b", "", "Blobstore-Copy-From", source, "If-None-Match", "*"))
                .isEqualTo(412);
        assertBlob("b", "old");
        assertThat(put("c", "", "Blobstore-Copy-From", source, "If-None-Match", "*"))
                .isEqualTo(200);
        assertBlob("c", "hello");
    }

    @Test
    default void deleteOfThatVersionOnly() {
        given("a", "hello");
        given("a/below", "below");

        assertThat(blobs().delete(name("a"), "If-Match", "\"other\"").status()).isEqualTo(412);
        assertThat(blobs().delete(name("a"), "If-Unmodified-Since", Conditions.LONG_AGO)
                        .status())
                .isEqualTo(412);
        assertBlob("a", "hello");
        assertBlob("a/below", "below");
        assertThat(blobs().delete(name("a"), "If-Match", TAG).status()).isEqualTo(200);
        assertMissing("a");
    }

    @Test
    default void ofUploadsThatAllWantToBeTheFirstOneIs() throws Exception {
        List<Callable<Integer>> uploads = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            String body = "version " + i;
            uploads.add(() -> {
                try (Blobstore other = new Blobstore(blobs().server())) {
                    return other.put(name("contended"), body, "If-None-Match", "*")
                            .status();
                }
            });
        }
        List<Integer> statuses = new ArrayList<>();
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (Future<Integer> status : threads.invokeAll(uploads)) {
                statuses.add(status.get());
            }
        }

        assertThat(statuses).containsExactlyInAnyOrder(200, 412, 412, 412, 412, 412);
    }
}
