package io.flynn.blobstore.decide;

import java.time.Duration;
import java.time.Instant;
import java.util.EnumSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * All that a decision about one migration rests on, gathered before it is taken.
 *
 * @param spec what is wanted
 * @param specChanged whether the spec was changed since the last status
 * @param ledger what is remembered
 * @param run of the ledger's running stage; empty if its Job doesn't exist
 * @param podsAlive whether a pod of this migration is still there and not over, whatever became of its Job
 * @param stray whose Job is not over, though the ledger doesn't call it running: it was made by an operator that had slept since
 *     it wrote the ledger, while another one took its place
 * @param source where the blobs are
 * @param target where they go
 * @param limitsDiffer whether the pods that run are told other limits than the spec has, or are another number
 * @param workload whose one-off processes the stages are
 * @param rival the migration of the same workload that goes first, if one does
 * @param back the migration that has begun, since this one was verified, to bring back what this one has moved, if one has
 * @param before the conditions of the last status, by type
 * @param now the operator's clock
 */
public record MigrationFacts(
        Spec spec,
        boolean specChanged,
        StageLedger ledger,
        Optional<StageRun> run,
        boolean podsAlive,
        Optional<Attempt> stray,
        Place source,
        Place target,
        boolean limitsDiffer,
        Workload workload,
        Optional<String> rival,
        Optional<String> back,
        Map<String, Condition> before,
        Instant now) {

    public MigrationFacts {
        before = Map.copyOf(before);
    }

    /** One Job's worth of a stage, counted from 1. */
    public record Attempt(Stage stage, int number) {}

    /**
     * What is wanted, as far as it decides which stages run.
     *
     * @param planOnly nothing is to be written
     * @param suspend to pause
     * @param cancel to end, for good
     * @param cleanUp the large objects are to be removed
     * @param vacuum the space is to be given back
     * @param fullVacuum by a rewrite of the table that was asked for, not chosen because little is left
     * @param retention for how long after the verification what is to be removed is kept; 0 = not at all
     */
    public record Spec(
            boolean planOnly,
            boolean suspend,
            boolean cancel,
            boolean cleanUp,
            boolean vacuum,
            boolean fullVacuum,
            Duration retention) {

        Set<Stage> unwanted() {
            Set<Stage> unwanted = EnumSet.noneOf(Stage.class);
            if (planOnly) {
                unwanted.addAll(EnumSet.of(Stage.COPY, Stage.VERIFY, Stage.CLEAN, Stage.VACUUM));
            }
            if (!cleanUp) {
                unwanted.addAll(EnumSet.of(Stage.CLEAN, Stage.VACUUM));
            }
            if (!vacuum) {
                unwanted.add(Stage.VACUUM);
            }
            return unwanted;
        }
    }

    /** One end of the move. */
    public sealed interface Place {

        record Missing(String name) implements Place {}

        /**
         * A backend's resource.
         *
         * @param name the resource's
         * @param workload that it configures
         * @param leaving whether it is being deleted
         * @param ready whether all is well with it
         * @param configured whether every pod of the workload can read from it
         * @param isDefault whether every pod of the workload puts new blobs there
         * @param state what it says of itself when it is not ready
         */
        record Backend(
                String name,
                String workload,
                boolean leaving,
                boolean ready,
                boolean configured,
                boolean isDefault,
                String state)
                implements Place {}

        /**
         * The workload's database.
         *
         * @param defaultElsewhere the backend that is the workload's default, or is to be; empty if new blobs go to the database
         */
        record Database(Optional<String> defaultElsewhere) implements Place {}
    }

    /** The Deployment. */
    public sealed interface Workload {

        /** The Deployment's name. */
        String name();

        record Usable(String name) implements Workload {}

        record Missing(String name) implements Workload {}

        /** A worker's pod can't be made from its pod. */
        record Unusable(String name, String reason, String message) implements Workload {}
    }
}
