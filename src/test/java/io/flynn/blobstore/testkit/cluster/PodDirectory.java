package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.KeyToPath;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeMount;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * A pod's files: its volumes, its log, its termination message.
 *
 * <p>A local process can't have directories mounted: each mount is a directory here, and where the container's arguments or environment name a
 * path below the mount's, they name the directory instead ({@link #localPath}).
 */
final class PodDirectory {

    private final Path root;
    private final Map<String, Path> mounts = new LinkedHashMap<>();

    PodDirectory(Path root) {
        this.root = root;
        create(root);
    }

    Path log(int restart) {
        return root.resolve("log-" + restart);
    }

    /** Where the container leaves its termination message. */
    Path report(int restart) {
        return root.resolve("report-" + restart);
    }

    /**
     * Writes the volumes that {@code container} mounts; once it runs, writes again what has changed in them, as the kubelet does.
     */
    synchronized void mount(ClusterObjects objects, Pod pod, Container container) throws ContainerWaits {
        Map<String, Volume> volumes =
                pod.getSpec().getVolumes().stream().collect(Collectors.toMap(Volume::getName, volume -> volume));
        for (VolumeMount mount : container.getVolumeMounts()) {
            if (mount.getSubPath() != null || mount.getSubPathExpr() != null) {
                throw ContainerWaits.notImplemented("subPath of volume mounts");
            }
            Path directory = root.resolve("volumes").resolve(mount.getName());
            create(directory);
            fill(directory, objects, pod.getMetadata().getNamespace(), volumes.get(mount.getName()));
            mounts.put(mount.getMountPath(), directory);
        }
    }

    /** {@code value} as the local process must have it. */
    synchronized String localPath(String value) {
        for (Map.Entry<String, Path> mount : mounts.entrySet()) {
            if (value.equals(mount.getKey()) || value.startsWith(mount.getKey() + "/")) {
                return mount.getValue() + value.substring(mount.getKey().length());
            }
        }
        return value;
    }

    private static void fill(Path directory, ClusterObjects objects, String namespace, Volume volume)
            throws ContainerWaits {
        if (volume.getEmptyDir() != null) {
            return;
        }
        if (volume.getSecret() != null) {
            String name = volume.getSecret().getSecretName();
            Secret secret = objects.find(ResourceTypes.SECRETS, Secret.class, namespace, name)
                    .orElse(null);
            if (secret == null) {
                require(volume.getSecret().getOptional(), "secret \"%s\" not found".formatted(name));
                return;
            }
            Map<String, byte[]> data = new LinkedHashMap<>();
            secret.getData()
                    .forEach((key, value) -> data.put(key, Base64.getDecoder().decode(value)));
            write(directory, data, volume.getSecret().getItems());
        } else if (volume.getConfigMap() != null) {
            String name = volume.getConfigMap().getName();
            ConfigMap map = objects.find(ResourceTypes.CONFIG_MAPS, ConfigMap.class, namespace, name)
                    .orElse(null);
            if (map == null) {
                require(volume.getConfigMap().getOptional(), "configmap \"%s\" not found".formatted(name));
                return;
            }
            Map<String, byte[]> data = new LinkedHashMap<>();
            map.getData().forEach((key, value) -> data.put(key, value.getBytes(StandardCharsets.UTF_8)));
            write(directory, data, volume.getConfigMap().getItems());
        } else {
            throw ContainerWaits.notImplemented(
                    "volumes other than emptyDir, secret and configMap: " + volume.getName());
        }
    }

    private static void require(Boolean optional, String message) throws ContainerWaits {
        if (!Boolean.TRUE.equals(optional)) {
            throw ContainerWaits.configuration(message);
        }
    }

    private static void write(Path directory, Map<String, byte[]> data, List<KeyToPath> items) throws ContainerWaits {
        Map<String, String> paths = items.isEmpty()
                ? data.keySet().stream().collect(Collectors.toMap(key -> key, key -> key))
                : items.stream().collect(Collectors.toMap(KeyToPath::getKey, KeyToPath::getPath));
        for (Map.Entry<String, String> entry : paths.entrySet()) {
            byte[] content = data.get(entry.getKey());
            if (content == null) {
                throw ContainerWaits.configuration("references non-existent key: " + entry.getKey());
            }
            Path file = directory.resolve(entry.getValue());
            create(file.getParent());
            try {
                // Whoever reads it reads the old content or the new one.
                Path next = Files.write(directory.resolve(".next"), content);
                Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private static void create(Path directory) {
        try {
            Files.createDirectories(directory);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
