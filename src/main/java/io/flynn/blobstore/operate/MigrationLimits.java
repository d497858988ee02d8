package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.OwnerReferenceBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.flynn.blobstore.api.v1alpha1.BlobMigration;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationSpec;
import io.flynn.blobstore.decide.TransferLimits;
import java.util.Map;
import java.util.Optional;

/**
 * What a migration's pods are told while they run: a ConfigMap that is mounted in them. The kubelet brings a change to them
 * within two minutes; nothing is restarted.
 */
final class MigrationLimits {

    /** Where the pods find it; nobody else's paths begin so. */
    static final String DIRECTORY = "/etc/blobstore-limits";

    static final String FILE = "limits";

    private final KubernetesClient client;

    MigrationLimits(KubernetesClient client) {
        this.client = client;
    }

    static String name(String uid) {
        return uid + "-limits";
    }

    /**
     * How many pods copy: as many as the spec asks for, as long as its limit has for each of them the least rate that one can be
     * held to.
     */
    static int pods(BlobMigrationSpec spec) {
        long bytes = SpecBytes.of(spec.bandwidthLimit());
        return bytes == 0 ? spec.parallelism() : Math.clamp(bytes / TransferLimits.BYTES_MIN, 1, spec.parallelism());
    }

    /** The spec's limit is that of all pods together; 0 = none. */
    private static long bytesPerSecondOfEach(BlobMigrationSpec spec) {
        long bytes = SpecBytes.of(spec.bandwidthLimit());
        return bytes == 0 ? 0 : Math.clamp(bytes / pods(spec), TransferLimits.BYTES_MIN, TransferLimits.BYTES_MAX);
    }

    /** Whether the pods are told something else than the spec has; asks the API server. */
    boolean differ(BlobMigration migration) {
        return !isSaidIn(find(migration), migration);
    }

    private static boolean isSaidIn(Optional<ConfigMap> found, BlobMigration migration) {
        return found.map(ConfigMap::getData).equals(Optional.of(data(migration.getSpec())));
    }

    private Optional<ConfigMap> find(BlobMigration migration) {
        return Optional.ofNullable(client.configMaps()
                .inNamespace(migration.getMetadata().getNamespace())
                .withName(name(migration.getMetadata().getUid()))
                .get());
    }

    /** Tells the pods, those to come and those that run, what the spec has now, unless they are told it already. */
    void write(BlobMigration migration) {
        Optional<ConfigMap> found = find(migration);
        if (found.isEmpty()) {
            client.resource(of(migration)).create();
            return;
        }
        if (isSaidIn(found, migration)) {
            return;
        }
        client.resource(of(migration))
                .patch(new PatchContext.Builder()
                        .withPatchType(PatchType.SERVER_SIDE_APPLY)
                        .withForce(true)
                        .withFieldManager(MigrationReconciler.FIELD_MANAGER)
                        .build());
    }

    static ConfigMap of(BlobMigration migration) {
        String uid = migration.getMetadata().getUid();
        return new ConfigMapBuilder()
                .withNewMetadata()
                .withName(name(uid))
                .withNamespace(migration.getMetadata().getNamespace())
                .withLabels(Map.of(
                        Labels.MANAGED_BY,
                        Labels.OPERATOR,
                        Labels.MIGRATION,
                        Labels.value(migration.getMetadata().getName())))
                .withOwnerReferences(new OwnerReferenceBuilder()
                        .withApiVersion(migration.getApiVersion())
                        .withKind(migration.getKind())
                        .withName(migration.getMetadata().getName())
                        .withUid(uid)
                        .withController(true)
                        .build())
                .endMetadata()
                .withData(data(migration.getSpec()))
                .build();
    }

    static Map<String, String> data(BlobMigrationSpec spec) {
        return Map.of(
                FILE,
                "concurrency: %d\nbytes-per-second: %d\n"
                        .formatted(spec.concurrencyPerPod(), bytesPerSecondOfEach(spec)));
    }
}
