package io.flynn.blobstore.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Max;
import io.fabric8.generator.annotation.Min;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;

/** What is wanted of a migration. */
@JsonInclude(JsonInclude.Include.NON_NULL)
@ValidationRule(
        value = "self.from != self.to",
        message =
                "spec.to is the same as spec.from: name another place for the blobs to go to, postgres or a BlobstoreBackend")
public record BlobMigrationSpec(
        @Required
        @JsonPropertyDescription("The Deployment whose blobs are moved, in the same namespace. It can't change.")
        Workload workload,

        @Required
        @JsonPropertyDescription(
                "Where the blobs are: postgres, or the name of a BlobstoreBackend in the same namespace. It can't change.")
        @Size(min = 1, max = 253)
        @Pattern(Patterns.RESOURCE_NAME)
        @ValidationRule(
                value = "self == oldSelf",
                message = "spec.from can't change: cancel this BlobMigration and make another")
        String from,

        @Required
        @JsonPropertyDescription(
                "Where they go: postgres, or the name of a BlobstoreBackend in the same namespace. It must be where"
                        + " the workload puts new blobs. It can't change.")
        @Size(min = 1, max = 253)
        @Pattern(Patterns.RESOURCE_NAME)
        @ValidationRule(
                value = "self == oldSelf",
                message = "spec.to can't change: cancel this BlobMigration and make another")
        String to,

        @JsonPropertyDescription(
                "Run: moves the blobs. Plan: writes nothing and reports what Run would do. It can't" + " change.")
        @Default("Run")
        @ValidationRule(value = "self == oldSelf", message = "spec.mode can't change: make another BlobMigration")
        Mode mode,

        @JsonPropertyDescription("Whether the migration pauses. What was moved stays moved.") @Default("false")
        Boolean suspend,

        @JsonPropertyDescription("Whether the migration ends early, for good. What was moved stays moved.")
        @Default("false")
        @ValidationRule(
                value = "self || !oldSelf",
                message = "spec.cancel can't be taken back: make another BlobMigration to go on")
        Boolean cancel,

        @JsonPropertyDescription("Which blobs are moved: all, unless something is given here. It can't change.")
        @Default("{}")
        @ValidationRule(value = "self == oldSelf", message = "spec.filter can't change: make another BlobMigration")
        Filter filter,

        @JsonPropertyDescription(
                "How a copy in a bucket is proven before its row points at it. ReadBack: it is read back whole."
                        + " StoreChecksum: by the store's own checksums where it is seen to check them, else as ReadBack."
                        + " What comes into the database is always read back. Every blob is read whole once more at its"
                        + " target before the migration is Verified, either way.")
        @Default("ReadBack")
        Verification verification,

        @JsonPropertyDescription(
                "Pods that copy at once and share the blobs out among themselves; each opens as many connections to the"
                        + " database as it has blobs in flight, and some. A change reaches a Job that runs. The other stages"
                        + " have one pod.")
        @Default("1")
        @Min(1)
        @Max(16)
        Integer parallelism,

        @JsonPropertyDescription("Blobs in flight in a pod. A change reaches a pod that runs within two minutes.")
        @Default("8")
        @Min(1)
        @Max(64)
        Integer concurrencyPerPod,

        @JsonPropertyDescription(
                "Bytes a second at which all pods together copy blobs, as 50Mi; 0 for no limit. Each pod gets an equal"
                        + " part, and none less than 1 MB, so a low limit means fewer pods than spec.parallelism. A change"
                        + " reaches a pod that runs within two minutes.")
        @Default("0")
        @Size(max = 17)
        @Pattern(Patterns.BYTES)
        String bandwidthLimit,

        @JsonPropertyDescription("What becomes of the bytes at the source once the blobs are verified.") @Default("{}")
        SourceCleanup sourceCleanup,

        @JsonPropertyDescription("How the database's space is given back once the large objects are gone.")
        @Default("{}")
        Vacuum vacuum,

        @JsonPropertyDescription("How often things are tried again.") @Default("{}")
        FailurePolicy failurePolicy,

        @JsonPropertyDescription("What the migration's pods get besides what the workload's pods have.") @Default("{}")
        PodTemplate podTemplate,

        @JsonPropertyDescription("Seconds for which a finished Job is kept. The BlobMigration itself is never removed.")
        @Default("86400")
        @Min(600)
        @Max(2_592_000)
        Integer ttlSecondsAfterFinished) {

    public BlobMigrationSpec {
        mode = mode == null ? Mode.RUN : mode;
        suspend = suspend == null ? Boolean.FALSE : suspend;
        cancel = cancel == null ? Boolean.FALSE : cancel;
        filter = filter == null ? Filter.ALL : filter;
        verification = verification == null ? Verification.READ_BACK : verification;
        parallelism = parallelism == null ? Integer.valueOf(1) : parallelism;
        bandwidthLimit = bandwidthLimit == null ? "0" : bandwidthLimit;
        concurrencyPerPod = concurrencyPerPod == null ? Integer.valueOf(8) : concurrencyPerPod;
        sourceCleanup = sourceCleanup == null ? new SourceCleanup(CleanupPolicy.DELETE, "0s") : sourceCleanup;
        vacuum = vacuum == null ? new Vacuum(VacuumMode.AUTO, "5s") : vacuum;
        failurePolicy = failurePolicy == null ? new FailurePolicy(5, 6) : failurePolicy;
        podTemplate = podTemplate == null ? PodTemplate.EMPTY : podTemplate;
        ttlSecondsAfterFinished = ttlSecondsAfterFinished == null ? Integer.valueOf(86_400) : ttlSecondsAfterFinished;
    }

    public enum Mode {
        @JsonProperty("Run")
        RUN,
        @JsonProperty("Plan")
        PLAN
    }

    public enum Verification {
        @JsonProperty("ReadBack")
        READ_BACK,
        @JsonProperty("StoreChecksum")
        STORE_CHECKSUM
    }

    public enum CleanupPolicy {
        @JsonProperty("Delete")
        DELETE,
        @JsonProperty("Retain")
        RETAIN
    }

    public enum VacuumMode {
        @JsonProperty("Auto")
        AUTO,
        @JsonProperty("Full")
        FULL,
        @JsonProperty("Plain")
        PLAIN,
        @JsonProperty("None")
        NONE
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Workload(
            @Required
            @JsonPropertyDescription("Name of the Deployment.")
            @Size(min = 1, max = 253)
            @Pattern(Patterns.RESOURCE_NAME)
            @ValidationRule(
                    value = "self == oldSelf",
                    message = "spec.workload.name can't change: make another BlobMigration for another Deployment")
            String name) {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Filter(
            @JsonPropertyDescription("Only blobs whose names begin with this, byte for byte, as /app/. No pattern.")
            @Default("\"\"")
            @Size(max = 1024)
            @Pattern(Patterns.NAME_PREFIX_OR_NONE)
            String prefix,

            @JsonPropertyDescription("Only blobs of at least so many bytes, as 1Mi; empty for any.")
            @Default("\"\"")
            @Size(max = 17)
            @Pattern(Patterns.BYTES_OR_NONE)
            String minSize,

            @JsonPropertyDescription("Only blobs of at most so many bytes, as 1Gi; empty for any.")
            @Default("\"\"")
            @Size(max = 17)
            @Pattern(Patterns.BYTES_OR_NONE)
            String maxSize,

            @JsonPropertyDescription(
                    "Only blobs that were last written before this time, as 2026-01-31T00:00:00Z; empty for any.")
            @Default("\"\"")
            @Size(max = 20)
            @Pattern(Patterns.TIME_OR_NONE)
            @ValidationRule(
                    value = "self == '' || timestamp(self) > timestamp('1970-01-01T00:00:00Z')",
                    message = "spec.filter.updatedBefore is no time: write one as 2026-01-31T00:00:00Z")
            String updatedBefore) {

        public static final Filter ALL = new Filter("", "", "", "");

        public Filter {
            prefix = prefix == null ? "" : prefix;
            minSize = minSize == null ? "" : minSize;
            maxSize = maxSize == null ? "" : maxSize;
            updatedBefore = updatedBefore == null ? "" : updatedBefore;
        }
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record SourceCleanup(
            @JsonPropertyDescription(
                    "Delete: large objects, or objects in the bucket that the blobs came from, are removed once their"
                            + " blobs are verified. Retain: they stay.")
            @Default("Delete")
            CleanupPolicy policy,

            @JsonPropertyDescription(
                    "How long after their verification what the blobs left at the source is kept before it is removed, as"
                            + " 72h; 0s for not at all. Meanwhile a BlobMigration back brings unchanged blobs back by"
                            + " their rows alone. A change counts until the clean stage has begun. It binds the BlobMigrations of"
                            + " this workload, not who cleans by hand.")
            @Default("0s")
            @Size(max = 6)
            @Pattern(Patterns.DURATION_OR_NONE)
            String retentionPeriod) {

        public SourceCleanup {
            policy = policy == null ? CleanupPolicy.DELETE : policy;
            retentionPeriod = retentionPeriod == null ? "0s" : retentionPeriod;
        }
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Vacuum(
            @JsonPropertyDescription("Full: rewrites the large objects' table; readers wait meanwhile. Plain: makes the"
                    + " space usable again, but doesn't shrink the database much. Auto: Full if little is left to rewrite"
                    + " (64 MiB: milliseconds), else Plain. None: nothing is done.")
            @Default("Auto")
            VacuumMode mode,

            @JsonPropertyDescription("How long a full vacuum may wait for its lock, as 5s. Readers wait behind it.")
            @Default("5s")
            @Pattern(Patterns.DURATION)
            @ValidationRule(
                    value = "duration(self) <= duration('10m')",
                    message = "spec.vacuum.lockTimeout is too long: readers wait behind the lock; write 10m or less")
            String lockTimeout) {

        public Vacuum {
            mode = mode == null ? VacuumMode.AUTO : mode;
            lockTimeout = lockTimeout == null ? "5s" : lockTimeout;
        }
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record FailurePolicy(
            @JsonPropertyDescription("How often one blob is tried again before it counts as failed.")
            @Default("5")
            @Min(0)
            @Max(20)
            Integer perBlobRetries,

            @JsonPropertyDescription(
                    "How often one Job starts another pod before a new Job is made, later; with several pods, so often for each.")
            @Default("6")
            @Min(0)
            @Max(20)
            Integer podBackoffLimit) {

        public FailurePolicy {
            perBlobRetries = perBlobRetries == null ? Integer.valueOf(5) : perBlobRetries;
            podBackoffLimit = podBackoffLimit == null ? Integer.valueOf(6) : podBackoffLimit;
        }
    }
}
