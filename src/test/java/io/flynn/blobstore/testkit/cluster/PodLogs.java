package io.flynn.blobstore.testkit.cluster;

import java.util.Optional;

/** Where the logs of pods are: with the node that runs them. */
interface PodLogs {

    /** No node, no logs. */
    PodLogs NONE = (namespace, pod, container) -> Optional.empty();

    /**
     * @param container may be empty for a pod's only one
     * @return everything written so far; empty if that container has not started
     */
    Optional<String> read(String namespace, String pod, String container);
}
