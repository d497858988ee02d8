package io.flynn.blobstore.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import java.time.Duration;
import org.awaitility.Awaitility;

/** That nothing is kept for ever which no row names, and nothing is missing that one does. */
final class Leftovers {

    /** What broke off is given up once the server has noticed. */
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private Leftovers() {}

    static void assertNone(EmbeddedPg.Database database) {
        Awaitility.await().atMost(PATIENCE).untilAsserted(() -> {
            assertThat(database.texts("SELECT oid::text FROM pg_largeobject_metadata"))
                    .containsExactlyInAnyOrderElementsOf(
                            database.texts("SELECT file_oid::text FROM files WHERE file_oid IS NOT NULL"));
            assertThat(database.count(
                            "SELECT count(*) FROM files WHERE file_oid IS NOT NULL AND deleted_at IS NOT NULL"))
                    .isZero();
            assertThat(database.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                            + " AND pid <> pg_backend_pid() AND state <> 'idle'"))
                    .isZero();
        });
    }

    /** Objects of replaced and deleted versions stay for a while: rows name them. */
    static void assertNone(EmbeddedPg.Database database, LocalS3 store) {
        assertNone(database);
        Awaitility.await().atMost(PATIENCE).untilAsserted(() -> {
            assertThat(store.unfinishedUploads(S3.BUCKET)).isEmpty();
            assertThat(store.sizes(S3.BUCKET).keySet())
                    .isSubsetOf(database.texts("SELECT external_id::text FROM files WHERE external_id IS NOT NULL"))
                    .containsAll(database.texts(
                            "SELECT external_id::text FROM files WHERE backend = 's3main' AND deleted_at IS NULL"));
        });
    }
}
