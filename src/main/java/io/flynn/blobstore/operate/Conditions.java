package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Condition;
import io.fabric8.kubernetes.api.model.ConditionBuilder;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Turns decided conditions into a status' own. */
final class Conditions {

    private Conditions() {}

    /**
     * @param decided in the order in which they are to be shown
     * @param before those of the last status: a condition whose truth is the same keeps its time
     */
    static List<Condition> of(
            List<io.flynn.blobstore.decide.Condition> decided,
            @Nullable List<Condition> before,
            long generation,
            Instant now) {
        List<Condition> last = before == null ? List.of() : before;
        return decided.stream()
                .map(condition -> of(condition, last, generation, now))
                .toList();
    }

    private static Condition of(
            io.flynn.blobstore.decide.Condition decided, List<Condition> last, long generation, Instant now) {
        String status = switch (decided.truth()) {
            case TRUE -> "True";
            case FALSE -> "False";
            case UNKNOWN -> "Unknown";
        };
        String since = last.stream()
                .filter(condition -> decided.type().equals(condition.getType()) && status.equals(condition.getStatus()))
                .map(Condition::getLastTransitionTime)
                .findFirst()
                .orElseGet(() -> now.truncatedTo(ChronoUnit.SECONDS).toString());
        return new ConditionBuilder()
                .withType(decided.type())
                .withStatus(status)
                .withReason(decided.reason())
                .withMessage(decided.message())
                .withObservedGeneration(generation)
                .withLastTransitionTime(since)
                .build();
    }
}
