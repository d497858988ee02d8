package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.PodSecurityContext;
import io.fabric8.kubernetes.api.model.PodSecurityContextBuilder;
import io.fabric8.kubernetes.api.model.SecurityContext;
import io.fabric8.kubernetes.api.model.SecurityContextBuilder;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The security contexts of the pods that we make: Pod Security {@code restricted} and more (kubernetes.io, "Pod Security
 * Standards"), whatever the workload itself runs with.
 */
final class PodHardening {

    /** The image's numeric user and group; at least 10000, so that it is nobody on the node. */
    static final long USER = 65532;

    private PodHardening() {}

    /**
     * The pod's security context.
     *
     * @param workloadPod of the workload's pod
     * @param workloadContainer of the container that ours stands in for; what it says goes before what its pod says
     * @param withVolumes whether volumes of the workload come along: only then may its user be needed, to read them
     */
    static PodSecurityContext ofPod(
            @Nullable PodSecurityContext workloadPod,
            @Nullable SecurityContext workloadContainer,
            boolean withVolumes) {
        Optional<PodSecurityContext> pod = Optional.ofNullable(workloadPod);
        Optional<SecurityContext> container =
                Optional.ofNullable(workloadContainer).filter(context -> withVolumes);
        Optional<PodSecurityContext> reader = pod.filter(context -> withVolumes);
        long user = container
                .map(SecurityContext::getRunAsUser)
                .or(() -> reader.map(PodSecurityContext::getRunAsUser))
                .filter(uid -> uid > 0)
                .orElse(USER);
        long group = container
                .map(SecurityContext::getRunAsGroup)
                .or(() -> reader.map(PodSecurityContext::getRunAsGroup))
                .filter(gid -> gid > 0)
                .orElse(USER);
        return new PodSecurityContextBuilder()
                .withRunAsNonRoot(true)
                .withRunAsUser(user)
                .withRunAsGroup(group)
                .withFsGroup(pod.map(PodSecurityContext::getFsGroup).orElse(null))
                .withNewSeccompProfile()
                .withType("RuntimeDefault")
                .endSeccompProfile()
                .build();
    }

    static SecurityContext ofContainer() {
        return new SecurityContextBuilder()
                .withAllowPrivilegeEscalation(false)
                .withPrivileged(false)
                .withReadOnlyRootFilesystem(true)
                .withRunAsNonRoot(true)
                .withNewCapabilities()
                .withDrop("ALL")
                .endCapabilities()
                .build();
    }
}
