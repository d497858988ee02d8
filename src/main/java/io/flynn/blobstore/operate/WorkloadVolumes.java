package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.PodSpec;
import io.fabric8.kubernetes.api.model.ServiceAccountTokenProjection;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeBuilder;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.fabric8.kubernetes.api.model.VolumeProjection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The volumes of a workload's container that its one-off processes need too: those that hold configuration, certificates and
 * identities. Disks don't come along: one may be attached to a single pod, and a worker keeps nothing.
 *
 * @param volumes in the workload's order
 * @param mounts of them, in the container's order
 */
record WorkloadVolumes(List<Volume> volumes, List<VolumeMount> mounts) {

    WorkloadVolumes {
        volumes = List.copyOf(volumes);
        mounts = List.copyOf(mounts);
    }

    static WorkloadVolumes of(PodSpec workload, Container container) {
        Set<String> mounted =
                container.getVolumeMounts().stream().map(VolumeMount::getName).collect(Collectors.toSet());
        List<Volume> volumes = workload.getVolumes().stream()
                .filter(volume -> mounted.contains(volume.getName()))
                .flatMap(volume -> kept(volume).stream())
                .toList();
        Set<String> names = volumes.stream().map(Volume::getName).collect(Collectors.toSet());
        List<VolumeMount> mounts = container.getVolumeMounts().stream()
                .filter(mount -> names.contains(mount.getName()))
                .toList();
        return new WorkloadVolumes(volumes, mounts);
    }

    boolean isEmpty() {
        return volumes.isEmpty();
    }

    Set<String> names() {
        return volumes.stream().map(Volume::getName).collect(Collectors.toSet());
    }

    boolean mountsAt(String path) {
        return mounts.stream().anyMatch(mount -> mount.getMountPath().equals(path));
    }

    private static Optional<Volume> kept(Volume volume) {
        if (volume.getProjected() != null) {
            return withoutClusterToken(volume);
        }
        boolean kept = volume.getSecret() != null
                || volume.getConfigMap() != null
                || volume.getDownwardAPI() != null
                || volume.getCsi() != null;
        return kept ? Optional.of(volume) : Optional.empty();
    }

    /** A token for others than the API server, such as a cloud's identity service, is what a projected volume is needed for. */
    private static Optional<Volume> withoutClusterToken(Volume volume) {
        List<VolumeProjection> sources = volume.getProjected().getSources().stream()
                .filter(source -> !isClusterToken(source.getServiceAccountToken()))
                .toList();
        return sources.isEmpty()
                ? Optional.empty()
                : Optional.of(new VolumeBuilder(volume)
                        .editProjected()
                        .withSources(sources)
                        .endProjected()
                        .build());
    }

    private static boolean isClusterToken(@Nullable ServiceAccountTokenProjection token) {
        return token != null
                && Optional.ofNullable(token.getAudience()).orElse("").isEmpty();
    }
}
