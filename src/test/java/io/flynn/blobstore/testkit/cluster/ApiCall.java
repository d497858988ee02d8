package io.flynn.blobstore.testkit.cluster;

/**
 * One request that came over HTTP, as RBAC sees it.
 *
 * @param verb get, list, watch, create, update, patch, delete or deletecollection
 * @param group empty for the core group
 * @param resource with its subresource, for example {@code jobs/status}
 * @param namespace empty for all or none
 * @param name empty for a collection
 * @param user whom the bearer token names ({@link LocalCluster#kubeconfig}), {@code anonymous} without one
 * @param fieldManager as the request names it; empty if it doesn't
 * @param code the HTTP status that was answered; 0 for a connection that was cut
 */
public record ApiCall(
        String verb,
        String group,
        String resource,
        String namespace,
        String name,
        String user,
        String userAgent,
        String fieldManager,
        int code) {

    ApiCall answered(int answer) {
        return new ApiCall(verb, group, resource, namespace, name, user, userAgent, fieldManager, answer);
    }
}
