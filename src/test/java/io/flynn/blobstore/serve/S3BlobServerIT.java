package io.flynn.blobstore.serve;

import static io.flynn.blobstore.serve.RunningServer.text;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.LocalS3;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class S3BlobServerIT extends S3ServerContract {

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

    @Test
    void uploadIsRecordedBeforeItsFirstByteByTheRowThatItBecomes() throws IOException {
        try (SlowPut upload = slowPut("/a", 6, "Content-Type: text/css")) {
            upload.send("hel");
            List<String> recorded = database().texts("""
                    SELECT file_id::text FROM files WHERE name = '/a' AND backend = 's3main' AND type = 'text/css'
                        AND external_id IS NOT NULL AND size IS NULL AND file_oid IS NULL AND deleted_at IS NOT NULL
                    """);
            assertThat(recorded).hasSize(1);
            assertThat(blobs().get("/a").statusCode()).isEqualTo(404);
            assertThat(list()).isEqualTo("[]\n");

            assertThat(upload.send("lo!").status()).isEqualTo(200);
            assertThat(database().texts("SELECT file_id::text FROM files WHERE deleted_at IS NULL AND size = 6"))
                    .isEqualTo(recorded);
        }
    }

    @Test
    void uploadThatWasTakenForDeadIsNotPublished() throws IOException {
        blobs().put("/a", "old");

        try (SlowPut upload = slowPut("/a", 6)) {
            upload.send("new");
            database().execute("UPDATE files SET external_id = NULL WHERE size IS NULL");
            assertThat(upload.send("new").status()).isEqualTo(503);
        }

        assertThat(text(blobs().follow("/a"))).isEqualTo("old");
        assertThat(objects()).isOne();
    }

    @Test
    void uploadThatTheStoreRefusesLeavesNothing() {
        store.deny(LocalS3.Operation.PUT);
        HttpResponse<byte[]> refused = blobs().put("/a", "x");
        store.deny();

        assertThat(refused.statusCode()).isEqualTo(503);
        assertThat(text(refused)).contains("\"s3main\"");
        assertThat(leftovers()).isEqualTo(new Leftovers(0, 0, 0));
    }

    @Test
    void copyIsMadeInsideTheStore() {
        blobs().put("/from", random(9_000_000));
        long read = store.count(LocalS3.Operation.GET);

        assertThat(copy("/from", "/to").statusCode()).isEqualTo(200);

        assertThat(store.count(LocalS3.Operation.GET)).isEqualTo(read);
        assertThat(database().count("SELECT count(DISTINCT external_id) FROM files"))
                .isEqualTo(2);
    }

    @Test
    void copyOfAnObjectThatIsGoneIsAFailureThatLeavesNothing() {
        blobs().put("/from", "x");
        empty();
        Leftovers before = leftovers();

        HttpResponse<byte[]> failed = copy("/from", "/to");

        assertThat(failed.statusCode()).isEqualTo(500);
        assertThat(text(failed)).contains("ObjectMissing");
        assertThat(leftovers()).isEqualTo(before);
    }

    @Test
    void largeObjectIsAppendedToInsideTheStore() {
        byte[] whole = random(9_000_100);
        blobs().put("/a", Arrays.copyOf(whole, 9_000_000));
        long sent = store.count(LocalS3.Operation.UPLOAD_PART);

        assertThat(append("/a", 9_000_000, Arrays.copyOfRange(whole, 9_000_000, whole.length))
                        .statusCode())
                .isEqualTo(200);

        assertThat(store.count(LocalS3.Operation.UPLOAD_PART)).isEqualTo(sent + 1);
        assertIs("/a", whole);
    }

    @Test
    void objectIsSentOnceMoreWhereTheStoreCopiesNoParts() {
        byte[] whole = random(9_000_100);
        blobs().put("/a", Arrays.copyOf(whole, 9_000_000));

        store.breakOff(LocalS3.Operation.COPY_PART);
        int status = append("/a", 9_000_000, Arrays.copyOfRange(whole, 9_000_000, whole.length))
                .statusCode();
        store.breakOff();

        assertThat(status).isEqualTo(200);
        assertIs("/a", whole);
        assertNoIntents();
    }

    @Test
    void appendedObjectReplacesTheOldOneWhichKeepsItsRow() {
        blobs().put("/a", "hello");
        String link = blobs().get("/a").headers().firstValue("Location").orElseThrow();

        assertThat(append("/a", 5, new byte[] {'!'}).statusCode()).isEqualTo(200);

        assertThat(text(blobs().send(HttpRequest.newBuilder(URI.create(link)).build())))
                .isEqualTo("hello");
        assertThat(database()
                        .count("SELECT count(*) FROM files WHERE deleted_at IS NOT NULL AND external_id IS NOT NULL"))
                .isOne();
    }

    @Test
    void bytesStayInTheBackendWhereTheyAre() {
        database().execute("""
                INSERT INTO files (file_oid, backend, name, type, size)
                VALUES (lo_from_bytea(0, 'not moved yet'), 'postgres', '/left', '', 13)
                """);

        assertThat(copy("/left", "/copied").statusCode()).isEqualTo(200);
        assertThat(append("/left", 13, new byte[] {'!'}).statusCode()).isEqualTo(200);

        assertThat(text(blobs().get("/left"))).isEqualTo("not moved yet!");
        assertThat(text(blobs().get("/copied"))).isEqualTo("not moved yet");
        assertThat(database().count("SELECT count(*) FROM files WHERE backend = 'postgres' AND deleted_at IS NULL"))
                .isEqualTo(2);
        assertThat(objects()).isZero();
    }

    @Test
    void objectThatIsNotAsLongAsItsRowSaysIsNotCopied() {
        blobs().put("/a", "hello");
        store.overwrite(
                BUCKET, database().texts("SELECT external_id FROM files").getFirst(), new byte[3]);

        assertThat(copy("/a", "/b").statusCode()).isEqualTo(500);
        assertThat(blobs().head("/b").statusCode()).isEqualTo(404);
        assertNoIntents();
    }

    /** As an old server's append leaves it that began before the move and ended after it, until the row is settled. */
    @Test
    void movedObjectThatIsNotWhatItsRowSaysIsNotCopied() {
        blobs().put("/a", "hello");
        database()
                .execute(
                        "UPDATE files SET file_oid = lo_from_bytea(0, 'other'), sha512 = decode(repeat('00', 64), 'hex')");

        assertThat(copy("/a", "/b").statusCode()).isEqualTo(500);
        assertThat(blobs().head("/b").statusCode()).isEqualTo(404);
        assertNoIntents();
    }

    @Test
    void appendToAMovedBlobThatIsCleanedMeanwhileIsNoConflict() throws IOException {
        blobs().put("/a", "hello");
        database().execute("UPDATE files SET file_oid = lo_from_bytea(0, 'hello')");

        try (SlowPut append = slowPut("/a", 2, "Blobstore-Offset: 5")) {
            append.send("!");
            database().execute("SELECT lo_unlink(file_oid) FROM files WHERE file_oid IS NOT NULL");
            database().execute("UPDATE files SET file_oid = NULL");
            assertThat(append.send("!").status()).isEqualTo(200);
        }

        assertThat(text(blobs().follow("/a"))).isEqualTo("hello!!");
    }

    @Test
    void appendToABlobThatIsMovedMeanwhileIsMadeWhereItIsNow() throws Exception {
        byte[] whole = random(6_000_000);
        byte[] old = Arrays.copyOf(whole, 5_500_000);
        byte[] more = Arrays.copyOfRange(whole, old.length, whole.length);
        blobs().put("/a", old);
        String key = database().texts("SELECT external_id::text FROM files").getFirst();
        try (Connection connection = database().connect();
                PreparedStatement put = connection.prepareStatement(
                        "UPDATE files SET backend = 'postgres', external_id = NULL, file_oid = lo_from_bytea(0, ?)")) {
            put.setBytes(1, old);
            put.executeUpdate();
        }

        try (SlowPut append = slowPut("/a", more.length, "Blobstore-Offset: " + old.length)) {
            append.send(Arrays.copyOf(more, 400_000));
            database()
                    .execute("UPDATE files SET backend = 's3main', external_id = '%s' WHERE deleted_at IS NULL"
                            .formatted(key));
            assertThat(append.send(Arrays.copyOfRange(more, 400_000, more.length))
                            .status())
                    .isEqualTo(200);
        }

        assertIs("/a", whole);
        assertThat(largeObjects()).isZero();
        assertNoIntents();
    }

    @Test
    void blobInABackendThatIsNotConfiguredCantBeCopiedOrAppendedTo() {
        database().execute("""
                INSERT INTO files (external_id, backend, name, type, size)
                VALUES (uuid_generate_v4(), 'elsewhere', '/a', '', 1)
                """);

        for (HttpResponse<byte[]> refused : List.of(copy("/a", "/b"), append("/a", 1, new byte[1]))) {
            assertThat(refused.statusCode()).isEqualTo(503);
            assertThat(text(refused)).contains("\"elsewhere\"");
        }
        assertThat(leftovers()).isEqualTo(new Leftovers(1, 0, 0));
    }

    private String list() {
        return text(blobs().send("GET", "/", new byte[0]));
    }
}
