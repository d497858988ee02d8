package io.flynn.blobstore.decide;

import java.util.Map;

/**
 * What a sweep of leftovers did.
 *
 * @param deletedObjects objects, and uploads that were never finished
 * @param deletedBytes of the objects
 * @param deletedLargeObjects large objects
 * @param deletedLargeObjectBytes as far as they may be looked at
 * @param kept how many leftovers stay, by what the second look said; those that could not be deleted aren't among them
 * @param failed how many could not be deleted
 * @param outcome DONE if nothing failed
 */
public record SweepReport(
        long deletedObjects,
        long deletedBytes,
        long deletedLargeObjects,
        long deletedLargeObjectBytes,
        Map<OrphanDecision, Long> kept,
        long failed,
        ExitCode outcome) {

    public SweepReport {
        kept = Map.copyOf(kept);
    }
}
