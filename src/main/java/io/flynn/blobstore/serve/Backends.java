package io.flynn.blobstore.serve;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.InvalidSettingException;
import io.flynn.blobstore.store.s3.PartRoom;
import io.flynn.blobstore.store.s3.ServedBucket;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * The external backends that this server knows. One that can't be used takes neither the others nor the database down: only
 * what needs it is refused. Thread-safe.
 */
public final class Backends implements AutoCloseable {

    private final Map<String, ServedBucket> buckets = new HashMap<>();
    private final BackendName defaultBackend;

    /**
     * Connects to nothing.
     *
     * @param connections to each of them at once; more calls wait five seconds for one
     * @param room for uploads to all backends together
     * @throws InvalidSettingException if new blobs would have nowhere to go; it says why and what to do
     */
    public Backends(BackendEnvironment environment, int connections, PartRoom room) {
        requireDefault(environment);
        environment
                .backends()
                .forEach((name, settings) -> buckets.put(name.value(), new ServedBucket(settings, connections, room)));
        defaultBackend = environment.defaultBackend();
    }

    private static void requireDefault(BackendEnvironment environment) {
        BackendName name = environment.defaultBackend();
        String problem = environment.rejected().get(name);
        if (problem != null) {
            throw new InvalidSettingException(
                    BackendEnvironment.DEFAULT_VARIABLE, "is \"%s\", which can't be used: %s".formatted(name, problem));
        }
        if (name.isExternal() && !environment.backends().containsKey(name)) {
            TreeSet<String> known = new TreeSet<>();
            known.add(BackendName.POSTGRES.value());
            environment.backends().keySet().forEach(backend -> known.add(backend.value()));
            throw new InvalidSettingException(
                    BackendEnvironment.DEFAULT_VARIABLE,
                    "is \"%s\", but there is no such backend: set %s, or use one of %s"
                            .formatted(name, name.variable(), String.join(", ", known)));
        }
    }

    /** Where new blobs go; empty = to the database. */
    Optional<ServedBucket> defaultBucket() {
        return Optional.ofNullable(buckets.get(defaultBackend.value()));
    }

    /** Those that blobs can be in here, the database among them. */
    Set<String> names() {
        Set<String> names = new HashSet<>(buckets.keySet());
        names.add(BackendName.POSTGRES.value());
        return names;
    }

    BackendName defaultBackend() {
        return defaultBackend;
    }

    /** @throws Refusal if no such backend can be used here; the log of the start says why settings were refused */
    ServedBucket bucket(String backend) {
        ServedBucket bucket = buckets.get(backend);
        if (bucket == null) {
            throw Refusal.unknownBackend(backend);
        }
        return bucket;
    }

    Map<String, ServedBucket> buckets() {
        return Map.copyOf(buckets);
    }

    @Override
    public void close() {
        buckets.values().forEach(ServedBucket::close);
    }
}
