package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Affinity;
import io.fabric8.kubernetes.api.model.ResourceRequirements;
import io.fabric8.kubernetes.api.model.Toleration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a custom resource may say about the pods that are made for it: the closed subset of a pod template with which nobody
 * gains a right. No image, command, environment, volume, account or security context.
 *
 * @param labels added to ours
 * @param annotations of the pod
 * @param resources laid over the defaults, resource by resource
 * @param nodeSelector laid over the workload's
 * @param tolerations added to the workload's
 * @param affinity in place of the workload's
 * @param priorityClassName in place of the workload's; empty to keep that
 */
public record PodPreferences(
        Map<String, String> labels,
        Map<String, String> annotations,
        ResourceRequirements resources,
        Map<String, String> nodeSelector,
        List<Toleration> tolerations,
        Optional<Affinity> affinity,
        String priorityClassName) {

    public static final PodPreferences NONE = new PodPreferences(
            Map.of(), Map.of(), new ResourceRequirements(), Map.of(), List.of(), Optional.empty(), "");

    public PodPreferences {
        labels = Map.copyOf(labels);
        annotations = Map.copyOf(annotations);
        nodeSelector = Map.copyOf(nodeSelector);
        tolerations = List.copyOf(tolerations);
    }
}
