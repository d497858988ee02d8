package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubernetes.api.model.IntOrString;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentCondition;
import io.fabric8.kubernetes.api.model.apps.DeploymentConditionBuilder;
import io.fabric8.kubernetes.api.model.apps.DeploymentStatus;
import io.fabric8.kubernetes.api.model.apps.DeploymentStatusBuilder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Rolls Deployments out: RollingUpdate within its surge and its availability, or Recreate.
 *
 * <p>Its pods belong to it directly, with the template's hash in their names and labels: nothing in the product looks at ReplicaSets.
 */
final class DeploymentController {

    private static final String HASH = "pod-template-hash";

    /** When a Deployment last got on, and what it looked like then. */
    private record Progress(List<Object> seen, Instant at) {}

    private final ClusterObjects objects;
    private final InstantSource clock;
    private final WorkQueue queue;
    private final Map<ObjectStore.Key, Progress> progress = new HashMap<>();

    DeploymentController(ClusterObjects objects, InstantSource clock) {
        this.objects = objects;
        this.clock = clock;
        queue = new WorkQueue("local-deployments", this::reconcile);
    }

    WorkQueue queue() {
        return queue;
    }

    private void reconcile(ObjectStore.Key key) {
        Optional<Deployment> found =
                objects.find(ResourceTypes.DEPLOYMENTS, Deployment.class, key.namespace(), key.name());
        if (found.isEmpty() || found.get().getMetadata().getDeletionTimestamp() != null) {
            progress.remove(key);
            return;
        }
        Deployment deployment = found.get();
        String hash = hash(deployment);
        scale(deployment, hash, objects.podsOf(deployment));
        report(key, deployment, hash, objects.podsOf(deployment));
    }

    private void scale(Deployment deployment, String hash, List<Pod> pods) {
        int replicas = deployment.getSpec().getReplicas();
        List<Pod> present =
                pods.stream().filter(pod -> !PodFacts.isTerminating(pod)).toList();
        List<Pod> current = present.stream().filter(pod -> has(pod, hash)).toList();
        List<Pod> old = present.stream().filter(pod -> !has(pod, hash)).toList();
        boolean recreate = "Recreate".equals(deployment.getSpec().getStrategy().getType());

        if (recreate) {
            old.forEach(pod -> objects.delete(ResourceTypes.PODS, pod));
            boolean clear = pods.stream().allMatch(pod -> has(pod, hash));
            create(deployment, hash, clear ? replicas - current.size() : 0);
        } else {
            create(
                    deployment,
                    hash,
                    Math.min(replicas - current.size(), replicas + surge(deployment) - present.size()));
            removeOld(deployment, replicas, present, old);
        }
        current.stream().skip(replicas).forEach(pod -> objects.delete(ResourceTypes.PODS, pod));
    }

    /** Those that don't serve may go at once; of those that do, only as many as leave enough. */
    private void removeOld(Deployment deployment, int replicas, List<Pod> present, List<Pod> old) {
        long ready = present.stream().filter(PodFacts::isReady).count();
        long spare = ready - (replicas - unavailable(deployment));
        for (Pod pod : old) {
            if (!PodFacts.isReady(pod)) {
                objects.delete(ResourceTypes.PODS, pod);
            } else if (spare > 0) {
                spare--;
                objects.delete(ResourceTypes.PODS, pod);
            }
        }
    }

    private void create(Deployment deployment, String hash, int count) {
        for (int i = 0; i < count; i++) {
            var template = deployment.getSpec().getTemplate();
            Pod pod = new PodBuilder()
                    .withMetadata(template.getMetadata())
                    .editMetadata()
                    .withName(PodFacts.uniqueName(deployment.getMetadata().getName() + "-" + hash))
                    .withNamespace(deployment.getMetadata().getNamespace())
                    .addToLabels(HASH, hash)
                    .withOwnerReferences(PodFacts.controlledBy(deployment))
                    .endMetadata()
                    .withSpec(template.getSpec())
                    .build();
            objects.create(ResourceTypes.PODS, pod);
        }
    }

    private void report(ObjectStore.Key key, Deployment deployment, String hash, List<Pod> pods) {
        int replicas = deployment.getSpec().getReplicas();
        List<Pod> present =
                pods.stream().filter(pod -> !PodFacts.isTerminating(pod)).toList();
        int updated = (int) present.stream().filter(pod -> has(pod, hash)).count();
        int ready = (int) present.stream().filter(PodFacts::isReady).count();
        int updatedReady = (int) present.stream()
                .filter(pod -> has(pod, hash) && PodFacts.isReady(pod))
                .count();
        boolean complete = updated == replicas && updatedReady == replicas && present.size() == replicas;
        boolean late = !complete && isLate(key, deployment, List.of(hash, updated, updatedReady, present.size()));
        DeploymentStatus before = deployment.getStatus() == null ? new DeploymentStatus() : deployment.getStatus();
        DeploymentStatus status = new DeploymentStatusBuilder()
                .withObservedGeneration(deployment.getMetadata().getGeneration())
                .withReplicas(present.size())
                .withUpdatedReplicas(updated)
                .withReadyReplicas(ready)
                .withAvailableReplicas(ready)
                .withUnavailableReplicas(Math.max(0, replicas - ready))
                .withTerminatingReplicas(pods.size() - present.size())
                .withConditions(
                        ready >= replicas - unavailable(deployment)
                                ? condition(before, "Available", "True", "MinimumReplicasAvailable")
                                : condition(before, "Available", "False", "MinimumReplicasUnavailable"),
                        progressing(before, complete, late))
                .build();
        objects.writeStatus(ResourceTypes.DEPLOYMENTS, deployment, status);
    }

    private DeploymentCondition progressing(DeploymentStatus before, boolean complete, boolean late) {
        if (late) {
            return condition(before, "Progressing", "False", "ProgressDeadlineExceeded");
        }
        return condition(before, "Progressing", "True", complete ? "NewReplicaSetAvailable" : "ReplicaSetUpdated");
    }

    private boolean isLate(ObjectStore.Key key, Deployment deployment, List<Object> seen) {
        Progress last = progress.get(key);
        if (last == null || !last.seen().equals(seen)) {
            last = new Progress(seen, clock.instant());
            progress.put(key, last);
        }
        Duration allowed = Duration.ofSeconds(deployment.getSpec().getProgressDeadlineSeconds());
        Duration left = Duration.between(clock.instant(), last.at().plus(allowed));
        if (left.isPositive()) {
            queue.addAfter(key, left);
        }
        return !left.isPositive();
    }

    private DeploymentCondition condition(DeploymentStatus before, String type, String status, String reason) {
        String now = clock.instant().truncatedTo(ChronoUnit.SECONDS).toString();
        Optional<DeploymentCondition> old = before.getConditions().stream()
                .filter(condition -> condition.getType().equals(type))
                .findFirst();
        boolean same = old.filter(condition -> condition.getStatus().equals(status)
                        && condition.getReason().equals(reason))
                .isPresent();
        return new DeploymentConditionBuilder()
                .withType(type)
                .withStatus(status)
                .withReason(reason)
                .withLastTransitionTime(
                        old.filter(condition -> condition.getStatus().equals(status))
                                .map(DeploymentCondition::getLastTransitionTime)
                                .orElse(now))
                .withLastUpdateTime(same ? old.get().getLastUpdateTime() : now)
                .build();
    }

    private static boolean has(Pod pod, String hash) {
        return hash.equals(pod.getMetadata().getLabels().get(HASH));
    }

    private static int surge(Deployment deployment) {
        return part(deployment.getSpec().getStrategy().getRollingUpdate().getMaxSurge(), deployment, true);
    }

    private static int unavailable(Deployment deployment) {
        if ("Recreate".equals(deployment.getSpec().getStrategy().getType())) {
            return 0;
        }
        int unavailable =
                part(deployment.getSpec().getStrategy().getRollingUpdate().getMaxUnavailable(), deployment, false);
        // As Kubernetes resolves it when both come out as nothing: else no rollout could ever begin.
        return unavailable == 0 && surge(deployment) == 0 ? 1 : unavailable;
    }

    /** A number of pods, or a share of them: surge is rounded up, unavailability down. */
    private static int part(IntOrString value, Deployment deployment, boolean up) {
        if (value.getIntVal() != null) {
            return value.getIntVal();
        }
        double share = Double.parseDouble(value.getStrVal().replace("%", "")) / 100;
        double pods = share * deployment.getSpec().getReplicas();
        return (int) (up ? Math.ceil(pods) : Math.floor(pods));
    }

    private static String hash(Deployment deployment) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256")
                    .digest(Json.write(Json.tree(deployment.getSpec().getTemplate()))
                            .getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest, 0, 5);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
