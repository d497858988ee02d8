package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.PodSpec;
import io.fabric8.kubernetes.api.model.SecretKeySelector;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentStatus;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.BackendFacts.Location;
import io.flynn.blobstore.decide.BackendFacts.Pod;
import io.flynn.blobstore.decide.BackendFacts.Rival;
import io.flynn.blobstore.decide.BackendFacts.Workload.Live;
import io.flynn.blobstore.decide.Obstacle;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Reads off a Deployment and its pods how far one backend is in it: from the fields alone, never from memory. Pure. */
final class LiveWorkload {

    /** Of a pod or a template whose entries and annotation don't belong together. */
    private static final String MIXED = "mixed";

    private static final String SOMEBODY = "somebody else";

    private final BackendFields fields;
    private final Deployment deployment;

    LiveWorkload(BackendFields fields, Deployment deployment) {
        this.fields = fields;
        this.deployment = deployment;
    }

    /**
     * @param pods that the Deployment's selector matches
     * @param wanted hash of the wanted configuration; empty if it is not known, or if the backend is to go
     * @param going whether the backend is to go: then every other holder of its entries is a rival
     * @param container that is the blobstore's, or why that is not clear
     * @param location where rows of this backend have their bytes
     */
    Live read(
            List<io.fabric8.kubernetes.api.model.Pod> pods,
            String wanted,
            boolean going,
            Container container,
            Optional<Obstacle> unclear,
            Optional<Location> location) {
        int replicas = Objects.requireNonNullElse(deployment.getSpec().getReplicas(), 1);
        DeploymentStatus status = Objects.requireNonNullElseGet(deployment.getStatus(), DeploymentStatus::new);
        long generation = generation(deployment);
        boolean observed = Objects.requireNonNullElse(status.getObservedGeneration(), 0L) >= generation;
        String hash = templateHash();
        return new Live(
                unclear,
                generation,
                replicas,
                observed,
                Objects.requireNonNullElse(status.getAvailableReplicas(), 0) >= replicas,
                Boolean.TRUE.equals(deployment.getSpec().getPaused()),
                deployment.getSpec().getStrategy() != null
                        && "Recreate".equals(deployment.getSpec().getStrategy().getType()),
                observed ? stuck(status) : Optional.empty(),
                hash,
                !hash.isEmpty() && hash(List.of(container), annotations()).equals(hash),
                location,
                defaultOf(List.of(container)),
                FieldManagers.of(deployment, container.getName(), BackendEnvironment.DEFAULT_VARIABLE)
                        .contains(BackendFields.DEFAULT_MANAGER),
                rivals(container, wanted, going),
                defaultRival(container),
                pods.stream()
                        .filter(LiveWorkload::mayAnswer)
                        .map(pod -> pod(pod, container.getName()))
                        .toList());
    }

    static long generation(Deployment deployment) {
        return Objects.requireNonNullElse(deployment.getMetadata().getGeneration(), 0L);
    }

    /** Of this backend's entries, in whichever container they are; empty if there is none. */
    String templateHash() {
        return hash(template().getContainers(), annotations());
    }

    private PodSpec template() {
        return deployment.getSpec().getTemplate().getSpec();
    }

    private Map<String, String> annotations() {
        return orEmpty(deployment.getSpec().getTemplate().getMetadata().getAnnotations());
    }

    private static Map<String, String> orEmpty(@Nullable Map<String, String> map) {
        return map == null ? Map.of() : map;
    }

    private String hash(List<Container> containers, Map<String, String> annotations) {
        List<EnvVar> entries = containers.stream()
                .flatMap(container -> container.getEnv().stream())
                .filter(entry -> fields.variables().contains(entry.getName()))
                .toList();
        Set<String> hashes =
                entries.stream().flatMap(entry -> ourHash(entry).stream()).collect(Collectors.toSet());
        if (hashes.isEmpty()) {
            return "";
        }
        boolean whole = entries.size() == fields.variables().size()
                && entries.stream().allMatch(entry -> ourHash(entry).isPresent())
                && hashes.size() == 1
                && hashes.contains(annotations.get(fields.annotation()));
        return whole ? hashes.iterator().next() : MIXED;
    }

    private Optional<String> ourHash(EnvVar entry) {
        return Optional.ofNullable(entry.getValueFrom())
                .flatMap(from -> Optional.ofNullable(from.getSecretKeyRef()))
                .map(SecretKeySelector::getName)
                .flatMap(fields::hash);
    }

    private static String defaultOf(List<Container> containers) {
        return containers.stream()
                .flatMap(container -> container.getEnv().stream())
                .filter(entry -> BackendEnvironment.DEFAULT_VARIABLE.equals(entry.getName()))
                .map(entry -> entry.getValue() == null ? "" : entry.getValue())
                .findFirst()
                .orElse("");
    }

    private static Optional<String> stuck(DeploymentStatus status) {
        return Optional.ofNullable(status.getConditions()).stream()
                .flatMap(List::stream)
                .filter(condition -> "Progressing".equals(condition.getType()) && "False".equals(condition.getStatus()))
                .map(condition -> Objects.requireNonNullElse(condition.getMessage(), "deadline exceeded"))
                .findFirst();
    }

    private List<Rival> rivals(Container container, String wanted, boolean going) {
        Stream<Rival> ofEntries = container.getEnv().stream()
                .filter(entry -> fields.variables().contains(entry.getName()))
                .flatMap(entry -> rival(container, entry, wanted, going).stream());
        // An annotation that stays behind when the backend goes does no harm.
        Optional<Rival> ofAnnotation = going ? Optional.empty() : annotationRival(wanted);
        return Stream.concat(ofEntries, ofAnnotation.stream()).toList();
    }

    private Optional<Rival> annotationRival(String wanted) {
        String value = annotations().get(fields.annotation());
        if (value == null || wanted.isEmpty() || value.equals(wanted)) {
            return Optional.empty();
        }
        return FieldManagers.ofAnnotation(deployment, fields.annotation()).stream()
                .filter(manager -> !manager.equals(fields.manager()))
                .findFirst()
                .map(manager -> new Rival("annotation " + fields.annotation(), manager));
    }

    private Optional<Rival> rival(Container container, EnvVar entry, String wanted, boolean going) {
        Optional<String> hash = ourHash(entry);
        List<String> others = others(container, entry.getName(), fields.manager());
        if (hash.isEmpty()) {
            return Optional.of(
                    new Rival(entry.getName(), others.stream().findFirst().orElse(SOMEBODY)));
        }
        boolean agreed = !going && (wanted.isEmpty() || hash.get().equals(wanted));
        return agreed
                ? Optional.empty()
                : others.stream().findFirst().map(manager -> new Rival(entry.getName(), manager));
    }

    private Optional<Rival> defaultRival(Container container) {
        String variable = BackendEnvironment.DEFAULT_VARIABLE;
        boolean present = container.getEnv().stream().anyMatch(entry -> variable.equals(entry.getName()));
        List<String> managers = FieldManagers.of(deployment, container.getName(), variable);
        boolean onlyOurs = managers.equals(List.of(BackendFields.DEFAULT_MANAGER));
        return present && !onlyOurs
                ? Optional.of(new Rival(
                        variable,
                        others(container, variable, BackendFields.DEFAULT_MANAGER).stream()
                                .findFirst()
                                .orElse(SOMEBODY)))
                : Optional.empty();
    }

    private List<String> others(Container container, String variable, String own) {
        return FieldManagers.of(deployment, container.getName(), variable).stream()
                .filter(manager -> !manager.equals(own))
                .toList();
    }

    /** One that ended answers nobody, but stays listed until it is collected. */
    private static boolean mayAnswer(io.fabric8.kubernetes.api.model.Pod pod) {
        String phase = pod.getStatus() == null ? null : pod.getStatus().getPhase();
        return !"Succeeded".equals(phase) && !"Failed".equals(phase);
    }

    private Pod pod(io.fabric8.kubernetes.api.model.Pod pod, String container) {
        List<Container> containers = pod.getSpec().getContainers();
        return new Pod(
                hash(containers, orEmpty(pod.getMetadata().getAnnotations())),
                defaultOf(containers.stream()
                        .filter(candidate -> candidate.getName().equals(container))
                        .toList()));
    }
}
