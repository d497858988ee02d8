package io.flynn.blobstore.conformance;

import static io.flynn.blobstore.conformance.Blobstore.bytes;
import static io.flynn.blobstore.conformance.Blobstore.etag;
import static io.flynn.blobstore.conformance.Blobstore.raw;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.story.OldBlobstore;
import io.flynn.blobstore.testkit.story.OldState;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The server starts on databases as the old program left them, made by SQL, and serves what is there right. */
class OldDatabaseIT {

    private final EmbeddedPg.Database database = EmbeddedPg.database();

    @AfterEach
    void drop() {
        database.close();
    }

    @Test
    void versionOneIsUpgradedWithThousandsOfRowsAndServed() throws Exception {
        OldState.createFirstSchema(Old.database(database));
        database.execute("""
                INSERT INTO files (file_id, name, size, type, digest, created_at) VALUES
                    (lo_from_bytea(0, 'hello'), '/whole', 5, 'text/plain', encode(sha512('hello'), 'hex'), '2015-06-03 12:00:00Z'),
                    (lo_from_bytea(0, 'typeless'), '/without type', 8, NULL, encode(sha512('typeless'), 'hex'), now()),
                    (lo_from_bytea(0, 'unproven'), '/without digest', 8, '', NULL, now()),
                    (lo_from_bytea(0, 'damaged'), '/with a digest that is none', 7, '', 'zz', now()),
                    (lo_create(0), '/empty', 0, '', encode(sha512(''), 'hex'), now())
                """);
        database.execute("""
                INSERT INTO files (file_id, name, size, type)
                SELECT lo_from_bytea(0, convert_to('of ' || i, 'UTF8')), '/many/' || to_char(i, 'FM0000'), length('of ' || i), ''
                FROM generate_series(1, 3000) i
                """);

        try (OurServer server = OurServer.start(database, Map.of());
                Blobstore blobs = new Blobstore(server.url());
                OldBlobstore old = Old.onPostgres(database)) {
            Answer whole = blobs.get("/whole");
            assertThat(whole.text()).isEqualTo("hello");
            assertThat(whole.header("Content-Type")).contains("text/plain");
            assertThat(whole.header("Etag")).contains(etag(bytes("hello")));
            assertThat(whole.header("Last-Modified")).contains("Wed, 03 Jun 2015 12:00:00 GMT");
            Answer typeless = blobs.get("/without type");
            assertThat(typeless.text()).isEqualTo("typeless");
            assertThat(typeless.header("Content-Type")).isEmpty();
            Answer unproven = blobs.get("/without digest");
            assertThat(unproven.text()).isEqualTo("unproven");
            assertThat(unproven.header("Etag")).isEmpty();
            assertThat(blobs.get("/with a digest that is none").text()).isEqualTo("damaged");
            assertThat(blobs.get("/empty").body()).isEmpty();
            assertThat(blobs.list("/many")).hasSize(3_000).isSorted();
            assertThat(blobs.get("/many/2718").text()).isEqualTo("of 2718");
            assertThat(old.get("/many/2718"))
                    .hasValueSatisfying(got -> assertThat(got).isEqualTo(bytes("of 2718")));

            assertThat(blobs.delete("/many").status()).isEqualTo(200);
            assertThat(database.count("SELECT count(*) FROM pg_largeobject_metadata"))
                    .isEqualTo(5);
            Leftovers.assertNone(database);
        }
    }

    @Test
    void versionTwoIsServedAsItIs() throws Exception {
        OldState.createSchema(Old.database(database));
        database.execute("""
                INSERT INTO files (file_oid, backend, name, type, size, sha512) VALUES
                    (lo_from_bytea(0, 'hello'), 'postgres', '/whole', 'text/plain', 5, sha512('hello')),
                    (lo_from_bytea(0, 'unproven'), 'postgres', '/without digest', '', 8, NULL),
                    (lo_create(0), 'postgres', '/empty', '', 0, sha512('')),
                    (lo_from_bytea(0, 'odd'), 'postgres', E'/odd \\u0001\\t\\n\\r\\\\"\\u007f\\u00e9e\\u0301\\U0001F600%+_', E'odd; \\u00e9', 3, sha512('odd')),
                    (lo_from_bytea(0, 'typed'), 'postgres', '/type', E'text/\\u65e5\\u672c', 5, sha512('typed')),
                    (lo_from_bytea(0, 'space'), 'postgres', '/ ', '', 5, sha512('space')),
                    (lo_from_bytea(0, 'unreachable'), 'postgres', '/not//clean/', '', 11, NULL),
                    (lo_from_bytea(0, 'unreachable'), 'postgres', 'no slash', '', 11, NULL)
                """);
        database.execute("""
                INSERT INTO files (file_oid, backend, name, type, size) VALUES
                    (lo_from_bytea(0, 'first'), 'postgres', '/replaced', '', 5),
                    (lo_from_bytea(0, 'gone'), 'postgres', '/deleted', '', 4);
                UPDATE files SET deleted_at = now() WHERE name IN ('/replaced', '/deleted');
                INSERT INTO files (file_oid, backend, name, type, size)
                    VALUES (lo_from_bytea(0, 'second'), 'postgres', '/replaced', '', 6);
                INSERT INTO files (external_id, backend, name, type, size, deleted_at)
                    VALUES (uuid_generate_v4(), 's3main', '/deleted', '', 4, now())
                """);

        try (OurServer server = OurServer.start(database, Map.of());
                Blobstore blobs = new Blobstore(server.url())) {
            assertThat(blobs.get("/whole").text()).isEqualTo("hello");
            assertThat(blobs.get("/without digest").text()).isEqualTo("unproven");
            assertThat(blobs.get("/without digest", "If-None-Match", "\"x\"").text())
                    .isEqualTo("unproven");
            assertThat(blobs.get("/without digest", "Range", "bytes=2-4").text())
                    .isEqualTo("pro");
            assertThat(blobs.get("/empty").body()).isEmpty();
            String odd = "/odd \u0001\t\n\r\\\"\u007f\u00e9e\u0301\uD83D\uDE00%+_";
            Answer got = blobs.get(odd);
            assertThat(got.text()).isEqualTo("odd");
            assertThat(got.header("Content-Type")).contains(raw("odd; \u00e9"));
            assertThat(blobs.get("/type").header("Content-Type")).contains(raw("text/\u65e5\u672c"));
            assertThat(new String(blobs.get("/type", "Range", "bytes=0-0,2-2").body(), StandardCharsets.UTF_8))
                    .contains("Content-Type: text/\u65e5\u672c\r\n");
            assertThat(blobs.get("/ ").text()).isEqualTo("space");
            assertThat(blobs.get("/replaced").text()).isEqualTo("second");
            assertThat(blobs.get("/deleted").status()).isEqualTo(404);
            assertThat(blobs.list("/"))
                    .contains(odd, "/ ", "/replaced", "/whole", "/not/")
                    .doesNotContain("/deleted");
            assertThat(blobs.put("/deleted", "again").status()).isEqualTo(200);
            assertThat(blobs.get("/deleted").text()).isEqualTo("again");
            Leftovers.assertNone(database);
        }
    }

    @Test
    void holesInLargeObjectsAreZeros() throws Exception {
        OldState.createSchema(Old.database(database));
        database.execute("""
                DO $$
                DECLARE sparse oid := lo_create(0); tail oid := lo_create(0);
                BEGIN
                    PERFORM lo_put(sparse, 1000000, 'middle');
                    PERFORM lo_put(sparse, 3000000, 'end');
                    PERFORM lo_put(tail, 3000000000, '!');
                    INSERT INTO files (file_oid, backend, name, type, size) VALUES
                        (sparse, 'postgres', '/sparse', '', 3000003), (tail, 'postgres', '/huge', '', 3000000001);
                END
                $$
                """);
        byte[] expected = new byte[3_000_003];
        System.arraycopy(bytes("middle"), 0, expected, 1_000_000, 6);
        System.arraycopy(bytes("end"), 0, expected, 3_000_000, 3);

        try (OurServer server = OurServer.start(database, Map.of());
                Blobstore blobs = new Blobstore(server.url())) {
            assertThat(blobs.get("/sparse").body()).isEqualTo(expected);
            assertThat(blobs.get("/sparse", "Range", "bytes=999998-1000001").body())
                    .isEqualTo(new byte[] {0, 0, 'm', 'i'});
            assertThat(blobs.head("/huge").header("Content-Length")).contains("3000000001");
            assertThat(blobs.get("/huge", "Range", "bytes=2999999999-").body()).isEqualTo(new byte[] {0, '!'});
            assertThat(blobs.get("/huge", "Range", "bytes=-1").text()).isEqualTo("!");
            assertThat(blobs.get("/huge", "Range", "bytes=3000000001-").status())
                    .isEqualTo(416);
        }
    }

    @Test
    void rowsInBackendsThatAreUnknownHereHurtNoOthers() throws Exception {
        OldState.createSchema(Old.database(database));
        database.execute("""
                INSERT INTO files (external_id, backend, name, type, size, sha512)
                    VALUES (uuid_generate_v4(), 'gcsmain', '/folder/elsewhere', 'text/plain', 5, sha512('hello'));
                INSERT INTO files (file_oid, backend, name, type, size)
                    VALUES (lo_from_bytea(0, 'here'), 'postgres', '/folder/here', '', 4)
                """);

        try (OurServer server = OurServer.start(database, Map.of());
                Blobstore blobs = new Blobstore(server.url())) {
            Answer elsewhere = blobs.get("/folder/elsewhere");
            assertThat(elsewhere.status()).isEqualTo(503);
            assertThat(elsewhere.header("Retry-After")).isPresent();
            assertThat(elsewhere.text()).contains("gcsmain");
            Answer head = blobs.head("/folder/elsewhere");
            assertThat(head.status()).isEqualTo(200);
            assertThat(head.header("Content-Length")).contains("5");
            assertThat(blobs.get("/folder/here").text()).isEqualTo("here");
            assertThat(blobs.list("/folder")).containsExactly("/folder/elsewhere", "/folder/here");
            assertThat(blobs.put("/folder/elsewhere", "replaced").status()).isEqualTo(200);
            assertThat(blobs.get("/folder/elsewhere").text()).isEqualTo("replaced");
            assertThat(blobs.delete("/folder").status()).isEqualTo(200);
            assertThat(blobs.list("/folder")).isEmpty();
        }
    }

    @Test
    void movedBlobIsServedFromItsBucketAlthoughTheLargeObjectIsStillThere() throws Exception {
        OldState.createSchema(Old.database(database));
        String key = UUID.randomUUID().toString();
        try (S3 s3 = new S3()) {
            s3.store().overwrite(S3.BUCKET, key, bytes("moved"));
            database.execute("""
                    INSERT INTO files (file_oid, external_id, backend, name, type, size)
                    VALUES (lo_from_bytea(0, 'stale'), '%s', 's3main', '/moved', '', 5)
                    """.formatted(key));

            try (OurServer server = OurServer.start(database, s3.known());
                    Blobstore blobs = new Blobstore(server.url())) {
                assertThat(blobs.read("/moved").text()).isEqualTo("moved");
                blobs.delete("/moved");
                assertThat(database.count("SELECT count(*) FROM pg_largeobject_metadata"))
                        .isZero();
            }
        }
    }
}
