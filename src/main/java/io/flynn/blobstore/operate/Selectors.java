package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.LabelSelector;
import io.fabric8.kubernetes.api.model.LabelSelectorRequirement;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Whether labels match a label selector, as the API server decides it (kubernetes.io, "Labels and Selectors"). */
final class Selectors {

    private Selectors() {}

    static boolean matches(LabelSelector selector, Map<String, String> labels) {
        return matchLabels(selector).entrySet().stream()
                        .allMatch(wanted -> wanted.getValue().equals(labels.get(wanted.getKey())))
                && Optional.ofNullable(selector.getMatchExpressions()).orElse(List.of()).stream()
                        .allMatch(requirement -> meets(requirement, labels));
    }

    static Map<String, String> matchLabels(LabelSelector selector) {
        return Optional.ofNullable(selector.getMatchLabels()).orElse(Map.of());
    }

    private static boolean meets(LabelSelectorRequirement requirement, Map<String, String> labels) {
        boolean present = labels.containsKey(requirement.getKey());
        boolean among = present
                && Optional.ofNullable(requirement.getValues())
                        .orElse(List.of())
                        .contains(labels.get(requirement.getKey()));
        return switch (requirement.getOperator()) {
            case "In" -> among;
            case "NotIn" -> !among;
            case "Exists" -> present;
            case "DoesNotExist" -> !present;
            case String unknown -> throw new IllegalStateException("selector operator " + unknown);
        };
    }
}
