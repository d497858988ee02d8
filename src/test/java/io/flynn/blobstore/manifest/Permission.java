package io.flynn.blobstore.manifest;

import io.fabric8.kubernetes.api.model.rbac.PolicyRule;
import java.util.Set;
import java.util.TreeSet;

/** One verb on one resource; {@code resource} with its subresource after a slash, {@code group} empty for the core. */
record Permission(String verb, String group, String resource) implements Comparable<Permission> {
    static Set<Permission> of(Iterable<PolicyRule> rules) {
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
