package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.ResourceRequirements;
import io.fabric8.kubernetes.api.model.ResourceRequirementsBuilder;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Requests and limits of a worker. Every resource has a limit: a pod that a ResourceQuota counts needs them, and a worker that
 * fills a node's disk or memory would be paid for by the workload beside it.
 */
final class PodResources {

    /** The worker's heap is a share of its memory limit; 8 blobs in flight with their parts fit in half of it. */
    private static final Map<String, Quantity> REQUESTS = Map.of(
            "cpu", new Quantity("100m"), "memory", new Quantity("256Mi"), "ephemeral-storage", new Quantity("64Mi"));

    private static final Map<String, Quantity> LIMITS = Map.of(
            "cpu", new Quantity("2"), "memory", new Quantity("768Mi"), "ephemeral-storage", new Quantity("512Mi"));

    private PodResources() {}

    /**
     * The defaults with what somebody prefers laid over them. Who gives only one side of a resource moves the other one as far
     * as needed, since a request above its limit is refused by the API server.
     */
    static ResourceRequirements of(@Nullable ResourceRequirements preferred) {
        Map<String, Quantity> preferredRequests = Optional.ofNullable(preferred)
                .map(ResourceRequirements::getRequests)
                .orElse(Map.of());
        Map<String, Quantity> preferredLimits = Optional.ofNullable(preferred)
                .map(ResourceRequirements::getLimits)
                .orElse(Map.of());
        Map<String, Quantity> requests = new LinkedHashMap<>();
        Map<String, Quantity> limits = new LinkedHashMap<>();
        Stream.of(REQUESTS, preferredRequests, preferredLimits)
                .flatMap(quantities -> quantities.keySet().stream())
                .sorted()
                .distinct()
                .forEach(name -> {
                    Optional<Quantity> request = of(name, preferredRequests);
                    Optional<Quantity> limit = of(name, preferredLimits);
                    limit.or(() -> larger(request, of(name, LIMITS))).ifPresent(most -> limits.put(name, most));
                    request.or(() -> smaller(limit, of(name, REQUESTS))).ifPresent(least -> requests.put(name, least));
                });
        return new ResourceRequirementsBuilder()
                .withRequests(requests)
                .withLimits(limits)
                .build();
    }

    private static Optional<Quantity> of(String name, Map<String, Quantity> quantities) {
        return Optional.ofNullable(quantities.get(name));
    }

    private static Optional<Quantity> larger(Optional<Quantity> one, Optional<Quantity> other) {
        return Stream.of(one, other).flatMap(Optional::stream).reduce((a, b) -> atLeast(a, b) ? a : b);
    }

    private static Optional<Quantity> smaller(Optional<Quantity> one, Optional<Quantity> other) {
        return Stream.of(one, other).flatMap(Optional::stream).reduce((a, b) -> atLeast(a, b) ? b : a);
    }

    private static boolean atLeast(Quantity a, Quantity b) {
        return a.getNumericalAmount().compareTo(b.getNumericalAmount()) >= 0;
    }
}
