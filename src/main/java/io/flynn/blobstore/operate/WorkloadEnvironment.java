package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.EnvVarBuilder;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The environment of a one-off process of a workload. */
final class WorkloadEnvironment {

    private WorkloadEnvironment() {}

    /**
     * The workload's entries verbatim and in order, since they may refer to those before them, then ours. An entry of the
     * workload whose name is among ours is dropped: with two of one name, which one holds is left open by the API.
     */
    static List<EnvVar> with(List<EnvVar> workload, List<EnvVar> ours) {
        Set<String> replaced = ours.stream().map(EnvVar::getName).collect(Collectors.toSet());
        return Stream.concat(
                        workload.stream().filter(entry -> !replaced.contains(entry.getName())),
                        ours.stream().map(WorkloadEnvironment::literal))
                .toList();
    }

    private static EnvVar literal(EnvVar entry) {
        return entry.getValue() == null
                ? entry
                : new EnvVarBuilder(entry).withValue(literal(entry.getValue())).build();
    }

    /** The text that Kubernetes makes {@code text} of: it expands {@code $(NAME)}, also to a Secret's value, and takes {@code $$} for one dollar. */
    static String literal(String text) {
        return text.replace("$", "$$");
    }
}
