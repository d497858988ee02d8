package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;

/**
 * The objects, their versions and who wants to hear of changes: what etcd is to Kubernetes.
 *
 * <p>Thread-safe. What is stored and handed out is never changed afterwards; callers copy before they change.
 */
final class ObjectStore {

    /** Changes that a watch can still start behind; far more than any test makes between two connections. */
    private static final int HISTORY_MAX = 20_000;

    /** @param resource as in {@link ResourceType#qualifiedPlural()}; a kind's new schema doesn't change its keys */
    record Key(String resource, String namespace, String name) {

        static Key of(ResourceType type, String namespace, String name) {
            return new Key(type.qualifiedPlural(), type.namespaced() ? namespace : "", name);
        }

        boolean isIn(ResourceType type, String wantedNamespace) {
            return resource.equals(type.qualifiedPlural())
                    && (wantedNamespace.isEmpty() || namespace.equals(wantedNamespace));
        }
    }

    /**
     * One step of one object's life.
     *
     * @param before empty when it was added
     * @param after the last state, also when it was removed
     */
    record Change(long revision, Key key, ObjectNode before, ObjectNode after, boolean removed) {

        boolean added() {
            return before.isEmpty();
        }
    }

    private final TreeMap<Key, ObjectNode> objects = new TreeMap<>(
            Comparator.comparing(Key::resource).thenComparing(Key::namespace).thenComparing(Key::name));
    private final Deque<Change> history = new ArrayDeque<>();
    private final List<Consumer<Change>> listeners = new ArrayList<>();
    private long revision = 1;

    synchronized long revision() {
        return revision;
    }

    synchronized Optional<ObjectNode> get(Key key) {
        return Optional.ofNullable(objects.get(key));
    }

    synchronized List<ObjectNode> list(ResourceType type, String namespace) {
        return objects.entrySet().stream()
                .filter(entry -> entry.getKey().isIn(type, namespace))
                .map(java.util.Map.Entry::getValue)
                .toList();
    }

    synchronized List<Key> keys() {
        return List.copyOf(objects.keySet());
    }

    /** Stores {@code object} under the next resourceVersion, which it also writes into it. */
    synchronized void put(Key key, ObjectNode object) {
        ObjectNode before = objects.getOrDefault(key, Json.object());
        Json.metadata(object).put("resourceVersion", String.valueOf(++revision));
        objects.put(key, object);
        tell(new Change(revision, key, before, object, false));
    }

    synchronized void remove(Key key) {
        ObjectNode before = objects.remove(key);
        if (before != null) {
            ObjectNode last = before.deepCopy();
            Json.metadata(last).put("resourceVersion", String.valueOf(++revision));
            tell(new Change(revision, key, before, last, true));
        }
    }

    /**
     * Calls {@code listener} with every change after {@code since}, first those that have been, in order. It is called with the
     * store locked: it must only take note.
     *
     * @return stops it
     * @throws ApiFailure 410 if those changes are no longer known
     */
    synchronized Runnable listen(long since, Consumer<Change> listener) {
        if (since < revision && (history.isEmpty() || history.getFirst().revision() > since + 1)) {
            throw ApiFailure.gone("too old resource version: %d (%d)".formatted(since, revision));
        }
        history.stream().filter(change -> change.revision() > since).forEach(listener);
        listeners.add(listener);
        return () -> unlisten(listener);
    }

    private synchronized void unlisten(Consumer<Change> listener) {
        listeners.remove(listener);
    }

    private void tell(Change change) {
        history.addLast(change);
        if (history.size() > HISTORY_MAX) {
            history.removeFirst();
        }
        listeners.forEach(listener -> listener.accept(change));
    }
}
