package io.flynn.blobstore.decide;

import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/** Which of a workload's migrations goes first: one moves, the others wait and name it. */
public final class MigrationTurn {

    /** The API server's time stamps have whole seconds, so names decide between two of one second. */
    private static final Comparator<Contender> ORDER = Comparator.comparing(Contender::running)
            .reversed()
            .thenComparing(Contender::created)
            .thenComparing(Contender::name);

    private MigrationTurn() {}

    /**
     * One migration of a workload.
     *
     * @param name the resource's
     * @param created its creation's time stamp, RFC 3339 in UTC
     * @param willing whether it would run: not finished, not suspended, not waiting for a person
     * @param running whether one of its stages runs; it isn't stopped because an older one woke up
     */
    public record Contender(String name, String created, boolean willing, boolean running) {}

    /** The name of the one that goes before {@code self}, if any does. */
    public static Optional<String> before(Contender self, List<Contender> others) {
        return others.stream()
                .filter(other -> !other.name().equals(self.name()))
                .filter(other -> other.willing() || other.running())
                .filter(other -> ORDER.compare(other, self) < 0)
                .min(ORDER)
                .map(Contender::name);
    }
}
