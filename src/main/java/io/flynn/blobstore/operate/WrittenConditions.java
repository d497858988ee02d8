package io.flynn.blobstore.operate;

import static java.util.stream.Collectors.toMap;

import io.fabric8.kubernetes.api.model.Condition;
import io.flynn.blobstore.decide.Condition.Truth;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The conditions that a status holds. One that no operator could have written counts as not written. */
final class WrittenConditions {

    private final List<Condition> written;

    WrittenConditions(@Nullable List<Condition> written) {
        this.written = written == null ? List.of() : List.copyOf(written);
    }

    Optional<Condition> find(String type) {
        return written.stream()
                .filter(condition -> type.equals(condition.getType()))
                .findFirst();
    }

    boolean isTrue(String type) {
        return find(type)
                .filter(condition -> "True".equals(condition.getStatus()))
                .isPresent();
    }

    Map<String, io.flynn.blobstore.decide.Condition> byType() {
        return written.stream()
                .flatMap(WrittenConditions::decided)
                .collect(toMap(
                        io.flynn.blobstore.decide.Condition::type, condition -> condition, (first, second) -> first));
    }

    private static Stream<io.flynn.blobstore.decide.Condition> decided(Condition condition) {
        try {
            Truth truth = switch (condition.getStatus()) {
                case "True" -> Truth.TRUE;
                case "False" -> Truth.FALSE;
                default -> Truth.UNKNOWN;
            };
            String message = condition.getMessage() == null ? "" : condition.getMessage();
            return Stream.of(new io.flynn.blobstore.decide.Condition(
                    condition.getType(), truth, condition.getReason(), message));
        } catch (IllegalArgumentException | NullPointerException garbled) {
            return Stream.empty();
        }
    }
}
