package io.flynn.blobstore.api.v1alpha1;

/** What strings in a spec may look like. None allows white space or {@code $(}, which Kubernetes would expand. */
final class Patterns {

    static final String BACKEND_NAME = "^[a-z0-9]{1,40}$";

    /** A resource's name (RFC 1123 subdomain, as the API server checks it). */
    static final String RESOURCE_NAME = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

    /** A container's name (RFC 1123 label). */
    static final String CONTAINER_NAME = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

    /** A key in a Secret. */
    static final String SECRET_KEY = "^[-._a-zA-Z0-9]+$";

    /** Wider than AWS' rule for new buckets: old buckets and other stores have capitals and underscores. */
    static final String BUCKET = "^[A-Za-z0-9][A-Za-z0-9._-]+[A-Za-z0-9]$";

    static final String REGION = "^[A-Za-z0-9][A-Za-z0-9-]*$";

    /** Or empty. What the host may be, decides {@code EndpointRule}. */
    static final String ENDPOINT = "^(https?://[A-Za-z0-9.:_\\[\\]-]+)?$";

    /** One number, one unit: what Go, Java and PostgreSQL all read alike. */
    static final String DURATION = "^[1-9][0-9]{0,4}(s|m|h)$";

    /** Or none at all, as {@code 0s}. */
    static final String DURATION_OR_NONE = "^(0|[1-9][0-9]{0,4})(s|m|h)$";

    /** A number and one of Kubernetes' binary units, or none. */
    static final String BYTES = "^(0|[1-9][0-9]{0,14}(Ki|Mi|Gi|Ti)?)$";

    static final String BYTES_OR_NONE = "^(0|[1-9][0-9]{0,14}(Ki|Mi|Gi|Ti)?)?$";

    /** Blobs' names begin with a slash and may hold spaces, {@code $} and all else; it becomes an argument in which nothing is expanded. */
    static final String NAME_PREFIX_OR_NONE = "^(/.*)?$";

    /** In UTC (RFC 3339). */
    static final String TIME_OR_NONE =
            "^([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)?$";

    private Patterns() {}
}
