package io.flynn.blobstore.testkit.story;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The story's own tools on real parts: they make what they say, and they see damage. */
class StoryPartsIT {

    private static final long SEED = Demo.SEED;
    private static final String BUCKET = "parts";

    @Test
    void theWholeStateIsAsLargeAsTheStoryWantsIt() {
        OldState whole = OldState.whole(SEED);

        assertThat(whole.blobs().size()).isBetween(150, 250);
        assertThat(whole.bytes()).isBetween(280_000_000L, 330_000_000L);
        assertThat(whole.blobs()).extracting(blob -> blob.content().size()).contains(0L, 1L, 40_000_000L);
        assertThat(whole.blobs()).extracting(OldState.Blob::name).doesNotHaveDuplicates();
        assertThat(whole.equals(OldState.whole(SEED))).isTrue();
    }

    @Test
    void aBackupBringsBackEveryRowAndLargeObject(@TempDir Path folder) throws Exception {
        OldState old = OldState.light(SEED);
        Ledger ledger = new Ledger();
        try (EmbeddedPg.Database source = EmbeddedPg.database();
                EmbeddedPg.Database scratch = EmbeddedPg.database();
                LocalS3 s3 = s3();
                StoredBlobs before = new StoredBlobs(database(source), new Bucket(location(s3)));
                StoredBlobs restored = new StoredBlobs(database(scratch), new Bucket(location(s3)))) {
            old.write(database(source), ledger);
            Backup backup = new OwnDump();
            Path file = folder.resolve("blobs.dump");

            backup.take(database(source), file);
            backup.restore(file, database(scratch));

            assertThat(Files.size(file)).isBetween(old.bytes(), old.bytes() + old.bytes() / 10);
            assertThat(restored.rows()).isEqualTo(before.rows()).hasSameSizeAs(old.blobs());
            assertThat(restored.largeObjects()).isEqualTo(old.blobs().size());
            assertThat(scratch.count("SELECT count(*) FROM files WHERE deleted_at IS NOT NULL"))
                    .isPositive();
            assertThat(scratch.count("SELECT count(*) FROM files WHERE sha512 IS NULL"))
                    .isPositive();
            for (String name : ledger.names()) {
                StoredBlobs.Stored stored = restored.read(name).orElseThrow();
                assertThat(ledger.read(name).possible()).as(name).containsExactly(stored.bytes());
                assertThat(stored.row().agreesWith(stored.bytes().orElseThrow()))
                        .isTrue();
            }
        }
    }

    @Test
    void whatIsStoredIsSeenAsItIs() throws Exception {
        try (EmbeddedPg.Database source = EmbeddedPg.database();
                LocalS3 s3 = s3();
                StoredBlobs stored = new StoredBlobs(database(source), new Bucket(location(s3)))) {
            OldState.createSchema(database(source));
            byte[] bytes = Content.of(SEED, "object", 100_000).bytes();
            String key = "aaaaaaaa-0000-5000-8000-000000000001";
            s3.overwrite(BUCKET, key, bytes);
            s3.overwrite(BUCKET, "stray", bytes);
            source.execute("""
                    INSERT INTO files (backend, name, type, size, external_id, file_oid) VALUES
                        ('s3main', '/object', '', 100000, '%s', NULL),
                        ('s3main', '/no-object', '', 1, 'aaaaaaaa-0000-5000-8000-000000000002', NULL),
                        ('postgres', '/no-large-object', '', 1, NULL, 4711);
                    """.formatted(key));

            assertThat(stored.read("/object").orElseThrow().bytes()).contains(Fingerprint.of(bytes));
            assertThat(stored.read("/no-object").orElseThrow().bytes()).isEmpty();
            assertThat(stored.read("/no-large-object").orElseThrow().bytes()).isEmpty();
            assertThat(stored.read("/no-row")).isEqualTo(Optional.empty());
            assertThat(stored.strayObjects()).isEqualTo(1);
            assertThat(Map.copyOf(stored.rows())).hasSize(3);
        }
    }

    @Test
    void aCrashedPostgresHasWhatWasCommitted() throws Exception {
        try (Postgres postgres = Postgres.start()) {
            Database database = postgres.create("blobs");
            OldState.createSchema(database);
            try (Connection cut = database.connect()) {
                postgres.crash();

                assertThatThrownBy(() -> Database.number(cut, "SELECT 1")).isInstanceOf(SQLException.class);
            }
            assertThat(database.number("SELECT count(*) FROM schema_migrations"))
                    .isEqualTo(2);
        }
    }

    private static LocalS3 s3() {
        LocalS3 s3 = LocalS3.start();
        s3.createBucket(BUCKET);
        return s3;
    }

    private static Bucket.Location location(LocalS3 s3) {
        return new Bucket.Location(
                s3.endpoint(), LocalS3.REGION, BUCKET, LocalS3.ACCESS_KEY_ID, LocalS3.SECRET_ACCESS_KEY);
    }

    private static Database database(EmbeddedPg.Database database) {
        return new Database(database.host(), database.port(), database.name(), EmbeddedPg.SUPERUSER, "");
    }
}
