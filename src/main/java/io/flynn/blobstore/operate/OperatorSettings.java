package io.flynn.blobstore.operate;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What the operator itself is told, by its environment.
 *
 * @param watchNamespace the one namespace whose resources are looked after
 * @param image of the pods that the operator makes
 * @param insecureEndpointsAllowed whether custom resources may name http and loopback endpoints
 * @param leaderElection whether only one of several operators acts
 * @param podNamespace where the lease is
 * @param podName who holds the lease
 * @param httpPort for health and metrics
 */
public record OperatorSettings(
        String watchNamespace,
        PodImage image,
        boolean insecureEndpointsAllowed,
        boolean leaderElection,
        String podNamespace,
        String podName,
        int httpPort) {

    private static final int PORT_MAX = 65_535;

    /**
     * @param clientNamespace of the kubeconfig or the pod, where the environment says nothing
     * @throws IllegalArgumentException if a setting is missing or wrong; the message names it
     */
    public static OperatorSettings of(Map<String, String> environment, String clientNamespace, String hostName) {
        String podNamespace = text(environment, "POD_NAMESPACE").orElse(clientNamespace);
        return new OperatorSettings(
                text(environment, "BLOBSTORE_WATCH_NAMESPACE").orElse(podNamespace),
                image(environment),
                flag(environment, "BLOBSTORE_ALLOW_INSECURE_ENDPOINTS", false),
                flag(environment, "BLOBSTORE_LEADER_ELECTION", true),
                podNamespace,
                text(environment, "POD_NAME").orElse(hostName),
                port(environment));
    }

    private static PodImage image(Map<String, String> environment) {
        String name = text(environment, "BLOBSTORE_IMAGE")
                .orElseThrow(
                        () -> new IllegalArgumentException(
                                "BLOBSTORE_IMAGE is missing: set it to the image of the pods that the operator makes, its own"));
        String policy = text(environment, "BLOBSTORE_IMAGE_PULL_POLICY").orElse("IfNotPresent");
        if (!List.of("Always", "IfNotPresent", "Never").contains(policy)) {
            throw new IllegalArgumentException(
                    "BLOBSTORE_IMAGE_PULL_POLICY is \"%s\": use Always, IfNotPresent or Never".formatted(policy));
        }
        List<String> secrets = Arrays.stream(text(environment, "BLOBSTORE_IMAGE_PULL_SECRETS")
                        .orElse("")
                        .split(",", -1))
                .map(String::strip)
                .filter(secret -> !secret.isEmpty())
                .toList();
        return new PodImage(name, policy, secrets);
    }

    private static int port(Map<String, String> environment) {
        String text = text(environment, "BLOBSTORE_HTTP_PORT").orElse("8081");
        if (text.matches("[0-9]{1,5}") && Integer.parseInt(text) <= PORT_MAX) {
            return Integer.parseInt(text);
        }
        throw new IllegalArgumentException("BLOBSTORE_HTTP_PORT is \"%s\": use 0 to 65535".formatted(text));
    }

    private static boolean flag(Map<String, String> environment, String name, boolean otherwise) {
        String text = text(environment, name).orElse(Boolean.toString(otherwise));
        return switch (text) {
            case "true" -> true;
            case "false" -> false;
            default -> throw new IllegalArgumentException("%s is \"%s\": use true or false".formatted(name, text));
        };
    }

    private static Optional<String> text(Map<String, String> environment, String name) {
        return Optional.ofNullable(environment.get(name)).map(String::strip).filter(text -> !text.isEmpty());
    }
}
