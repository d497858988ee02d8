package io.flynn.blobstore.manifest;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * Every permission has its reason here; one that has none fails the build, and so does a reason without its permission. That the program uses
 * exactly these is shown by the tests that record its requests.
 */
class RbacIsMinimalTest {
    private static final Map<String, String> REASONS = Map.ofEntries(
            Map.entry("blobstore.flynn.io/blobstorebackends list", "informer"),
            Map.entry("blobstore.flynn.io/blobstorebackends watch", "informer"),
            Map.entry("blobstore.flynn.io/blobstorebackends patch", "finalizer"),
            Map.entry("blobstore.flynn.io/blobstorebackends/status patch", "conditions"),
            Map.entry("blobstore.flynn.io/blobmigrations list", "informer"),
            Map.entry("blobstore.flynn.io/blobmigrations watch", "informer"),
            Map.entry("blobstore.flynn.io/blobmigrations/status patch", "conditions, ledger of stages"),
            Map.entry("configmaps get", "whether a migration's pods are told what its spec says"),
            Map.entry("configmaps create", "the limits of a migration, mounted in its pods"),
            Map.entry("configmaps patch", "the limits of a migration, by server-side apply"),
            Map.entry("secrets get", "the Secret that a backend names, and our own; by name only"),
            Map.entry("secrets create", "one immutable Secret for each configuration"),
            Map.entry("secrets delete", "configurations that no pod uses"),
            Map.entry(
                    "namespaces get",
                    "its own: its uid marks the bucket, and in one that terminates finalizers let go"),
            Map.entry("apps/deployments get", "what a migration is about to be decided on"),
            Map.entry("apps/deployments list", "informer"),
            Map.entry("apps/deployments watch", "informer: rollouts, and others' changes"),
            Map.entry("apps/deployments patch", "our environment entries, by server-side apply"),
            Map.entry("batch/jobs get", "whether a Job that is there already is ours"),
            Map.entry("batch/jobs list", "informer"),
            Map.entry("batch/jobs watch", "informer: stages that end"),
            Map.entry("batch/jobs create", "one Job for each attempt at a stage"),
            Map.entry("batch/jobs patch", "how many pods of a stage that runs share it"),
            Map.entry("batch/jobs delete", "a stage that is cancelled or suspended"),
            Map.entry("pods list", "termination messages, waiting reasons, pods of the old configuration"),
            Map.entry("pods/log get", "the worker's progress lines"),
            Map.entry("coordination.k8s.io/leases get", "leader election"),
            Map.entry("coordination.k8s.io/leases create", "leader election"),
            Map.entry("coordination.k8s.io/leases update", "JOSDK asks whether it may, and doesn't start if not"),
            Map.entry("coordination.k8s.io/leases patch", "leader election: taking over, renewing, giving back"));

    @Test
    void everyPermissionHasAReason() {
        assertThat(granted()).isEqualTo(new TreeMap<>(REASONS).keySet());
    }

    @Test
    void nothingIsGrantedByPattern() {
        assertThat(granted()).noneMatch(permission -> permission.contains("*"));
    }

    private static Set<String> granted() {
        return Permission.granted().stream().map(Permission::toString).collect(Collectors.toCollection(TreeSet::new));
    }
}
