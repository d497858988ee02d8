package io.flynn.blobstore.decide;

/** The one thing to do next about a backend. Each can be carried out twice without harm. */
public sealed interface BackendAction {

    /** Nothing but to look again. */
    record None() implements BackendAction {}

    /**
     * Make a Job that tries the wanted configuration as the workload.
     *
     * @param inventoryOnly whether it only counts the rows that use the backend
     */
    record Probe(int attempt, boolean inventoryOnly) implements BackendAction {}

    /** Keep the wanted configuration in a Secret, and have the Deployment refer to it. */
    record Configure() implements BackendAction {}

    /** Every pod has the configuration: only the last two Secrets are still needed. */
    record Settle() implements BackendAction {}

    /** Set {@code DEFAULT_BACKEND}; takes it over from another backend in the same write. */
    record MakeDefault() implements BackendAction {}

    /** Take {@code DEFAULT_BACKEND} away: new blobs go to PostgreSQL. */
    record DropDefault() implements BackendAction {}

    /** Take this backend's entries out of the Deployment. */
    record Remove() implements BackendAction {}

    /**
     * Let the resource go.
     *
     * @param withSecrets whether the configuration Secrets go too; no, if the Deployment still refers to them
     */
    record Release(boolean withSecrets) implements BackendAction {}
}
