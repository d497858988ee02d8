package io.flynn.blobstore.serve;

import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.store.Precondition;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.postgres.RetiredObjects;
import io.flynn.blobstore.store.postgres.Schema;
import io.flynn.blobstore.store.postgres.ServedCatalog;
import io.flynn.blobstore.store.postgres.UploadIntent;
import io.flynn.blobstore.store.s3.PartRoom;
import io.flynn.blobstore.store.s3.S3Clients;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.services.s3.S3AsyncClient;

/** Which objects of deleted rows go, and when. */
class ObjectCollectorIT {

    private static final String BUCKET = "blobs";
    private static final Duration AGE = Duration.ofMinutes(15);
    private static final int PER_SECOND = 10_000;

    private final EmbeddedPg.Database pg = EmbeddedPg.database();
    private final LocalS3 store = LocalS3.start();
    private final Map<String, String> environment = new HashMap<>(store.environment(S3MAIN, BUCKET));
    private final Database database =
            new Database(PgSettings.decode(pg.environment(EmbeddedPg.SUPERUSER)), "test", 2, Duration.ofSeconds(5));

    @BeforeEach
    void makeSchema() throws Exception {
        store.createBucket(BUCKET);
        try (Connection connection = pg.connect()) {
            Schema.upgrade(connection);
        }
    }

    @AfterEach
    void close() {
        database.close();
        store.close();
        pg.close();
    }

    @Test
    void objectsOfRowsThatWereDeletedLongAgoGo() {
        String old = row("s3main", "now() - interval '16 minutes'");
        String young = row("s3main", "now() - interval '14 minutes'");
        String live = row("s3main", "NULL");

        round();

        assertThat(store.sizes(BUCKET)).containsOnlyKeys(young, live).doesNotContainKey(old);
        assertThat(pg.texts("SELECT external_id FROM files ORDER BY deleted_at NULLS LAST"))
                .as("a deleted row without a key: its object is gone")
                .containsExactly(null, young, live);
    }

    @Test
    void manyGoInOneRound() {
        for (int i = 0; i < 45; i++) {
            row("s3main", "now() - interval '1 hour'");
        }

        round();

        assertThat(store.sizes(BUCKET)).isEmpty();
    }

    @Test
    void objectThatIsGoneAlreadyIsForgotten() {
        store.remove(BUCKET, row("s3main", "now() - interval '1 hour'"));

        round();

        assertThat(named()).isZero();
    }

    @Test
    void objectThatALiveRowNamesTooStays() {
        String key = row("s3main", "now() - interval '1 hour'");
        pg.execute("""
                INSERT INTO files (external_id, backend, name, type, size)
                VALUES ('%s', 's3main', '/shared', '', 4)""".formatted(key));

        round();

        assertThat(store.sizes(BUCKET)).containsOnlyKeys(key);
    }

    @Test
    void whatAnUploadThatNeverEndedLeftBehindGoes() {
        String key = row("s3main", "now() - interval '1 hour'");
        pg.execute("UPDATE files SET size = NULL");
        try (S3AsyncClient client = S3Clients.open(store.backend(S3MAIN, BUCKET), 1)) {
            client.createMultipartUpload(r -> r.bucket(BUCKET).key(key)).join();
        }
        assertThat(store.unfinishedUploads(BUCKET)).containsExactly(key);

        round();

        assertThat(store.unfinishedUploads(BUCKET)).isEmpty();
        assertThat(store.sizes(BUCKET)).isEmpty();
        assertThat(named()).isZero();
    }

    @Test
    void whatTheStoreRefusesIsTriedAFewTimesOnlyAndAgainInTheNextRound() {
        for (int i = 0; i < 30; i++) {
            row("s3main", "now() - interval '1 hour'");
        }
        store.deny(LocalS3.Operation.DELETE);

        round();

        assertThat(store.count(LocalS3.Operation.DELETE)).isEqualTo(3);
        assertThat(named()).isEqualTo(30);

        store.deny();
        round();

        assertThat(store.sizes(BUCKET)).isEmpty();
        assertThat(named()).isZero();
    }

    @Test
    void objectsThatCannotBeDeletedKeepNoOthersBack() {
        for (int i = 0; i < 30; i++) {
            row("s3main", "now() - interval '1 hour'");
        }
        List<String> held =
                pg.texts("SELECT external_id FROM files ORDER BY file_id").subList(3, 8);
        store.hold(held);

        try (Backends backends =
                        new Backends(BackendEnvironment.decode(environment), new PartRoom(1 << 20, Optional.empty()));
                ObjectCollector collector =
                        new ObjectCollector(new RetiredObjects(database), backends, AGE, PER_SECOND)) {
            collector.round();
            collector.round();
            assertThat(store.sizes(BUCKET)).containsOnlyKeys(held);

            store.hold(List.of());
            collector.round();
        }
        assertThat(store.sizes(BUCKET)).isEmpty();
        assertThat(named()).isZero();
    }

    @Test
    void backendThatIsAwayKeepsNoOtherBack() {
        environment.put(
                "BACKEND_AWAY",
                "backend=minio endpoint=127.0.0.1:1 bucket=b access_key_id=a secret_access_key=b insecure=true");
        row("s3main", "now() - interval '1 hour'");
        String away = row("away", "now() - interval '1 hour'");
        String unknown = row("unknown", "now() - interval '1 hour'");

        round();

        assertThat(pg.texts("SELECT external_id FROM files WHERE external_id IS NOT NULL"))
                .containsExactlyInAnyOrder(away, unknown);
    }

    @Test
    void serversThatCollectAtOnceShareTheWork() {
        for (int i = 0; i < 60; i++) {
            row("s3main", "now() - interval '1 hour'");
        }

        CompletableFuture<Void> other = CompletableFuture.runAsync(this::round);
        round();
        other.join();

        assertThat(store.sizes(BUCKET)).isEmpty();
        assertThat(store.count(LocalS3.Operation.DELETE)).isEqualTo(60);
    }

    @Test
    void uploadThatMayHaveBeenHalfCollectedIsNotPublished() {
        ServedCatalog catalog = new ServedCatalog(database);
        try (UploadIntent upload = catalog.intend(new BlobName("/a"), "", S3MAIN)) {
            pg.execute("UPDATE files SET deleted_at = now() - interval '5 minutes'");

            assertThatThrownBy(() -> upload.publish(Precondition.NONE, new Digest().finish()))
                    .isInstanceOf(StorageFailure.Busy.class)
                    .hasMessageContaining("taken for dead");
        }
        assertThat(catalog.find(new BlobName("/a"))).isEmpty();
    }

    @Test
    void uploadThatIsPublishedWhileItIsCollectedIsRefused() {
        ServedCatalog catalog = new ServedCatalog(database);
        try (UploadIntent upload = catalog.intend(new BlobName("/a"), "", S3MAIN)) {
            new RetiredObjects(database).collect(S3MAIN.value(), Duration.ZERO, new UUID(0, 0), 10, retired -> retired);

            assertThatThrownBy(() -> upload.publish(Precondition.NONE, new Digest().finish()))
                    .isInstanceOf(StorageFailure.Busy.class);
        }
    }

    /** @return the key, under which there is an object */
    private String row(String backend, String deletedAt) {
        String key = UUID.randomUUID().toString();
        if (backend.equals("s3main")) {
            store.overwrite(BUCKET, key, "blob".getBytes(StandardCharsets.UTF_8));
        }
        pg.execute("""
                INSERT INTO files (external_id, backend, name, type, size, deleted_at)
                VALUES ('%s', '%s', '/%s', '', 4, %s)""".formatted(key, backend, key, deletedAt));
        return key;
    }

    private long named() {
        return pg.count("SELECT count(external_id) FROM files");
    }

    private void round() {
        try (Backends backends =
                        new Backends(BackendEnvironment.decode(environment), new PartRoom(1 << 20, Optional.empty()));
                ObjectCollector collector =
                        new ObjectCollector(new RetiredObjects(database), backends, AGE, PER_SECOND)) {
            collector.round();
        }
    }
}
