package io.flynn.blobstore.testkit.cluster;

/**
 * What a request is about.
 *
 * @param namespace empty for all, or for what has none
 * @param name empty for the collection
 * @param subresource empty for the object itself
 */
record Target(ResourceType type, String namespace, String name, String subresource) {

    static Target of(ResourceType type, String namespace, String name) {
        return new Target(type, namespace, name, "");
    }

    /** Under what it is stored. */
    ObjectStore.Key key() {
        return ObjectStore.Key.of(type, namespace, name);
    }

    Target status() {
        return new Target(type, namespace, name, "status");
    }

    /** As RBAC names it, for example {@code jobs/status}. */
    String resource() {
        return subresource.isEmpty() ? type.plural() : type.plural() + "/" + subresource;
    }
}
