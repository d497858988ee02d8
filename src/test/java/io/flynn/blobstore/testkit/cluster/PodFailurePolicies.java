package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubernetes.api.model.ContainerStatus;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.PodFailurePolicyOnExitCodesRequirement;
import io.fabric8.kubernetes.api.model.batch.v1.PodFailurePolicyRule;
import java.util.List;
import java.util.Optional;

/** What a Job's {@code podFailurePolicy} makes of a failed pod: the first rule that matches decides. */
final class PodFailurePolicies {

    enum Action {
        COUNT,
        IGNORE,
        FAIL_JOB
    }

    /** @param message why the Job fails; empty otherwise */
    record Verdict(Action action, String message) {}

    private PodFailurePolicies() {}

    static Verdict judge(Job job, Pod pod) {
        // A pod that never came to a node has no status that a rule could match.
        List<PodFailurePolicyRule> rules = job.getSpec().getPodFailurePolicy() == null || pod.getStatus() == null
                ? List.of()
                : job.getSpec().getPodFailurePolicy().getRules();
        for (int i = 0; i < rules.size(); i++) {
            Optional<String> match = match(rules.get(i), pod);
            if (match.isPresent()) {
                return switch (rules.get(i).getAction()) {
                    case "Ignore" -> new Verdict(Action.IGNORE, "");
                    case "Count" -> new Verdict(Action.COUNT, "");
                    case "FailJob" ->
                        new Verdict(Action.FAIL_JOB, "%s matching FailJob rule at index %d".formatted(match.get(), i));
                    default ->
                        throw ApiFailure.notImplemented("action " + rules.get(i).getAction());
                };
            }
        }
        return new Verdict(Action.COUNT, "");
    }

    private static Optional<String> match(PodFailurePolicyRule rule, Pod pod) {
        String name = pod.getMetadata().getNamespace() + "/" + pod.getMetadata().getName();
        if (rule.getOnExitCodes() != null) {
            return pod.getStatus().getContainerStatuses().stream()
                    .filter(status -> matches(rule.getOnExitCodes(), status))
                    .map(status -> "Container %s for pod %s failed with exit code %d"
                            .formatted(
                                    status.getName(),
                                    name,
                                    status.getState().getTerminated().getExitCode()))
                    .findFirst();
        }
        return rule.getOnPodConditions().stream()
                .filter(pattern -> pod.getStatus().getConditions().stream()
                        .anyMatch(condition -> condition.getType().equals(pattern.getType())
                                && condition.getStatus().equals(pattern.getStatus())))
                .map(pattern -> "Pod %s has condition %s".formatted(name, pattern.getType()))
                .findFirst();
    }

    private static boolean matches(PodFailurePolicyOnExitCodesRequirement wanted, ContainerStatus status) {
        if (status.getState() == null || status.getState().getTerminated() == null) {
            return false;
        }
        int code = status.getState().getTerminated().getExitCode();
        boolean named =
                wanted.getContainerName() == null || wanted.getContainerName().equals(status.getName());
        // Success is never a failure to match, whatever NotIn would say.
        return named
                && code != 0
                && wanted.getValues().contains(code) == wanted.getOperator().equals("In");
    }
}
