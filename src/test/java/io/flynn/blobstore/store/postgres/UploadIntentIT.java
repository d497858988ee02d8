package io.flynn.blobstore.store.postgres;

import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.store.Precondition;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class UploadIntentIT {

    private static final BlobName NAME = new BlobName("/a");
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final EmbeddedPg.Database files = EmbeddedPg.database();
    private final Database database =
            new Database(PgSettings.decode(files.environment(EmbeddedPg.SUPERUSER)), "test", 2, Duration.ofSeconds(5));
    private final ServedCatalog catalog =
            new ServedCatalog(database, new ServedCatalog.Memory(1 << 18, 1), Duration.ofMillis(20));

    @BeforeEach
    void makeSchema() {
        database.with("make the schema", connection -> {
            Schema.upgrade(connection);
            return connection;
        });
    }

    @AfterEach
    void close() {
        database.close();
        files.close();
    }

    @Test
    void isKeptYoungWhileTheUploadRuns() {
        try (UploadIntent intent = intend()) {
            assertThat(intent.key().value().version()).isEqualTo(4);
            files.execute("UPDATE files SET deleted_at = now() - interval '2 minutes'");
            Awaitility.await().atMost(PATIENCE).until(() -> count("deleted_at > now() - interval '1 minute'") == 1);
        }
    }

    @Test
    void signsThatCantBeGivenAreCounted() {
        SimpleMeterRegistry metrics = new SimpleMeterRegistry();
        catalog.observe(metrics);
        try (UploadIntent intent = intend()) {
            assertThat(intent.key()).isNotNull();
            files.execute("ALTER TABLE files RENAME TO elsewhere");

            Awaitility.await()
                    .atMost(PATIENCE)
                    .until(() -> metrics.get("blobstore.uploads.signs.missed")
                                    .functionCounter()
                                    .count()
                            >= 2);
        }
    }

    @Test
    void isNotTouchedOnceItIsPublished() {
        try (UploadIntent intent = intend()) {
            intent.publish(Precondition.NONE, Blobs.contentOf("x"));
            files.execute("UPDATE files SET updated_at = '2020-01-01'");
            try (UploadIntent other = catalog.intend(new BlobName("/b"), "", S3MAIN)) {
                files.execute("UPDATE files SET deleted_at = now() - interval '2 minutes' WHERE name = '/b'");
                Awaitility.await()
                        .atMost(PATIENCE)
                        .until(() -> count("name = '/b' AND deleted_at > now() - interval '1 minute'") == 1);
                other.withdraw(new IllegalStateException());
            }
            assertThat(count("name = '/a' AND deleted_at IS NULL AND size = 1")).isOne();
        }
    }

    @Test
    void cantBePublishedOnceItsObjectWasCollected() {
        try (UploadIntent intent = intend()) {
            files.execute("UPDATE files SET external_id = NULL");

            assertThatThrownBy(() -> intent.publish(Precondition.NONE, Blobs.contentOf("x")))
                    .isInstanceOf(StorageFailure.Busy.class)
                    .hasMessageContaining("taken for dead");
        }
        assertThat(count("deleted_at IS NULL")).isZero();
    }

    @Test
    void preconditionThatFailsChangesNothing() {
        try (UploadIntent intent = intend()) {
            assertThatThrownBy(() -> intent.publish(
                            live -> {
                                throw new IllegalArgumentException("no");
                            },
                            Blobs.contentOf("x")))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThat(count("deleted_at IS NOT NULL AND size IS NULL AND external_id IS NOT NULL"))
                    .isOne();
        }
    }

    @Test
    void isGoneOnceItIsWithdrawn() {
        try (UploadIntent intent = intend()) {
            intent.withdraw(new IllegalStateException());
        }

        assertThat(count("true")).isZero();
    }

    @Test
    void isNoBlobForAnybodyElse() {
        try (UploadIntent intent = intend()) {
            assertThat(catalog.find(NAME)).isEmpty();
            MoveCatalog moves = new MoveCatalog(database);
            assertThat(moves.count(S3MAIN, BlobFilter.ALL).blobs()).isZero();
            catalog.delete(NAME, Precondition.NONE);
            intent.publish(Precondition.NONE, Blobs.contentOf("x"));
            assertThat(catalog.find(NAME)).isPresent();
        }
    }

    private UploadIntent intend() {
        return catalog.intend(NAME, "text/plain", S3MAIN);
    }

    private long count(String condition) {
        return files.texts("SELECT 1 FROM files WHERE " + condition).size();
    }
}
