package io.flynn.blobstore.testkit.story;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** There, and back again while what the blobs left is kept: with the program as it is deployed, in pods that are processes. */
@Tag("long")
class RetentionIT {

    private static final Duration PATIENCE = Duration.ofMinutes(3);

    private static final String THERE = """
            apiVersion: blobstore.flynn.io/v1alpha1
            kind: BlobMigration
            metadata: {name: there}
            spec:
              workload: {name: blobstore}
              from: postgres
              to: s3main
              sourceCleanup: {retentionPeriod: 72h}
            """;

    @TempDir
    private Path folder;

    @Test
    void blobsComeBackByTheirRowsAndTheirLargeObjectsAreThoseOfOld() throws Exception {
        Ledger ledger = new Ledger();
        try (LocalWorld world = LocalWorld.start(folder);
                StoredBlobs stored = new StoredBlobs(world.database(), new Bucket(world.bucket()))) {
            OldState.light(1).write(world.database(), ledger);
            Map<String, Long> oids = oids(stored);
            world.startBlobstore();
            world.apply(Story.backendYaml(world));
            world.await("bsb/s3main", "Ready", PATIENCE);

            world.apply(THERE);
            world.await("bm/there", "Suspended", PATIENCE);
            assertThat(world.database()
                            .number("SELECT count(*) FROM files WHERE deleted_at IS NULL AND backend = 's3main'"))
                    .isEqualTo(oids.size());
            assertThat(stored.largeObjects()).isEqualTo(oids.size());

            world.kubernetes()
                    .genericKubernetesResources("blobstore.flynn.io/v1alpha1", "BlobstoreBackend")
                    .withName("s3main")
                    .patch(PatchContext.of(PatchType.JSON_MERGE), "{\"spec\": {\"default\": false}}");
            world.apply(Files.readString(Path.of("examples/migration-back.yaml")));
            // It is complete once no link to an object works any more, which is long.
            world.await("bm/s3-to-pg", "Verified", PATIENCE);
            world.await("bm/there", "Canceled", PATIENCE);

            assertThat(oids(stored)).as("the same large objects").isEqualTo(oids);
            assertThat(lastCopy(world)).contains("\"UPLOADS\":0").contains("\"COPIED_BLOBS\":" + oids.size());
            for (String name : ledger.names()) {
                StoredBlobs.Stored blob = stored.read(name).orElseThrow();
                assertThat(blob.row().isAtPostgres()).as(name).isTrue();
                assertThat(ledger.read(name).possible()).as(name).containsExactly(blob.bytes());
            }
        }
    }

    private static Map<String, Long> oids(StoredBlobs stored) throws Exception {
        Map<String, Long> oids = new TreeMap<>();
        stored.rows().forEach((name, row) -> oids.put(name, row.oid()));
        return oids;
    }

    /** What the copy of the migration back said at its end. */
    private static String lastCopy(LocalWorld world) {
        Pod pod = world.kubernetes()
                .pods()
                .withLabel("blobstore.flynn.io/stage", "copy")
                .withLabel("blobstore.flynn.io/migration", "s3-to-pg")
                .list()
                .getItems()
                .getLast();
        return pod.getStatus()
                .getContainerStatuses()
                .getFirst()
                .getState()
                .getTerminated()
                .getMessage();
    }
}
