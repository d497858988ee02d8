package io.flynn.blobstore.serve;

import static io.flynn.blobstore.serve.RunningServer.text;
import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.LocalS3;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class S3BlobServerIT extends BlobServerContract {

    private static final String BUCKET = "blobs";

    private final LocalS3 store = LocalS3.start();

    @Override
    Map<String, String> backend() {
        store.createBucket(BUCKET);
        Map<String, String> environment = new HashMap<>(store.environment(S3MAIN, BUCKET));
        environment.put("DEFAULT_BACKEND", "s3main");
        return environment;
    }

    @Override
    long objects() {
        return store.sizes(BUCKET).size() + store.unfinishedUploads(BUCKET).size();
    }

    @Override
    String backendName() {
        return "s3main";
    }

    @BeforeEach
    void empty() {
        store.sizes(BUCKET).keySet().forEach(key -> store.remove(BUCKET, key));
    }

    @AfterAll
    void stopStore() {
        store.close();
    }

    @Test
    void redirectsToALinkThatWorksForTenMinutes() {
        blobs().put("/a", "hello", "Content-Type", "text/plain");

        HttpResponse<byte[]> got = blobs().get("/a");

        assertThat(got.statusCode()).isEqualTo(302);
        assertThat(got.body()).isEmpty();
        assertThat(got.headers().firstValue("Cache-Control")).contains("no-store");
        assertThat(got.headers().firstValue("Location"))
                .hasValueSatisfying(link -> assertThat(link)
                        .startsWith(store.endpoint() + "/" + BUCKET + "/")
                        .contains("X-Amz-Expires=600"));
    }

    @Test
    void keyIsARandomUuidThatTheRowHolds() {
        blobs().put("/a", "hello");

        String key = store.sizes(BUCKET).keySet().iterator().next();
        assertThat(UUID.fromString(key).version()).isEqualTo(4);
        assertThat(database().texts("SELECT external_id::text FROM files")).containsExactly(key);
        assertThat(store.bytes(BUCKET, key)).asString().isEqualTo("hello");
        assertThat(largeObjects()).isZero();
    }

    @Test
    void replacedAndDeletedVersionsKeepTheirKey() {
        blobs().put("/a", "old");
        blobs().put("/a", "new");
        blobs().delete("/a");

        assertThat(database()
                        .count("SELECT count(*) FROM files WHERE deleted_at IS NOT NULL AND external_id IS NOT NULL"))
                .isEqualTo(2);
    }

    @Test
    void linkGivenOutBeforeAReplacementStillWorks() {
        blobs().put("/a", "old");
        String link = blobs().get("/a").headers().firstValue("Location").orElseThrow();
        blobs().put("/a", "new");

        assertThat(text(blobs().send(HttpRequest.newBuilder(URI.create(link)).build())))
                .isEqualTo("old");
    }

    @Test
    void movedBlobIsServedFromItsBackendAndDeletingItUnlinksTheSource() {
        String key = "6f1b2c3d-0000-5000-8000-000000000001";
        store.overwrite(BUCKET, key, "at the target".getBytes(StandardCharsets.UTF_8));
        database().execute("""
                INSERT INTO files (file_oid, external_id, backend, name, type, size)
                VALUES (lo_from_bytea(0, 'at the source'), '%s', 's3main', '/moved', 'text/css', 13)
                """.formatted(key));

        HttpResponse<byte[]> got = blobs().follow("/moved");
        assertThat(text(got)).isEqualTo("at the target");
        assertThat(got.headers().firstValue("Content-Type")).contains("text/css");

        blobs().delete("/moved");
        assertThat(largeObjects()).isZero();
        assertThat(database().count("SELECT count(*) FROM files WHERE external_id IS NOT NULL AND file_oid IS NULL"))
                .isOne();
    }

    @Test
    void blobsLeftInTheDatabaseAreServedFromThere() {
        database().execute("""
                INSERT INTO files (file_oid, backend, name, type, size)
                VALUES (lo_from_bytea(0, 'not moved yet'), 'postgres', '/left', '', 13)
                """);

        assertThat(blobs().get("/left").statusCode()).isEqualTo(200);
        assertThat(text(blobs().get("/left"))).isEqualTo("not moved yet");
    }

    @Test
    void blobInABackendThatIsNotConfiguredIsUnavailable() {
        database().execute("""
                INSERT INTO files (external_id, backend, name, type, size)
                VALUES (uuid_generate_v4(), 'elsewhere', '/a', '', 1)
                """);

        HttpResponse<byte[]> got = blobs().get("/a");

        assertThat(got.statusCode()).isEqualTo(503);
        assertThat(got.headers().firstValue("Retry-After")).isPresent();
        assertThat(text(got)).contains("\"elsewhere\"");
        assertThat(blobs().head("/a").statusCode()).isEqualTo(200);
        assertThat(blobs().delete("/a").statusCode()).isEqualTo(200);
    }
}
