package io.flynn.blobstore.operate;

import io.flynn.blobstore.api.v1alpha1.BlobMigrationSpec;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a migration goes from and to, as far as it exists.
 *
 * @param source the resource that {@code spec.from} names
 * @param target the resource that {@code spec.to} names
 * @param spec of the migration
 */
record Ends(Optional<BlobstoreBackend> source, Optional<BlobstoreBackend> target, BlobMigrationSpec spec) {

    /** What a spec calls the workload's database. */
    static final String DATABASE = "postgres";

    static Ends of(BlobMigrationSpec spec, List<BlobstoreBackend> backends) {
        return new Ends(named(spec.from(), backends), named(spec.to(), backends), spec);
    }

    /** What rows call the source. */
    String from() {
        return source.map(BlobstoreBackend::backendName).orElseGet(spec::from);
    }

    /** What rows call the target. */
    String to() {
        return target.map(BlobstoreBackend::backendName).orElseGet(spec::to);
    }

    /** The blobstore's container in the workload's pods, as its backends name it. */
    Optional<String> container() {
        return Stream.of(target, source)
                .flatMap(Optional::stream)
                .flatMap(backend ->
                        Optional.ofNullable(backend.getSpec().workload().container()).stream())
                .findFirst();
    }

    private static Optional<BlobstoreBackend> named(String name, List<BlobstoreBackend> backends) {
        return backends.stream()
                .filter(backend -> backend.getMetadata().getName().equals(name))
                .findFirst();
    }
}
