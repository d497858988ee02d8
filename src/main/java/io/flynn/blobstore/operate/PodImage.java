package io.flynn.blobstore.operate;

import java.util.List;

/**
 * The image of the pods that the operator makes: its own settings, never the workload's or a custom resource's.
 *
 * @param name with tag or digest
 * @param pullPolicy as Kubernetes spells it
 * @param pullSecrets names of Secrets in the pod's namespace
 */
public record PodImage(String name, String pullPolicy, List<String> pullSecrets) {

    public PodImage {
        if (name.isBlank()) {
            throw new IllegalArgumentException("the image of the operator's pods has no name");
        }
        pullSecrets = List.copyOf(pullSecrets);
    }
}
