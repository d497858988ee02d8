package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapKeySelector;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.EnvFromSource;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.EnvVarSource;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.SecretKeySelector;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.ServicePort;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A container's environment as the kubelet makes it ({@code makeEnvironmentVariables}): services, envFrom, env, each over the one before. */
final class ContainerEnvironment {

    private static final Pattern MAP_FIELD = Pattern.compile("metadata\\.(labels|annotations)\\['([^']+)'\\]");

    private final ClusterObjects objects;
    private final Pod pod;
    private final String namespace;

    private ContainerEnvironment(ClusterObjects objects, Pod pod) {
        this.objects = objects;
        this.pod = pod;
        this.namespace = pod.getMetadata().getNamespace();
    }

    /** @throws ContainerWaits while a Secret, ConfigMap or key is missing that is not optional */
    static Map<String, String> of(ClusterObjects objects, Pod pod, Container container) throws ContainerWaits {
        return new ContainerEnvironment(objects, pod).resolve(container);
    }

    private Map<String, String> resolve(Container container) throws ContainerWaits {
        Map<String, String> services = new LinkedHashMap<>();
        if (!Boolean.FALSE.equals(pod.getSpec().getEnableServiceLinks())) {
            objects.list(ResourceTypes.SERVICES, Service.class, namespace)
                    .forEach(service -> addService(services, service));
        }
        Map<String, String> own = new LinkedHashMap<>();
        for (EnvFromSource source : container.getEnvFrom()) {
            addAll(own, source);
        }
        for (EnvVar entry : container.getEnv()) {
            if (entry.getValue() != null && !entry.getValue().isEmpty()) {
                Map<String, String> known = new LinkedHashMap<>(services);
                known.putAll(own);
                own.put(entry.getName(), Expansion.expand(entry.getValue(), known));
            } else if (entry.getValueFrom() != null) {
                Optional<String> value = valueFrom(entry.getValueFrom());
                value.ifPresent(v -> own.put(entry.getName(), v));
            } else {
                own.put(entry.getName(), "");
            }
        }
        Map<String, String> all = new LinkedHashMap<>(services);
        all.putAll(own);
        return all;
    }

    private void addAll(Map<String, String> into, EnvFromSource source) throws ContainerWaits {
        String prefix = source.getPrefix() == null ? "" : source.getPrefix();
        if (source.getConfigMapRef() != null) {
            Optional<ConfigMap> map = configMap(
                    source.getConfigMapRef().getName(), source.getConfigMapRef().getOptional());
            map.ifPresent(m -> m.getData().forEach((key, value) -> into.put(prefix + key, value)));
        } else if (source.getSecretRef() != null) {
            Optional<Secret> secret = secret(
                    source.getSecretRef().getName(), source.getSecretRef().getOptional());
            secret.ifPresent(s -> s.getData().forEach((key, value) -> into.put(prefix + key, decode(value))));
        }
    }

    /** Empty if what is optional is missing: then the variable isn't set. */
    private Optional<String> valueFrom(EnvVarSource source) throws ContainerWaits {
        if (source.getSecretKeyRef() != null) {
            SecretKeySelector selector = source.getSecretKeyRef();
            Optional<Secret> secret = secret(selector.getName(), selector.getOptional());
            Optional<String> value =
                    secret.map(s -> s.getData().get(selector.getKey())).map(ContainerEnvironment::decode);
            refuseMissingKey(
                    value, secret.isPresent(), selector.getOptional(), selector.getKey(), "Secret", selector.getName());
            return value;
        }
        if (source.getConfigMapKeyRef() != null) {
            ConfigMapKeySelector selector = source.getConfigMapKeyRef();
            Optional<ConfigMap> map = configMap(selector.getName(), selector.getOptional());
            Optional<String> value = map.map(m -> m.getData().get(selector.getKey()));
            refuseMissingKey(
                    value, map.isPresent(), selector.getOptional(), selector.getKey(), "ConfigMap", selector.getName());
            return value;
        }
        if (source.getFieldRef() != null) {
            return Optional.of(field(source.getFieldRef().getFieldPath()));
        }
        throw ContainerWaits.notImplemented("this valueFrom: " + Json.tree(source));
    }

    private void refuseMissingKey(
            Optional<String> value, boolean present, Boolean optional, String key, String kind, String name)
            throws ContainerWaits {
        if (value.isEmpty() && present && !Boolean.TRUE.equals(optional)) {
            throw ContainerWaits.configuration(
                    "couldn't find key %s in %s %s/%s".formatted(key, kind, namespace, name));
        }
    }

    private Optional<Secret> secret(String name, Boolean optional) throws ContainerWaits {
        Optional<Secret> secret = objects.find(ResourceTypes.SECRETS, Secret.class, namespace, name);
        if (secret.isEmpty() && !Boolean.TRUE.equals(optional)) {
            throw ContainerWaits.configuration("secret \"%s\" not found".formatted(name));
        }
        return secret;
    }

    private Optional<ConfigMap> configMap(String name, Boolean optional) throws ContainerWaits {
        Optional<ConfigMap> map = objects.find(ResourceTypes.CONFIG_MAPS, ConfigMap.class, namespace, name);
        if (map.isEmpty() && !Boolean.TRUE.equals(optional)) {
            throw ContainerWaits.configuration("configmap \"%s\" not found".formatted(name));
        }
        return map;
    }

    private String field(String path) throws ContainerWaits {
        Matcher map = MAP_FIELD.matcher(path);
        if (map.matches()) {
            Map<String, String> values = map.group(1).equals("labels")
                    ? pod.getMetadata().getLabels()
                    : pod.getMetadata().getAnnotations();
            return values.getOrDefault(map.group(2), "");
        }
        return switch (path) {
            case "metadata.name" -> pod.getMetadata().getName();
            case "metadata.namespace" -> namespace;
            case "metadata.uid" -> pod.getMetadata().getUid();
            case "spec.nodeName" -> LocalNode.NAME;
            case "spec.serviceAccountName" ->
                Optional.ofNullable(pod.getSpec().getServiceAccountName()).orElse("default");
            case "status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs" -> LocalNode.ADDRESS;
            default -> throw ContainerWaits.notImplemented("fieldPath " + path);
        };
    }

    /** The variables of old Docker links, which surprise whoever has a Service of the wrong name. */
    private static void addService(Map<String, String> into, Service service) {
        String name = service.getMetadata().getName().toUpperCase(Locale.ROOT).replace('-', '_');
        String address = service.getSpec().getClusterIP();
        if (address.equals("None") || service.getSpec().getPorts().isEmpty()) {
            return;
        }
        ServicePort first = service.getSpec().getPorts().getFirst();
        into.put(name + "_SERVICE_HOST", address);
        into.put(name + "_SERVICE_PORT", String.valueOf(first.getPort()));
        into.put(
                name + "_PORT",
                "%s://%s:%d".formatted(first.getProtocol().toLowerCase(Locale.ROOT), address, first.getPort()));
        for (ServicePort port : service.getSpec().getPorts()) {
            String protocol = port.getProtocol();
            String prefix = "%s_PORT_%d_%s".formatted(name, port.getPort(), protocol);
            if (port.getName() != null) {
                into.put(
                        name + "_SERVICE_PORT_"
                                + port.getName().toUpperCase(Locale.ROOT).replace('-', '_'),
                        String.valueOf(port.getPort()));
            }
            into.put(prefix, "%s://%s:%d".formatted(protocol.toLowerCase(Locale.ROOT), address, port.getPort()));
            into.put(prefix + "_PROTO", protocol.toLowerCase(Locale.ROOT));
            into.put(prefix + "_PORT", String.valueOf(port.getPort()));
            into.put(prefix + "_ADDR", address);
        }
    }

    private static String decode(String base64) {
        return new String(Base64.getDecoder().decode(base64), StandardCharsets.UTF_8);
    }
}
