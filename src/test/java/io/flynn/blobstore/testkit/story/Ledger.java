package io.flynn.blobstore.testkit.story;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * What the blobstore has acknowledged, per name, and so what anybody who reads may see: the last acknowledged state, or that of
 * a change which began since and whose answer hasn't come or was lost. One change at a time per name; names don't lie below each
 * other, since deleting one deletes what is below it. An absent blob is an empty {@code Optional}. Thread-safe.
 */
public final class Ledger {

    private final Map<String, History> histories = new ConcurrentHashMap<>();

    /** A name's states in the order in which changes began; those before {@code settled} can't be seen any more. */
    private static final class History {
        private final List<Optional<Fingerprint>> states = new ArrayList<>(List.of(Optional.empty()));
        private int settled;
        private boolean isChanging;
    }

    /** A change that has begun: exactly one of its methods must be called when its answer is known, or known to be lost. */
    public final class Change {
        private final String name;
        private final int index;

        private Change(String name, int index) {
            this.name = name;
            this.index = index;
        }

        public void acknowledged() {
            end(index);
        }

        /** It may have happened or not. */
        public void unknown() {
            end(-1);
        }

        private void end(int settled) {
            History history = histories.get(name);
            synchronized (history) {
                history.settled = Math.max(settled, history.settled);
                history.isChanging = false;
            }
        }
    }

    /** A reading that has begun: what it may show depends on what begins until it ends. */
    public final class Reading {
        private final String name;
        private final int since;

        private Reading(String name, int since) {
            this.name = name;
            this.since = since;
        }

        /** Whether the reading, ending now, may have shown this. */
        public boolean allows(Optional<Fingerprint> seen) {
            return possible().contains(seen);
        }

        /** Everything that the reading may show, if it ends now. */
        public Set<Optional<Fingerprint>> possible() {
            return seenSince(name, since);
        }
    }

    /** Empty when the name is being changed. */
    public Optional<Change> begin(String name, Optional<Fingerprint> after) {
        History history = histories.computeIfAbsent(name, missing -> new History());
        synchronized (history) {
            if (history.isChanging) {
                return Optional.empty();
            }
            history.isChanging = true;
            history.states.add(after);
            return Optional.of(new Change(name, history.states.size() - 1));
        }
    }

    /** A change that nobody else saw begin: what was there before the story. */
    public void acknowledged(String name, Fingerprint content) {
        begin(name, Optional.of(content)).orElseThrow().acknowledged();
    }

    public Reading read(String name) {
        History history = histories.computeIfAbsent(name, missing -> new History());
        synchronized (history) {
            return new Reading(name, history.settled);
        }
    }

    /** Every name that was ever written. */
    public List<String> names() {
        return histories.keySet().stream().sorted().toList();
    }

    private Set<Optional<Fingerprint>> seenSince(String name, int since) {
        History history = histories.get(name);
        synchronized (history) {
            return new HashSet<>(history.states.subList(since, history.states.size()));
        }
    }
}
