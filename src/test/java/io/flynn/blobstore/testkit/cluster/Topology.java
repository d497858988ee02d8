package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;

/**
 * How a value at one place of an object merges: the part of Kubernetes' schemas that server-side apply needs
 * (<a href="https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy">merge strategy</a>).
 */
interface Topology {

    enum Mode {
        /** One value with one owner: scalars, atomic lists, atomic maps. */
        ATOMIC,
        /** An object whose fields have owners of their own. */
        FIELDS,
        /** A list of objects that are told apart by {@link #keys()}. */
        KEYED,
        /** A list of scalars that are owned one by one. */
        SET
    }

    /** For a value that is there; its shape decides where the schema doesn't. */
    Mode mode(JsonNode value);

    /** The keys of a {@link Mode#KEYED} list. */
    List<String> keys();

    /** Of an object's field. */
    Topology field(String name);

    /** Of a list's items. */
    Topology item();

    /** How {@code managedFields} names an item of this list, for example {@code k:{"name":"web"}}. */
    default String element(JsonNode item) {
        if (keys().isEmpty()) {
            return "v:" + Json.write(item);
        }
        ObjectNode key = Json.object();
        for (String name : keys()) {
            if (item.has(name)) {
                key.set(name, item.get(name));
            } else if (name.equals("protocol")) {
                key.put(name, "TCP"); // the only key with a default in the schemas in use
            } else {
                throw ApiFailure.badRequest("a list item lacks its key \"%s\": %s".formatted(name, item));
            }
        }
        return "k:" + Json.write(key);
    }
}
