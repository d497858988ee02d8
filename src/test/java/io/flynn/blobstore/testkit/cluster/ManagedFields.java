package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Map;

/** Who owns which fields of one object: {@code metadata.managedFields}, read and written. Mutable, used by one request. */
final class ManagedFields {

    /** Someone who changes objects: one entry of {@code managedFields}. */
    record Owner(String manager, String operation, String apiVersion, String subresource) {

        static Owner applier(String manager, String apiVersion, String subresource) {
            return new Owner(manager, "Apply", apiVersion, subresource);
        }

        static Owner updater(String manager, String apiVersion, String subresource) {
            return new Owner(manager, "Update", apiVersion, subresource);
        }

        boolean isApply() {
            return operation.equals("Apply");
        }
    }

    private final Map<Owner, FieldSet> sets = new LinkedHashMap<>();
    private final Map<Owner, String> times = new LinkedHashMap<>();
    private final Map<Owner, FieldSet> before;

    private ManagedFields(JsonNode entries) {
        for (JsonNode entry : entries) {
            Owner owner = new Owner(
                    Json.text(entry, "manager"),
                    Json.text(entry, "operation"),
                    Json.text(entry, "apiVersion"),
                    Json.text(entry, "subresource"));
            sets.put(owner, FieldSet.fromJson(entry.path("fieldsV1")));
            times.put(owner, Json.text(entry, "time"));
        }
        before = Map.copyOf(sets);
    }

    static ManagedFields of(JsonNode object) {
        return new ManagedFields(object.path("metadata").path("managedFields"));
    }

    FieldSet of(Owner owner) {
        return sets.getOrDefault(owner, FieldSet.EMPTY);
    }

    void set(Owner owner, FieldSet fields) {
        sets.put(owner, fields);
    }

    /** All owners but {@code owner}, with what they own. */
    Map<Owner, FieldSet> others(Owner owner) {
        Map<Owner, FieldSet> others = new LinkedHashMap<>(sets);
        others.remove(owner);
        return others;
    }

    boolean changed() {
        return !sets.equals(before);
    }

    /** When {@code owner} last changed what it owns. */
    String time(Owner owner) {
        return times.getOrDefault(owner, "");
    }

    /** Writes the entries into {@code object}; owners of nothing are forgotten, unchanged ones keep their time. */
    void writeTo(ObjectNode object, Instant now) {
        sets.values().removeIf(FieldSet::isEmpty);
        ArrayNode entries = Json.metadata(object).putArray("managedFields");
        sets.forEach((owner, fields) -> {
            boolean same = fields.equals(before.get(owner));
            ObjectNode entry = entries.addObject()
                    .put("manager", owner.manager())
                    .put("operation", owner.operation())
                    .put("apiVersion", owner.apiVersion())
                    .put(
                            "time",
                            same
                                    ? time(owner)
                                    : now.truncatedTo(ChronoUnit.SECONDS).toString())
                    .put("fieldsType", "FieldsV1");
            entry.set("fieldsV1", fields.toJson());
            if (!owner.subresource().isEmpty()) {
                entry.put("subresource", owner.subresource());
            }
        });
        if (entries.isEmpty()) {
            Json.metadata(object).remove("managedFields");
        }
    }
}
