package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.FieldsV1;
import io.fabric8.kubernetes.api.model.ManagedFieldsEntry;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** Who holds what an environment variable of a Deployment's container, or an annotation of its pods, is set to, as {@code managedFields} says. */
final class FieldManagers {

    private FieldManagers() {}

    /** All managers of the variable's value, each once, in the order in which the API server lists them. */
    static List<String> of(Deployment deployment, String container, String variable) {
        return entries(deployment)
                .filter(entry -> holds(entry, container, variable))
                .map(ManagedFieldsEntry::getManager)
                .distinct()
                .toList();
    }

    static List<String> ofAnnotation(Deployment deployment, String annotation) {
        return entries(deployment)
                .filter(entry -> template(entry)
                        .flatMap(fields -> child(fields, "f:metadata"))
                        .flatMap(fields -> child(fields, "f:annotations"))
                        .filter(fields -> fields.containsKey("f:" + annotation))
                        .isPresent())
                .map(ManagedFieldsEntry::getManager)
                .distinct()
                .toList();
    }

    private static Stream<ManagedFieldsEntry> entries(Deployment deployment) {
        return Optional.ofNullable(deployment.getMetadata().getManagedFields()).stream()
                .flatMap(List::stream)
                .filter(entry ->
                        entry.getSubresource() == null || entry.getSubresource().isEmpty());
    }

    private static boolean holds(ManagedFieldsEntry entry, String container, String variable) {
        return template(entry)
                .flatMap(fields -> child(fields, "f:spec"))
                .flatMap(fields -> child(fields, "f:containers"))
                .flatMap(fields -> child(fields, key(container)))
                .flatMap(fields -> child(fields, "f:env"))
                .flatMap(fields -> child(fields, key(variable)))
                .filter(fields -> fields.containsKey("f:value") || fields.containsKey("f:valueFrom"))
                .isPresent();
    }

    private static Optional<Map<?, ?>> template(ManagedFieldsEntry entry) {
        return Optional.ofNullable(entry.getFieldsV1())
                .map(FieldsV1::getAdditionalProperties)
                .flatMap(fields -> child(fields, "f:spec"))
                .flatMap(fields -> child(fields, "f:template"));
    }

    private static String key(String name) {
        return "k:{\"name\":\"%s\"}".formatted(name);
    }

    private static Optional<Map<?, ?>> child(Map<?, ?> fields, String name) {
        return fields.get(name) instanceof Map<?, ?> child ? Optional.of(child) : Optional.empty();
    }
}
