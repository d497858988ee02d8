package io.flynn.blobstore.conformance;

import static io.flynn.blobstore.conformance.Blobstore.bytes;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.story.OldBlobstore;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What our server writes is, row by row and byte by byte, what the old program would have written: it goes on from there. */
class OldProgramReadsOursIT {

    private static final String COMMON = "deleted_at IS NULL AND sha512_state IS NULL AND octet_length(sha512) = 64"
            + " AND created_at <= updated_at AND updated_at > now() - interval '10 minutes'";

    private EmbeddedPg.Database database;

    @BeforeEach
    void begin() throws SQLException {
        database = Old.started();
    }

    @AfterEach
    void drop() {
        database.close();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2_048, 300_001})
    void blobInPostgresIsALargeObjectThatItsRowDescribes(int size) throws Exception {
        byte[] bytes = Suite.random(size);
        try (OurServer server = OurServer.start(database, Map.of());
                Blobstore blobs = new Blobstore(server.url());
                OldBlobstore old = Old.onPostgres(database)) {
            blobs.put("/a/b", bytes, "Content-Type", "text/plain");

            assertThat(database.count(
                            "SELECT count(*) FROM files WHERE name = '/a/b' AND backend = 'postgres' AND type = 'text/plain'"
                                    + " AND external_id IS NULL AND size = " + size
                                    + " AND size = length(lo_get(file_oid)) AND sha512 = sha512(lo_get(file_oid)) AND "
                                    + COMMON))
                    .isOne();
            assertThat(old.get("/a/b"))
                    .hasValueSatisfying(got -> assertThat(got).isEqualTo(bytes));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 9_000_000})
    void blobInABucketIsAnObjectWhoseKeyItsRowHolds(int size) throws Exception {
        byte[] bytes = Suite.random(size);
        try (S3 s3 = new S3();
                OurServer server = OurServer.start(database, s3.byDefault());
                Blobstore blobs = new Blobstore(server.url());
                OldBlobstore old = Old.onBucket(database, s3)) {
            blobs.put("/a/b", bytes, "Content-Type", "text/plain");

            assertThat(database.count(
                            "SELECT count(*) FROM files WHERE name = '/a/b' AND backend = 's3main' AND type = 'text/plain'"
                                    + " AND file_oid IS NULL AND size = " + size + " AND " + COMMON))
                    .isOne();
            String key = database.texts("SELECT external_id::text FROM files").getFirst();
            assertThat(key).matches("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}");
            assertThat(s3.store().bytes(S3.BUCKET, key)).isEqualTo(bytes);
            assertThat(database.texts("SELECT encode(sha512, 'base64') FROM files")
                            .getFirst()
                            .replace("\n", ""))
                    .isEqualTo(Blobstore.etag(bytes).replace("\"", ""));
            assertThat(old.get("/a/b"))
                    .hasValueSatisfying(got -> assertThat(got).isEqualTo(bytes));
        }
    }

    @Test
    void replacedAndDeletedVersionsAreSoftDeletedRows() throws Exception {
        try (OurServer server = OurServer.start(database, Map.of());
                Blobstore blobs = new Blobstore(server.url());
                OldBlobstore old = Old.onPostgres(database)) {
            blobs.put("/a", "old");
            blobs.put("/a", "new");
            blobs.put("/b", "gone");
            blobs.delete("/b");

            assertThat(database.texts("SELECT name || ' ' || (deleted_at IS NULL) || ' ' || (file_oid IS NULL)"
                            + " FROM files ORDER BY created_at"))
                    .isEqualTo(List.of("/a false true", "/a true false", "/b false true"));
            assertThat(old.get("/a")).hasValueSatisfying(got -> assertThat(got).isEqualTo(bytes("new")));
            assertThat(old.get("/b")).isEmpty();
        }
    }

    @Test
    void schemaThatOurServerMakesIsTheOldProgramsToWriteTo() throws Exception {
        try (EmbeddedPg.Database empty = EmbeddedPg.database();
                OurServer server = OurServer.start(empty, Map.of());
                Blobstore blobs = new Blobstore(server.url());
                OldBlobstore old = Old.onPostgres(empty)) {
            old.put("/a", "text/plain", bytes("first"));
            old.put("/a", "text/html", bytes("second"));
            old.append("/a", bytes(" and more"));

            Answer got = blobs.get("/a");
            assertThat(got.text()).isEqualTo("second and more");
            assertThat(got.header("Content-Type")).contains("text/html");
            assertThat(got.header("Etag")).contains(Blobstore.etag(bytes("second and more")));
            old.delete("/a");
            assertThat(blobs.get("/a").status()).isEqualTo(404);
            Leftovers.assertNone(empty);
        }
    }
}
