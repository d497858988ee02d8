package io.flynn.blobstore.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Size;
import io.fabric8.kubernetes.api.model.Condition;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** How far a migration is, and the ledger of its stages. Times are RFC 3339, in UTC, to the second. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record BlobMigrationStatus(
        @JsonPropertyDescription("The generation of the spec that this status is about; -1 before it was looked at.")
        @Nullable
        Long observedGeneration,

        @JsonPropertyDescription("One word for people; not a contract: use the conditions.") @Nullable
        String phase,

        @JsonPropertyDescription("One line for people: what goes on, or what is to be done.") @Nullable
        String message,

        @JsonPropertyDescription("Planned, Copied, Verified, SourceCleaned, SpaceReclaimed; Complete, Failed, Canceled,"
                + " Suspended, Reconciling, Stalled.")
        @Nullable
        List<Condition> conditions,

        @JsonPropertyDescription("What the plan found.") @Nullable
        Plan plan,

        @JsonPropertyDescription("How far the blobs are.") @Nullable
        ProgressState progress,

        @JsonPropertyDescription("Blobs that can't be moved before somebody looks at them.") @Nullable
        Failures failures,

        @JsonPropertyDescription("The stages, in order.") @Size(max = 16) @Nullable
        List<StageState> stages,

        @JsonPropertyDescription(
                "Until when, at least, what the blobs left at the source is kept, so that a BlobMigration"
                        + " back brings unchanged ones back by their rows alone; absent once it is being removed, or is kept for"
                        + " good.")
        @Nullable
        String rollbackAvailableUntil,

        @JsonPropertyDescription("What became of the database's space.") @Nullable
        Reclaim reclaim,

        @JsonPropertyDescription("When the first stage started.") @Nullable
        String startTime,

        @JsonPropertyDescription("When the migration ended.") @Nullable
        String completionTime) {

    /** The same, but for what it says of itself. */
    public BlobMigrationStatus withConditions(List<Condition> others, String otherMessage) {
        return new BlobMigrationStatus(
                observedGeneration,
                phase,
                otherMessage,
                others,
                plan,
                progress,
                failures,
                stages,
                rollbackAvailableUntil,
                reclaim,
                startTime,
                completionTime);
    }

    /** A number of blobs and their bytes. */
    public record Amount(
            @JsonPropertyDescription("Blobs.") long blobs,

            @JsonPropertyDescription("Their bytes.") long bytes) {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Plan(
            @JsonPropertyDescription(
                    "Hash over the spec and the stores' identities, not over counts, which live traffic" + " changes.")
            @Nullable
            String hash,

            @JsonPropertyDescription("Blobs to move.") long blobs,
            @JsonPropertyDescription("Their bytes.") long bytes,

            @JsonPropertyDescription("About how long the copy will take, for people.") @Nullable
            String estimatedDuration,

            @JsonPropertyDescription("What stands in the way.") @Size(max = 20)
            List<String> blockers,

            @JsonPropertyDescription("What is worth knowing before.") @Size(max = 20)
            List<String> warnings) {

        public Plan {
            blockers = blockers == null ? List.of() : List.copyOf(blockers);
            warnings = warnings == null ? List.of() : List.copyOf(warnings);
        }
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record ProgressState(
            @JsonPropertyDescription("Blobs in scope.") @Nullable
            Amount total,

            @JsonPropertyDescription("Of them, those that the target holds and the rows name there.") @Nullable
            Amount copied,

            @JsonPropertyDescription("Of them, those whose object was read back and found right.") @Nullable
            Amount verified,

            @JsonPropertyDescription("Blobs that can't be moved before somebody looks at them.") @Nullable
            Long failed,

            @JsonPropertyDescription("Blobs that are still at the source.") @Nullable
            Amount remaining,

            @JsonPropertyDescription("How much of the running stage is done, in percent.") @Nullable
            Integer percent,

            @JsonPropertyDescription("The same for people, as 29841/48211 (62%).") @Nullable
            String display,

            @JsonPropertyDescription("Bytes per second, over the last 30 seconds.") @Nullable
            Long bytesPerSecond,

            @JsonPropertyDescription("The same for people, as 48.6Mi/s.") @Nullable
            String rate,

            @JsonPropertyDescription("Time that is left, for people, as 6m.") @Nullable
            String eta,

            @JsonPropertyDescription("When the running stage will be done, at this rate.") @Nullable
            String estimatedCompletionTime,

            @JsonPropertyDescription("Id of a blob that is being worked on.") @Nullable
            String currentBlob,

            @JsonPropertyDescription("When the pod was last heard of.") @Nullable
            String lastProgressTime) {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Failures(
            @JsonPropertyDescription("How many.") long count,

            @JsonPropertyDescription("How many for each reason, of those that are listed.") @Nullable
            Map<String, Long> byReason,

            @JsonPropertyDescription("The first of them.") @Size(max = 20) @Nullable
            List<Failure> items) {}

    public record Failure(
            @JsonPropertyDescription("The row's id.") String blob,

            @JsonPropertyDescription("Why, as a constant.") String reason,

            @JsonPropertyDescription("Why, and what to do.") String message) {}

    public enum StageProgress {
        @JsonProperty("Pending")
        PENDING,
        @JsonProperty("Running")
        RUNNING,
        @JsonProperty("Done")
        DONE,
        @JsonProperty("Failed")
        FAILED,
        @JsonProperty("Skipped")
        SKIPPED
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record StageState(
            @JsonPropertyDescription("plan, copy, verify, clean or vacuum.")
            String name,

            @JsonPropertyDescription("How far it is.") StageProgress state,

            @JsonPropertyDescription("When it started.") @Nullable
            String startTime,

            @JsonPropertyDescription("When it ended.") @Nullable
            String completionTime,

            @JsonPropertyDescription("Its last Job.") @Nullable
            String job,

            @JsonPropertyDescription("How many Jobs it took so far.") @Nullable
            Integer attempts) {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Reclaim(
            @JsonPropertyDescription("Size of the database before, for people.") @Nullable
            String databaseBefore,

            @JsonPropertyDescription("Size of the database after, for people.") @Nullable
            String databaseAfter,

            @JsonPropertyDescription("What was given back, for people.") @Nullable
            String reclaimed,

            @JsonPropertyDescription("Full or Plain.") @Nullable
            String method,

            @JsonPropertyDescription("How long a full vacuum kept readers waiting, for people.") @Nullable
            String lockHeld) {}
}
