package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.io.InputStream;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A database as the old program leaves it behind: its schema in both versions, its large objects, its rows. Every content is a
 * function of the seed.
 *
 * @param blobs in the order in which they were uploaded
 */
public record OldState(List<Blob> blobs) {

    /**
     * One upload of the past.
     *
     * @param hasDigest rows from before the old program kept digests have none
     */
    public record Blob(String name, String type, Content content, boolean hasDigest) {}

    /** What the old program runs on an empty database (BLOBSTORE-PROTOCOL, "Database"), its first migration. */
    private static final String FIRST_SCHEMA = """
            CREATE TABLE schema_migrations (id int PRIMARY KEY);
            CREATE TABLE files (
                file_id oid PRIMARY KEY DEFAULT lo_create(0),
                name text UNIQUE NOT NULL,
                size bigint,
                type text,
                digest text,
                created_at timestamptz NOT NULL DEFAULT current_timestamp
            );
            CREATE FUNCTION delete_file() RETURNS TRIGGER AS $$
                BEGIN
                    PERFORM lo_unlink(OLD.file_id);
                    RETURN NULL;
                END;
            $$ LANGUAGE plpgsql;
            CREATE TRIGGER delete_file AFTER DELETE ON files FOR EACH ROW EXECUTE PROCEDURE delete_file();
            INSERT INTO schema_migrations (id) VALUES (1);
            """;

    /** Its second one. */
    private static final String SECOND_SCHEMA = """
            CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
            ALTER TABLE files RENAME TO old_files;
            CREATE TABLE files (
                file_id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
                file_oid oid,
                external_id uuid,
                backend text NOT NULL,
                name text NOT NULL,
                type text NOT NULL,
                size bigint,
                sha512 bytea,
                sha512_state bytea,
                created_at timestamptz NOT NULL DEFAULT now(),
                updated_at timestamptz NOT NULL DEFAULT now(),
                deleted_at timestamptz
            );
            CREATE INDEX files_file_oid ON files (file_oid);
            CREATE UNIQUE INDEX files_name ON files (name) WHERE deleted_at IS NULL;
            INSERT INTO files (file_oid, backend, name, type, size, sha512, created_at, updated_at)
                SELECT file_id, 'postgres', name, coalesce(type, ''), size, decode(digest, 'hex'), created_at, created_at
                FROM old_files;
            DROP TABLE old_files;
            DROP FUNCTION delete_file();
            CREATE FUNCTION delete_file() RETURNS TRIGGER AS $$
                BEGIN
                    IF NEW.deleted_at IS NOT NULL AND NEW.file_oid IS NOT NULL THEN
                        PERFORM lo_unlink(NEW.file_oid);
                        NEW.file_oid := NULL;
                    END IF;
                    RETURN NEW;
                END;
            $$ LANGUAGE plpgsql;
            CREATE TRIGGER delete_file BEFORE UPDATE OF deleted_at ON files FOR EACH ROW EXECUTE PROCEDURE delete_file();
            INSERT INTO schema_migrations (id) VALUES (2);
            """;

    private static final String INSERT = """
            INSERT INTO files (file_oid, backend, name, type, size, sha512, created_at, updated_at)
            VALUES (?, 'postgres', ?, ?, ?, ?, now() - make_interval(hours => ?), now() - make_interval(hours => ?))
            """;

    /** Large enough that the round trips don't count, small enough for any heap. */
    private static final int CHUNK_BYTES = 1 << 20;

    private static final List<String> APPS = List.of("dashboard", "mail relay", "søk+index");

    /** Names that broke something once: pattern characters, escapes, spaces, both Unicode forms, and a file beside a folder. */
    private static final List<String> HOSTILE_NAMES = List.of(
            "/100%",
            "/1000/x",
            "/a.b",
            "/aXb",
            "/foo+bar",
            "/under_score",
            "/under-score",
            "/with space and  two",
            "/quoted \"name\" and 'that'",
            "/semi;colon&amp=1?not=query#nor-fragment",
            "/%2e%2e/escaped",
            "/naïve-caf\u00e9",
            "/naive-cafe\u0301",
            "/日本語/パッケージ.tar",
            "/emoji-🚀",
            "/back\\slash",
            "/[brackets](and) {braces}",
            "/.hidden/.*",
            "/$(echo hi)/`date`",
            "/very/deep/folder/of/one/blob");

    public OldState {
        blobs = List.copyOf(blobs);
    }

    /** What the demo starts with: 160 and some blobs, 0 bytes to 40 MB, about 300 MB. */
    public static OldState whole(long seed) {
        return releases(seed, 62, List.of(40_000_000L, 24_000_000L, 17_000_000L), 150_000, 5_400_000);
    }

    /** The same kinds of blobs, fewer and lighter, for tests: about 25 MB. */
    public static OldState light(long seed) {
        return releases(seed, 12, List.of(8_000_000L), 20_000, 700_000);
    }

    /**
     * Releases of three apps (each a slug and a layer, every third with a manifest) and names that are hard to get right.
     *
     * @param largestBytes sizes of the first releases
     */
    private static OldState releases(
            long seed, int releases, List<Long> largestBytes, long typicalMin, long typicalMax) {
        SplittableRandom random = new SplittableRandom(seed);
        List<Blob> blobs = new ArrayList<>();
        for (int release = 0; release < releases; release++) {
            String folder =
                    "/%s/releases/%08x-%04d".formatted(APPS.get(release % APPS.size()), random.nextInt(), release);
            long slugBytes =
                    release < largestBytes.size() ? largestBytes.get(release) : random.nextLong(typicalMin, typicalMax);
            add(blobs, seed, folder + "/slug.tgz", "application/gzip", slugBytes, random);
            add(blobs, seed, folder + "/layer.squashfs", "application/octet-stream", slugBytes / 4, random);
            if (release % 3 == 0) {
                add(blobs, seed, folder + "/manifest.json", "application/json", random.nextLong(100, 4_000), random);
            }
        }
        for (int i = 0; i < HOSTILE_NAMES.size(); i++) {
            // Around the sizes where something begins: nothing, one byte, a page of pg_largeobject, a chunk.
            long size =
                    List.of(0L, 1L, 2047L, 2048L, 2049L, 65_536L, 1_048_577L).get(i % 7);
            add(blobs, seed, HOSTILE_NAMES.get(i), i % 2 == 0 ? "" : "text/plain; charset=utf-8", size, random);
        }
        return new OldState(blobs);
    }

    private static void add(List<Blob> blobs, long seed, String name, String type, long size, SplittableRandom random) {
        blobs.add(new Blob(name, type, Content.of(seed, name, size), random.nextInt(10) != 0));
    }

    public long bytes() {
        return blobs.stream().mapToLong(blob -> blob.content().size()).sum();
    }

    /** Makes the schema in an empty database. */
    public static void createSchema(Database database) throws SQLException {
        createFirstSchema(database);
        database.execute(SECOND_SCHEMA);
    }

    /** Makes the schema of the releases before there were backends. */
    public static void createFirstSchema(Database database) throws SQLException {
        database.execute(FIRST_SCHEMA);
    }

    /**
     * Makes the schema in an empty database, and all blobs, which {@code ledger} then holds as acknowledged. Some names were
     * overwritten or deleted in the past, so there are deleted rows as well.
     */
    public void write(Database database, Ledger ledger) throws SQLException {
        createSchema(database);
        try (Connection connection = database.connect()) {
            connection.setAutoCommit(false);
            int age = blobs.size();
            for (Blob blob : blobs) {
                if (age % 20 == 0) {
                    insert(connection, new Blob(blob.name(), blob.type(), new Content(age, 3_000), true), age + 1);
                    delete(connection, blob.name());
                }
                ledger.acknowledged(blob.name(), insert(connection, blob, age--));
                connection.commit();
            }
        }
    }

    private static Fingerprint insert(Connection connection, Blob blob, int ageHours) throws SQLException {
        long oid = writeLargeObject(connection, blob.content());
        Fingerprint fingerprint = blob.content().fingerprint();
        try (PreparedStatement insert = connection.prepareStatement(INSERT)) {
            insert.setLong(1, oid);
            insert.setString(2, blob.name());
            insert.setString(3, blob.type());
            insert.setLong(4, blob.content().size());
            insert.setBytes(5, blob.hasDigest() ? HexFormat.of().parseHex(fingerprint.sha512()) : null);
            insert.setInt(6, ageHours);
            insert.setInt(7, ageHours);
            insert.executeUpdate();
        }
        return fingerprint;
    }

    private static void delete(Connection connection, String name) throws SQLException {
        try (PreparedStatement delete = connection.prepareStatement(
                "UPDATE files SET deleted_at = now() WHERE name = ? AND deleted_at IS NULL")) {
            delete.setString(1, name);
            delete.executeUpdate();
        }
    }

    private static long writeLargeObject(Connection connection, Content content) throws SQLException {
        long oid = Database.number(connection, "SELECT lo_create(0)");
        try (PreparedStatement put = connection.prepareStatement("SELECT lo_put(?, ?, ?)");
                InputStream bytes = content.open()) {
            long offset = 0;
            for (byte[] chunk = bytes.readNBytes(CHUNK_BYTES);
                    chunk.length > 0;
                    chunk = bytes.readNBytes(CHUNK_BYTES)) {
                put.setLong(1, oid);
                put.setLong(2, offset);
                put.setBytes(3, chunk);
                put.execute();
                offset += chunk.length;
            }
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
        return oid;
    }
}
