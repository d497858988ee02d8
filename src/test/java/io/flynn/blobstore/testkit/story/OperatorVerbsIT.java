package io.flynn.blobstore.testkit.story;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.flynn.blobstore.manifest.Permission;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The operator is granted what it uses, all of it and nothing else: its requests on the paths that use each verb, against the
 * chart's Roles. On every other path the contract's tests on LocalCluster see that nothing else is used.
 */
class OperatorVerbsIT {

    /** JOSDK reads its own rules before it starts and misses this one, although its elector patches (LeaderElectionManager, 5.2.3). */
    private static final Permission ASKED_FOR = new Permission("update", "coordination.k8s.io", "leases");

    private static final Duration PATIENCE = Duration.ofMinutes(3);

    /** A copy of some 60 blobs takes longer than the operator takes to look at its progress. */
    private static final Duration SLOW_PUT = Duration.ofMillis(1_000);

    @TempDir
    private Path folder;

    @Test
    void areTheRoles() throws Exception {
        try (LocalWorld world = LocalWorld.start(folder)) {
            OldState.light(1).write(world.database(), new Ledger());
            world.startBlobstore();
            backendComesAndGoes(world);
            migrationIsSuspendedAndEnds(world);
            world.stopOperator();

            assertThat(used(world)).isEqualTo(Permission.granted());
        }
    }

    private static void backendComesAndGoes(LocalWorld world) throws Exception {
        world.apply(Story.backendYaml(world));
        world.await("bsb/s3main", "Ready", PATIENCE);
        var backend = world.kubernetes()
                .genericKubernetesResources("blobstore.flynn.io/v1alpha1", "BlobstoreBackend")
                .withName("s3main");
        backend.delete();
        Awaitility.await().atMost(PATIENCE).until(() -> backend.get() == null);
        world.stopOperator();
        world.startOperator();
        world.apply(Story.backendYaml(world));
        world.await("bsb/s3main", "Ready", PATIENCE);
    }

    private static void migrationIsSuspendedAndEnds(LocalWorld world) throws Exception {
        world.s3().delayPuts(SLOW_PUT);
        world.apply(Files.readString(Path.of("examples/migration.yaml")));
        world.awaitMoved(1);
        Awaitility.await()
                .atMost(PATIENCE)
                .until(() -> world.operatorsCalls().stream()
                        .anyMatch(call -> call.resource().equals("pods/log")));
        patch(world, "{\"spec\": {\"concurrencyPerPod\": 4, \"parallelism\": 2}}");
        for (String changed : List.of("configmaps", "jobs")) {
            Awaitility.await()
                    .atMost(PATIENCE)
                    .until(() -> world.operatorsCalls().stream()
                            .anyMatch(call -> call.resource().equals(changed)
                                    && call.verb().equals("patch")));
        }
        suspend(world, true);
        world.await("bm/pg-to-s3", "Suspended", PATIENCE);
        world.s3().delayPuts(Duration.ZERO);
        suspend(world, false);
        world.await("bm/pg-to-s3", "Complete", PATIENCE);
    }

    private static void suspend(LocalWorld world, boolean suspended) {
        patch(world, "{\"spec\": {\"suspend\": %s}}".formatted(suspended));
    }

    private static void patch(LocalWorld world, String change) {
        world.kubernetes()
                .genericKubernetesResources("blobstore.flynn.io/v1alpha1", "BlobMigration")
                .withName("pg-to-s3")
                .patch(PatchContext.of(PatchType.JSON_MERGE), change);
    }

    private static Set<Permission> used(LocalWorld world) {
        Set<Permission> used = Permission.used(world.operatorsCalls());
        assertThat(used).doesNotContain(ASKED_FOR);
        used.add(ASKED_FOR);
        return used;
    }
}
