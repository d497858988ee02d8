package io.flynn.blobstore.manifest;

import io.fabric8.kubernetes.api.model.rbac.PolicyRule;
import io.fabric8.kubernetes.api.model.rbac.Role;
import io.flynn.blobstore.testkit.cluster.ApiCall;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** One verb on one resource; {@code resource} with its subresource after a slash, {@code group} empty for the core. */
public record Permission(String verb, String group, String resource) implements Comparable<Permission> {

    /** Granted to everybody by Kubernetes itself ({@code system:discovery}, {@code system:basic-user}). */
    private static final Set<String> EVERYBODYS = Set.of("selfsubjectrulesreviews", "selfsubjectaccessreviews");

    /** What the chart's Roles grant by default. */
    public static Set<Permission> granted() {
        return Chart.render(Role.class, Map.of()).stream()
                .flatMap(role -> of(role.getRules()).stream())
                .collect(Collectors.toCollection(TreeSet::new));
    }

    /** What somebody needs to be granted for these. */
    public static Set<Permission> used(List<ApiCall> calls) {
        return calls.stream()
                .filter(call -> !call.resource().isEmpty() && !EVERYBODYS.contains(call.resource()))
                .map(call -> new Permission(call.verb(), call.group(), call.resource()))
                .collect(Collectors.toCollection(TreeSet::new));
    }

    /** What it takes to make these calls that the chart's Roles don't grant. */
    public static Set<Permission> notGranted(List<ApiCall> calls) {
        Set<Permission> missing = used(calls);
        missing.removeAll(granted());
        return missing;
    }

    private static Set<Permission> of(Iterable<PolicyRule> rules) {
        var permissions = new TreeSet<Permission>();
        for (var rule : rules) {
            for (var group : rule.getApiGroups()) {
                for (var resource : rule.getResources()) {
                    for (var verb : rule.getVerbs()) {
                        permissions.add(new Permission(verb, group, resource));
                    }
                }
            }
        }
        return permissions;
    }

    @Override
    public int compareTo(Permission other) {
        return toString().compareTo(other.toString());
    }

    @Override
    public String toString() {
        return (group.isEmpty() ? "" : group + "/") + resource + " " + verb;
    }
}
