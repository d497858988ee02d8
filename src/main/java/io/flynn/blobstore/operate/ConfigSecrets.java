package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.client.KubernetesClient;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/** The configuration Secrets of one backend: written once, never changed, deleted when no pod can need them any more. */
final class ConfigSecrets {

    /** The newest, and the one before it: {@code kubectl rollout undo} goes back to that. */
    private static final int KEPT = 2;

    /** More revisions than could ever be left behind; a bound, should annotations have been tampered with. */
    private static final int CHAIN_LENGTH_MAX = 100;

    private final KubernetesClient client;
    private final String namespace;

    ConfigSecrets(KubernetesClient client, String namespace) {
        this.client = client;
        this.namespace = namespace;
    }

    Optional<Secret> get(String name) {
        return Optional.ofNullable(
                client.secrets().inNamespace(namespace).withName(name).get());
    }

    /**
     * Makes {@code wanted}, unless it is there. One of the same content that was in use before is made anew, since its place
     * in the chain is another: nothing refers to it at that moment. It goes on naming those that it named, or they would never
     * be found again.
     */
    void store(Secret wanted) {
        Optional<Secret> present = get(wanted.getMetadata().getName());
        if (present.isEmpty()) {
            client.resource(wanted).create();
            return;
        }
        List<String> known = ConfigSecret.previous(present.get());
        List<String> previous = ConfigSecret.previous(wanted);
        if (known.containsAll(previous)) {
            return;
        }
        delete(wanted.getMetadata().getName());
        client.resource(ConfigSecret.withPrevious(
                        wanted,
                        Stream.concat(previous.stream(), known.stream())
                                .distinct()
                                .filter(name -> get(name).isPresent())
                                .toList()))
                .create();
    }

    /** Deletes all revisions before the last two. */
    void prune(String newest) {
        List<String> chain = chain(newest);
        deleteOldestFirst(chain.subList(Math.min(KEPT, chain.size()), chain.size()));
    }

    void deleteAll(String newest) {
        deleteOldestFirst(chain(newest));
    }

    /** Newest first. */
    private List<String> chain(String newest) {
        Set<String> names = new LinkedHashSet<>();
        Deque<String> next = new ArrayDeque<>(List.of(newest));
        while (!next.isEmpty() && names.size() < CHAIN_LENGTH_MAX) {
            get(next.remove())
                    .filter(secret -> names.add(secret.getMetadata().getName()))
                    .map(ConfigSecret::previous)
                    .ifPresent(next::addAll);
        }
        return List.copyOf(names);
    }

    /** So that whoever is interrupted finds the rest of the chain again. */
    private void deleteOldestFirst(List<String> names) {
        names.reversed().forEach(this::delete);
    }

    private void delete(String name) {
        client.secrets().inNamespace(namespace).withName(name).delete();
    }
}
