package io.flynn.blobstore.testkit.story;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.fabric8.kubernetes.api.model.ContainerStateTerminated;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Several pods of one copy stage, each a process of its own, over one database; one of them dies whenever it comes back. */
@Tag("long")
class SharedCopyIT {

    private static final Duration PATIENCE = Duration.ofMinutes(2);

    private static final int BLOBS = 8_000;

    /** So slow that a pod that comes later finds something left. */
    private static final Duration SLOW_PUT = Duration.ofMillis(250);

    private static final Pattern COPIED = Pattern.compile("\"COPIED_BLOBS\":([0-9]+)");

    @TempDir
    private Path folder;

    @Test
    void theOthersCompleteWhatOneThatDiesForEverHasBegun() throws Exception {
        try (LocalWorld world = LocalWorld.start(folder)) {
            OldState.createSchema(world.database());
            world.database().execute("""
                    INSERT INTO files (file_oid, backend, name, type, size, sha512)
                    SELECT lo_from_bytea(0, b), 'postgres', '/blob ' || i, '', length(b), sha512(b)
                    FROM (SELECT i, convert_to('blob ' || i, 'UTF8') AS b FROM generate_series(1, %d) i) blobs""".formatted(BLOBS));
            world.startBlobstore();
            world.apply(Story.backendYaml(world));
            world.await("bsb/s3main", "Ready", PATIENCE);
            world.s3().delayPuts(SLOW_PUT);
            world.apply("""
                    apiVersion: blobstore.flynn.io/v1alpha1
                    kind: BlobMigration
                    metadata: {name: shared}
                    spec:
                      workload: {name: blobstore}
                      from: postgres
                      to: s3main
                      concurrencyPerPod: 2
                      failurePolicy: {podBackoffLimit: 20}
                    """);
            world.awaitMoved(1);

            resize(world, 3);
            await().atMost(PATIENCE).until(() -> working(world).size() == 3);
            Set<String> survivors = new HashSet<>(working(world));
            world.awaitMoved(BLOBS / 4);
            survivors.remove(world.killPodOf("copy"));
            Set<String> moved = world.database().movedObjects();
            while (!isDone(world)) {
                working(world).stream().filter(pod -> !survivors.contains(pod)).forEach(world::killPod);
                Thread.sleep(Duration.ofMillis(50));
            }
            world.await("bm/shared", "Complete", PATIENCE);

            assertThat(jobs(world)).as("the Job was not made again").hasSize(1);
            assertThat(jobs(world).getFirst().getSpec().getCompletions()).isNull();
            assertThat(copied(world))
                    .as("both that lived had a part")
                    .hasSize(2)
                    .allMatch(blobs -> blobs > BLOBS / 20);
            assertThat(world.database()
                            .number("SELECT count(*) FROM files WHERE backend = 's3main' AND file_oid IS NULL"))
                    .isEqualTo(BLOBS);
            assertThat(world.s3().keysPutTwice()).doesNotContainAnyElementsOf(moved);
            try (StoredBlobs stored = new StoredBlobs(world.database(), new Bucket(world.bucket()))) {
                for (int i = 1; i <= BLOBS; i += 97) {
                    StoredBlobs.Stored blob = stored.read("/blob " + i).orElseThrow();
                    assertThat(blob.row().agreesWith(blob.bytes().orElseThrow()))
                            .isTrue();
                }
            }
        }
    }

    private static void resize(LocalWorld world, int pods) {
        world.kubernetes()
                .genericKubernetesResources("blobstore.flynn.io/v1alpha1", "BlobMigration")
                .withName("shared")
                .patch(PatchContext.of(PatchType.JSON_MERGE), "{\"spec\": {\"parallelism\": %d}}".formatted(pods));
    }

    private static List<Pod> pods(LocalWorld world) {
        return world.kubernetes()
                .pods()
                .withLabel("blobstore.flynn.io/stage", "copy")
                .list()
                .getItems();
    }

    private static Set<String> working(LocalWorld world) {
        return pods(world).stream()
                .filter(pod -> pod.getStatus() != null
                        && "Running".equals(pod.getStatus().getPhase()))
                .map(pod -> pod.getMetadata().getName())
                .collect(Collectors.toSet());
    }

    private static List<Job> jobs(LocalWorld world) {
        return world.kubernetes()
                .batch()
                .v1()
                .jobs()
                .withLabel("blobstore.flynn.io/stage", "copy")
                .list()
                .getItems();
    }

    private static boolean isDone(LocalWorld world) {
        return jobs(world).stream()
                .flatMap(job -> job.getStatus().getConditions().stream())
                .anyMatch(condition -> "Complete".equals(condition.getType()) || "Failed".equals(condition.getType()));
    }

    /** What those say that ended well. */
    private static List<Long> copied(LocalWorld world) {
        return pods(world).stream()
                .filter(pod -> "Succeeded".equals(pod.getStatus().getPhase()))
                .map(SharedCopyIT::end)
                .map(end -> COPIED.matcher(end.getMessage()))
                .filter(Matcher::find)
                .map(figure -> Long.valueOf(figure.group(1)))
                .toList();
    }

    private static ContainerStateTerminated end(Pod pod) {
        return pod.getStatus().getContainerStatuses().getFirst().getState().getTerminated();
    }
}
