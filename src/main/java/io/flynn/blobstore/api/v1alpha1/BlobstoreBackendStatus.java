package io.flynn.blobstore.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Size;
import io.fabric8.kubernetes.api.model.Condition;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What is known of a backend. Times are RFC 3339, in UTC, to the second. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record BlobstoreBackendStatus(
        @JsonPropertyDescription("The generation of the spec that this status is about; -1 before it was looked at.")
        @Nullable
        Long observedGeneration,

        @JsonPropertyDescription(
                "Ready, Reconciling, Stalled, CredentialsValid, StorageVerified, WorkloadConfigured, Default,"
                        + " InUse; Suspended.")
        @Nullable
        List<Condition> conditions,

        @JsonPropertyDescription("Name under which rows and environment variables know this backend.") @Nullable
        String backendName,

        @JsonProperty("default") @JsonPropertyDescription("Whether new blobs go here.") @Nullable
        DefaultState defaultState,

        @JsonPropertyDescription("What the last probe found.") @Nullable
        ProbeState probe,

        @JsonPropertyDescription("What the database says that lies here.") @Nullable
        Inventory inventory,

        @JsonPropertyDescription("The Secret that the workload's entries refer to.") @Nullable
        String configSecret,

        @JsonPropertyDescription("The Secret with which the workload was last rolled out completely.") @Nullable
        String lastGoodConfigSecret,

        @JsonPropertyDescription("How far the Deployment is.") @Nullable
        WorkloadState workload,

        @JsonPropertyDescription("The least IAM policy for this bucket, ready to paste.") @Nullable
        String iamPolicy,

        @JsonPropertyDescription("One word for people: Ready, or the reason why not.") @Nullable
        String summary) {

    /** Before anything is known. */
    public static final BlobstoreBackendStatus NONE =
            new BlobstoreBackendStatus(null, null, null, null, null, null, null, null, null, null, null);

    /** The same, but for how it stands. */
    public BlobstoreBackendStatus withConditions(long generation, List<Condition> changed, String newSummary) {
        return new BlobstoreBackendStatus(
                generation,
                changed,
                backendName,
                defaultState,
                probe,
                inventory,
                configSecret,
                lastGoodConfigSecret,
                workload,
                iamPolicy,
                newSummary);
    }

    /** The same, but nobody took anything away. */
    public BlobstoreBackendStatus withoutReversals() {
        return new BlobstoreBackendStatus(
                observedGeneration,
                conditions,
                backendName,
                defaultState,
                probe,
                inventory,
                configSecret,
                lastGoodConfigSecret,
                workload == null
                        ? null
                        : new WorkloadState(
                                workload.name(),
                                workload.updatedReplicas(),
                                workload.replicas(),
                                workload.phase(),
                                workload.ownedEnv(),
                                List.of()),
                iamPolicy,
                summary);
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record DefaultState(
            @JsonPropertyDescription("Whether spec.default asks for it.")
            boolean desired,

            @JsonPropertyDescription("Whether every pod of the workload puts new blobs here.")
            boolean actual,

            @JsonPropertyDescription("Since when actual is what it is.") @Nullable
            String since) {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record ProbeState(
            @JsonPropertyDescription("When it ended.") @Nullable
            String lastTime,

            @JsonPropertyDescription("How long it took, in milliseconds.") @Nullable
            Long durationMs,

            @JsonPropertyDescription("What was tried, each with the IAM action that it needs.") @Size(max = 32)
            List<Check> checks) {

        public ProbeState {
            checks = checks == null ? List.of() : List.copyOf(checks);
        }
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Check(
            @JsonPropertyDescription("What was tried.") String name,

            @JsonPropertyDescription("The IAM action that it needs.") @Nullable
            String action,

            @JsonPropertyDescription("Whether it worked.") boolean ok,

            @JsonPropertyDescription("What came back, and what to do.") @Nullable
            String message) {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Inventory(
            @JsonPropertyDescription("Live blobs.") long blobs,
            @JsonPropertyDescription("Their bytes.") long bytes,

            @JsonPropertyDescription("Their bytes, for people.")
            String display,

            @JsonPropertyDescription("When they were counted.") @Nullable
            String asOf) {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record WorkloadState(
            @JsonPropertyDescription("The Deployment.") String name,

            @JsonPropertyDescription("Pods that have the newest configuration.")
            int updatedReplicas,

            @JsonPropertyDescription("Pods that there are.") int replicas,

            @JsonPropertyDescription("Unconfigured, RollingOut, Configured, DefaultRollingOut, Default or Removing.")
            String phase,

            @JsonPropertyDescription("Environment variables of the workload that this backend set.")
            List<String> ownedEnv,

            @JsonPropertyDescription("When somebody took this backend's entries away, lately.") @Nullable
            List<String> reversals) {

        public WorkloadState {
            ownedEnv = ownedEnv == null ? List.of() : List.copyOf(ownedEnv);
        }
    }
}
