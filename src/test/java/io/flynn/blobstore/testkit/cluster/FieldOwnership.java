package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.flynn.blobstore.testkit.cluster.ManagedFields.Owner;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The rules of field ownership: what server-side apply makes of an object, and what any other write does to those who own its
 * fields. Pure; <a href="https://kubernetes.io/docs/reference/using-api/server-side-apply/">the reference</a>.
 */
final class FieldOwnership {

    /** What nobody owns. */
    private static final List<List<String>> UNOWNED = List.of(
            List.of("f:apiVersion"),
            List.of("f:kind"),
            List.of("f:metadata", "f:name"),
            List.of("f:metadata", "f:generateName"),
            List.of("f:metadata", "f:namespace"),
            List.of("f:metadata", "f:uid"),
            List.of("f:metadata", "f:creationTimestamp"),
            List.of("f:metadata", "f:deletionTimestamp"),
            List.of("f:metadata", "f:deletionGracePeriodSeconds"),
            List.of("f:metadata", "f:generation"),
            List.of("f:metadata", "f:resourceVersion"),
            List.of("f:metadata", "f:managedFields"));

    private final ResourceType type;
    private final Topology topology;
    private final String subresource;

    FieldOwnership(ResourceType type, String subresource) {
        this.type = type;
        this.topology = type.topology();
        this.subresource = subresource;
    }

    /** The object after an apply, before defaults, and who owns its fields then. */
    record Applied(ObjectNode object, ManagedFields owners, Owner applier) {}

    /**
     * Merges {@code intent} into {@code live}, removes what {@code manager} applied earlier and no longer does unless somebody else
     * owns it too.
     *
     * @param live an empty object if there is none
     */
    Applied apply(ObjectNode live, ObjectNode intent, String manager) {
        Owner applier = Owner.applier(manager, type.apiVersion(), subresource);
        ManagedFields owners = ManagedFields.of(live);
        ObjectNode merged = (ObjectNode) TreeMerge.merge(live, intent, topology);
        FieldSet applied = owned(intent);
        FieldSet dropped = owners.of(applier).minus(applied);
        FieldSet elsewhere = applied;
        for (FieldSet other : owners.others(applier).values()) {
            elsewhere = elsewhere.union(other);
        }
        ObjectNode pruned = (ObjectNode) TreeMerge.remove(merged, unused(dropped, elsewhere), topology);
        owners.set(applier, applied);
        return new Applied(pruned, owners, applier);
    }

    /** The members of {@code dropped} that {@code kept} has nothing at or below. */
    private static FieldSet unused(FieldSet dropped, FieldSet kept) {
        Map<String, FieldSet> children = new LinkedHashMap<>();
        dropped.children().forEach((name, child) -> children.put(name, unused(child, kept.child(name))));
        return new FieldSet(dropped.member() && kept.isEmpty(), children);
    }

    /**
     * Settles who loses what by the step from {@code live} to {@code next}.
     *
     * @throws ApiFailure 409 if others own changed fields and {@code force} is not set
     */
    void takeOver(ManagedFields owners, Owner writer, ObjectNode live, ObjectNode next, boolean force) {
        FieldSet before = owned(live);
        FieldSet after = owned(next);
        FieldSet changed = owned(TreeMerge.modified(live, next, topology)).union(after.minus(before));
        FieldSet removed = before.minus(after);
        Map<Owner, FieldSet> conflicts = new LinkedHashMap<>();
        owners.others(writer).forEach((other, fields) -> {
            FieldSet common = fields.intersect(changed);
            if (!common.isEmpty()) {
                conflicts.put(other, common);
            }
        });
        if (!force && !conflicts.isEmpty()) {
            throw conflict(conflicts, owners);
        }
        owners.others(writer)
                .forEach((other, fields) -> owners.set(
                        other,
                        fields.minus(conflicts.getOrDefault(other, FieldSet.EMPTY))
                                .minus(removed)));
        if (!writer.isApply()) {
            owners.set(writer, owners.of(writer).minus(removed).union(changed));
        }
    }

    /** Records a write that is not an apply: it always takes what it changes. */
    ManagedFields update(ObjectNode live, ObjectNode next, String manager) {
        ManagedFields owners = ManagedFields.of(live);
        takeOver(owners, Owner.updater(manager, type.apiVersion(), subresource), live, next, true);
        return owners;
    }

    /** The places of {@code object} that can be owned through this endpoint. */
    private FieldSet owned(ObjectNode object) {
        return owned(FieldSet.of(object, topology));
    }

    private FieldSet owned(FieldSet fields) {
        FieldSet owned = fields;
        for (List<String> path : UNOWNED) {
            owned = owned.without(path);
        }
        if (subresource.equals("status")) {
            return new FieldSet(false, Map.of("f:status", owned.child("f:status")));
        }
        return type.statusSubresource() ? owned.without(List.of("f:status")) : owned;
    }

    private static ApiFailure conflict(Map<Owner, FieldSet> conflicts, ManagedFields owners) {
        List<ApiFailure.Cause> causes = new ArrayList<>();
        Map<String, List<String>> byManager = new TreeMap<>();
        conflicts.forEach((owner, fields) -> {
            String manager = print(owner, owners.time(owner));
            for (String path : fields.paths()) {
                causes.add(new ApiFailure.Cause("FieldManagerConflict", path, "conflict with " + manager));
                byManager.computeIfAbsent(manager, unused -> new ArrayList<>()).add(path);
            }
        });
        if (causes.size() == 1) {
            return ApiFailure.applyConflict(
                    "Apply failed with 1 conflict: %s: %s"
                            .formatted(
                                    causes.getFirst().message(),
                                    causes.getFirst().field()),
                    causes);
        }
        List<String> lines = new ArrayList<>();
        byManager.forEach((manager, paths) -> {
            lines.add("conflicts with %s:".formatted(manager));
            paths.forEach(path -> lines.add("- " + path));
        });
        return ApiFailure.applyConflict(
                "Apply failed with %d conflicts: %s".formatted(causes.size(), String.join("\n", lines)), causes);
    }

    private static String print(Owner owner, String time) {
        String name = "\"" + owner.manager() + "\"";
        if (!owner.subresource().isEmpty()) {
            name += " with subresource \"" + owner.subresource() + "\"";
        }
        if (owner.isApply()) {
            return name;
        }
        return name + " using " + owner.apiVersion() + (time.isEmpty() ? "" : " at " + Instant.parse(time));
    }

    /** The part of {@code sent} that this endpoint may write, over what {@code live} has of the rest. */
    ObjectNode writable(JsonNode live, ObjectNode sent) {
        if (!type.statusSubresource()) {
            return sent.deepCopy();
        }
        ObjectNode next = subresource.equals("status") ? live.deepCopy() : sent.deepCopy();
        JsonNode status = (subresource.equals("status") ? sent : live).get("status");
        next.remove("status");
        if (status != null) {
            next.set("status", status.deepCopy());
        }
        return next;
    }
}
