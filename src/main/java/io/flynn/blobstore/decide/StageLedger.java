package io.flynn.blobstore.decide;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;

/**
 * What is remembered of a migration's stages. It says which stage is to run, never what became of a blob: rows are the only truth
 * about those, so a lost ledger costs time and nothing else.
 *
 * @param entries one for each of {@link #STAGES}, in that order
 */
public record StageLedger(List<Entry> entries) {

    public static final List<Stage> STAGES = List.of(Stage.PLAN, Stage.COPY, Stage.VERIFY, Stage.CLEAN, Stage.VACUUM);

    /** Nothing has run yet. */
    public static final StageLedger EMPTY =
            new StageLedger(STAGES.stream().map(Entry::unstarted).toList());

    /** The first retry comes soon, as most troubles pass; five minutes keep a long one visible and cheap. */
    private static final Duration DELAY_MIN = Duration.ofSeconds(2);

    private static final Duration DELAY_MAX = Duration.ofMinutes(5);

    /** {@link #DELAY_MIN} doubled that often is beyond {@link #DELAY_MAX}. */
    private static final int DOUBLINGS_MAX = 8;

    public enum State {
        /** Its turn has not come, or it waits to be tried again. */
        PENDING,
        /** The Job of its last attempt was made, or is about to be. */
        RUNNING,
        DONE,
        /** It won't be tried again by itself. */
        FAILED,
        /** The spec doesn't ask for it. */
        SKIPPED
    }

    /**
     * One stage.
     *
     * @param stage which
     * @param state how far
     * @param attempts Jobs so far; the last one's number
     * @param started when the first attempt was
     * @param ended when the last attempt was over
     */
    public record Entry(Stage stage, State state, int attempts, Optional<Instant> started, Optional<Instant> ended) {

        static Entry unstarted(Stage stage) {
            return new Entry(stage, State.PENDING, 0, Optional.empty(), Optional.empty());
        }

        /** When a pending stage may run: at once, or a while after its last attempt, which grows with their number. */
        Instant due(Instant now) {
            return ended.map(time -> time.plus(delay())).orElse(now);
        }

        private Duration delay() {
            Duration delay = DELAY_MIN.multipliedBy(1L << Math.min(Math.max(attempts - 1, 0), DOUBLINGS_MAX));
            return delay.compareTo(DELAY_MAX) < 0 ? delay : DELAY_MAX;
        }

        private Entry in(State next) {
            return new Entry(stage, next, attempts, started, ended);
        }

        private Entry started(Instant now) {
            return new Entry(stage, State.RUNNING, attempts + 1, started.or(() -> Optional.of(now)), Optional.empty());
        }

        private Entry ended(State next, Instant now) {
            return new Entry(stage, next, attempts, started, Optional.of(now));
        }

        private Entry atOnce() {
            return new Entry(stage, State.PENDING, attempts, started, Optional.empty());
        }
    }

    public StageLedger {
        entries = List.copyOf(entries);
        if (!entries.stream().map(Entry::stage).toList().equals(STAGES)) {
            throw new IllegalArgumentException("a ledger has the stages " + STAGES);
        }
    }

    public Entry of(Stage stage) {
        return entries.get(STAGES.indexOf(stage));
    }

    /** The stage whose turn it is; empty when nothing is left to do. */
    public Optional<Entry> current() {
        return running()
                .or(() -> first(entry ->
                        entry.state() != State.DONE && entry.state() != State.SKIPPED && !isForgivable(entry)));
    }

    public Optional<Entry> running() {
        return first(entry -> entry.state() == State.RUNNING);
    }

    /** The stage that needs a person before the migration can go on. */
    Optional<Entry> failed() {
        return first(entry -> entry.state() == State.FAILED && !isForgivable(entry));
    }

    /** Whether more than the plan has run, or is about to: from then on its target must stay. */
    public boolean hasBegun() {
        return of(Stage.PLAN).state() == State.DONE;
    }

    /** Whether rows may name the target already. */
    boolean mayHaveMovedRows() {
        return of(Stage.COPY).attempts() > 0;
    }

    /**
     * Until when what the blobs left at the source is kept; empty if it is not to be kept, if that is not the question yet, or if its
     * removal has begun.
     *
     * @param retention from the end of the verification
     */
    Optional<Instant> keptUntil(Duration retention) {
        boolean isToBeCleaned = current()
                .filter(entry -> entry.stage() == Stage.CLEAN && entry.attempts() == 0)
                .isPresent();
        return isToBeCleaned && retention.isPositive()
                ? of(Stage.VERIFY).ended().map(verified -> verified.plus(retention))
                : Optional.empty();
    }

    /** Leaves out what isn't asked for, and takes in again what is. */
    StageLedger skipping(Set<Stage> unwanted) {
        return each(entry -> switch (entry.state()) {
            case PENDING -> unwanted.contains(entry.stage()) ? entry.in(State.SKIPPED) : entry;
            case SKIPPED -> unwanted.contains(entry.stage()) ? entry : entry.in(State.PENDING);
            case RUNNING, DONE, FAILED -> entry;
        });
    }

    StageLedger started(Stage stage, Instant now) {
        return with(of(stage).started(now));
    }

    StageLedger done(Stage stage, Instant now) {
        return with(of(stage).ended(State.DONE, now));
    }

    StageLedger failed(Stage stage, Instant now) {
        return with(of(stage).ended(State.FAILED, now));
    }

    /** To be tried again, later. */
    StageLedger retried(Stage stage, Instant now) {
        return with(of(stage).ended(State.PENDING, now));
    }

    /** To be run again as soon as it may, since it was stopped on request. */
    StageLedger stopped(Stage stage) {
        return with(of(stage).atOnce());
    }

    /** Copy and all that follows run again: rows were found at the source. The copy keeps its time, so that a circle slows down. */
    StageLedger copiedAgain(Instant now) {
        StageLedger again = with(of(Stage.COPY).ended(State.PENDING, now));
        again = again.with(of(Stage.VERIFY).atOnce());
        return of(Stage.CLEAN).state() == State.SKIPPED
                ? again
                : again.with(of(Stage.CLEAN).atOnce());
    }

    /** Failed stages run again, since somebody has acted; a verification that failed needs what it disbelieved copied again. */
    StageLedger retriedOnRequest() {
        boolean unverified = of(Stage.VERIFY).state() == State.FAILED;
        return each(entry ->
                entry.state() == State.FAILED || (unverified && entry.stage() == Stage.COPY) ? entry.atOnce() : entry);
    }

    /** A vacuum that fails leaves the blobs as moved as they are. */
    private static boolean isForgivable(Entry entry) {
        return entry.stage() == Stage.VACUUM && entry.state() == State.FAILED;
    }

    private Optional<Entry> first(Predicate<Entry> matching) {
        return entries.stream().filter(matching).findFirst();
    }

    private StageLedger with(Entry changed) {
        return each(entry -> entry.stage() == changed.stage() ? changed : entry);
    }

    private StageLedger each(UnaryOperator<Entry> change) {
        return new StageLedger(entries.stream().map(change).toList());
    }
}
