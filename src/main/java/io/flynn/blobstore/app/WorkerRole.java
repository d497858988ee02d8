package io.flynn.blobstore.app;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.TransferLimits;
import io.flynn.blobstore.decide.VacuumMode;
import io.flynn.blobstore.decide.Verification;
import io.flynn.blobstore.move.CleanRun;
import io.flynn.blobstore.move.CopyRun;
import io.flynn.blobstore.move.FailureFile;
import io.flynn.blobstore.move.InOwnBucket;
import io.flynn.blobstore.move.PlanRun;
import io.flynn.blobstore.move.ProbeRun;
import io.flynn.blobstore.move.Route;
import io.flynn.blobstore.move.StageContext;
import io.flynn.blobstore.move.VacuumRun;
import io.flynn.blobstore.move.VerifyRun;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.store.s3.S3Probe;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** One stage of a migration, as its pod runs it. Database and backends come from the environment, as the server's do. */
@Command(
        name = "worker",
        description = "Runs one stage of a migration; settings from the environment, as the server's.",
        synopsisSubcommandLabel = "STAGE")
final class WorkerRole {

    static final List<Class<?>> STAGES =
            List.of(Probe.class, Plan.class, Copy.class, Verify.class, Clean.class, Vacuum.class);

    /** Where connections go that no blob in flight needs: listing, flipping, settling. */
    static final int CONNECTIONS_BESIDE = 4;

    /** The copy reads parts of large blobs, too, that are more than one of each. */
    static final int COPY_CONNECTIONS_BESIDE = CONNECTIONS_BESIDE + S3BlobStore.PARTS_BESIDE;

    private WorkerRole() {}

    enum SourceCleanup {
        DELETE,
        RETAIN
    }

    /** Which migration a stage belongs to. */
    static final class Identity {
        @Option(names = "--migration", required = true, paramLabel = "UID", description = "The migration's identity.")
        String migration = "";

        @Option(names = "--name", paramLabel = "NAME", description = "What people call it.")
        String name = "";
    }

    /** From where to where, and which blobs. */
    static final class RouteOptions {
        @Spec(Spec.Target.MIXEE)
        @Nullable
        CommandSpec command;

        @Option(names = "--from", required = true, paramLabel = "BACKEND", description = "Where the blobs are.")
        BackendName from = BackendName.POSTGRES;

        @Option(names = "--to", required = true, paramLabel = "BACKEND", description = "Where they are to be.")
        BackendName to = BackendName.POSTGRES;

        @Mixin
        FilterOptions filter = new FilterOptions();

        Route route() {
            return checked(() -> new Route(from, to, filter.filter()));
        }

        /** @param failed a file of those that failed before; empty = all */
        Route routeOnly(Optional<Path> failed) {
            return checked(() -> new Route(
                    from,
                    to,
                    failed.map(FailureFile::ids).map(filter.filter()::only).orElse(filter.filter())));
        }

        <T> T checked(Supplier<T> options) {
            return WorkerRole.checked(command, options);
        }
    }

    /** Which blobs. */
    static final class FilterOptions {
        @Option(
                names = {"-p", "--prefix"},
                defaultValue = "",
                paramLabel = "TEXT",
                description = "Only blobs whose names begin so, byte for byte: nothing in it has another meaning.")
        String prefix = "";

        @Option(
                names = "--min-size",
                paramLabel = "SIZE",
                converter = SizeConverter.class,
                description = "Only blobs of so many bytes or more, as in 512Ki.")
        long minSize;

        @Option(
                names = "--max-size",
                paramLabel = "SIZE",
                converter = SizeConverter.class,
                description = "Only blobs of so many bytes or fewer.")
        long maxSize = Long.MAX_VALUE;

        @Option(
                names = "--updated-before",
                paramLabel = "TIME",
                description = "Only blobs that were last changed before, as in 2026-03-01T00:00:00Z.")
        @Nullable
        Instant updatedBefore;

        BlobFilter filter() {
            return new BlobFilter(prefix, minSize, maxSize, Optional.ofNullable(updatedBefore));
        }
    }

    /** What options are together, or why they can't be. */
    private static <T> T checked(@Nullable CommandSpec command, Supplier<T> options) {
        try {
            return options.get();
        } catch (IllegalArgumentException e) {
            throw new ParameterException(
                    Objects.requireNonNull(command).commandLine(), String.valueOf(e.getMessage()), e);
        }
    }

    static final class Concurrency {
        @Option(
                names = "--concurrency",
                defaultValue = "8",
                paramLabel = "N",
                converter = NumberConverter.AtLeastOne.class,
                description = "Blobs in flight at once (${DEFAULT-VALUE}).")
        int concurrency;
    }

    @Command(
            name = "probe",
            description = "Tries in the bucket what the workload will do there, and counts what uses it.")
    static final class Probe implements Callable<Integer> {
        @Option(names = "--backend", required = true, paramLabel = "BACKEND", description = "Which backend.")
        BackendName backend = BackendName.POSTGRES;

        @Option(names = "--inventory-only", description = "Only count.")
        boolean inventoryOnly;

        @Option(
                names = "--timeout",
                defaultValue = "30s",
                paramLabel = "DURATION",
                description = "For all checks together (${DEFAULT-VALUE}).")
        Duration timeout = Duration.ZERO;

        @Mixin
        Ownerships.Adoption bucket = new Ownerships.Adoption();

        @Override
        public Integer call() {
            return new Worker(Stage.PROBE, "", backend.value(), 1).run(worker -> {
                Database database = worker.context().database();
                return new ProbeRun(
                        database, backend, inventoryOnly ? Optional.empty() : Optional.of(probe(worker, database)));
            });
        }

        private S3Probe probe(Worker worker, Database database) {
            BackendSettings settings = worker.backend(backend);
            return new S3Probe(settings, timeout, worker.ownership(settings, database, bucket.adopted));
        }
    }

    @Command(name = "plan", description = "Counts what is to be moved and looks for what would stop the move.")
    static final class Plan implements Callable<Integer> {
        @Mixin
        Identity identity = new Identity();

        @Mixin
        RouteOptions route = new RouteOptions();

        @Option(names = "--cleanup", defaultValue = "Delete", description = "Delete or Retain (${DEFAULT-VALUE}).")
        SourceCleanup cleanup = SourceCleanup.DELETE;

        @Option(
                names = "--vacuum",
                defaultValue = "Auto",
                description = "Auto, Full, Plain or None (${DEFAULT-VALUE}).")
        VacuumMode vacuum = VacuumMode.AUTO;

        @Mixin
        Ownerships.Adoption bucket = new Ownerships.Adoption();

        @Override
        public Integer call() {
            Route asked = route.route();
            return new Worker(Stage.PLAN, identity.migration, identity.name, 1).run(worker -> {
                StageContext context = worker.context();
                return worker.inOwnBuckets(
                        asked,
                        bucket.adopted,
                        context,
                        InOwnBucket::checked,
                        new PlanRun(
                                context,
                                new PlanRun.Order(
                                        asked,
                                        worker.backends().defaultBackend(),
                                        worker.places(asked),
                                        worker.isOneBucket(asked),
                                        cleanup == SourceCleanup.DELETE,
                                        vacuum),
                                worker.stores(asked, 1)));
            });
        }
    }

    @Command(
            name = "copy",
            description =
                    "Copies blobs, proves the copies, and points their rows at them. Of those in flight, one of over 1 MiB out of the database counts as two.")
    static final class Copy implements Callable<Integer> {
        @Mixin
        Identity identity = new Identity();

        @Mixin
        RouteOptions route = new RouteOptions();

        @Mixin
        Concurrency blobs = new Concurrency();

        @Option(
                names = "--only-failed",
                paramLabel = "FILE",
                description = "Only the blobs in this file, as --failures has written it.")
        @Nullable
        Path onlyFailed;

        @Option(
                names = "--failures",
                paramLabel = "FILE",
                description = "Where all blobs are written that can't be moved; the report has the first 20.")
        @Nullable
        Path failures;

        @Option(
                names = "--max-failed",
                defaultValue = "1000",
                paramLabel = "N",
                converter = NumberConverter.AtLeastZero.class,
                description = "So many blobs may fail and the others go on; one more ends the run (${DEFAULT-VALUE}).")
        int maxFailed;

        @Option(
                names = "--retries",
                defaultValue = "5",
                paramLabel = "N",
                converter = NumberConverter.AtLeastZero.class,
                description = "Of a blob that fails while others succeed (${DEFAULT-VALUE}).")
        int retries;

        @Option(
                names = "--verification",
                defaultValue = "ReadBack",
                paramLabel = "HOW",
                converter = VerificationConverter.class,
                description = "How copies into a bucket are proven: ReadBack or StoreChecksum (${DEFAULT-VALUE}).")
        Verification verification = Verification.READ_BACK;

        @Option(
                names = "--limits",
                paramLabel = "FILE",
                description = "Read again every two seconds: lines of concurrency: N and bytes-per-second: 50Mi.")
        Optional<Path> limits = Optional.empty();

        @Mixin
        Ownerships.Adoption bucket = new Ownerships.Adoption();

        @Override
        public Integer call() {
            Route asked = route.routeOnly(Optional.ofNullable(onlyFailed));
            CopyRun.Tolerance tolerance = route.checked(() -> new CopyRun.Tolerance(
                    retries, maxFailed, failures == null ? FailureFile.NONE : FailureFile.create(failures)));
            return new Worker(Stage.COPY, identity.migration, identity.name, connections() + COPY_CONNECTIONS_BESIDE)
                    .run(worker -> {
                        StageContext context = worker.context();
                        CopyRun run = new CopyRun(
                                context,
                                asked,
                                worker.stores(asked, blobs.concurrency, verification),
                                blobs.concurrency,
                                tolerance);
                        limits.ifPresent(file -> worker.limit(file, blobs.concurrency));
                        return worker.inOwnBuckets(asked, bucket.adopted, context, InOwnBucket::claimed, run);
                    });
        }

        private int connections() {
            return limits.isPresent() ? TransferLimits.CONCURRENCY_MAX : blobs.concurrency;
        }
    }

    @Command(name = "verify", description = "Reads every object and compares it with its row.")
    static final class Verify implements Callable<Integer> {
        @Mixin
        Identity identity = new Identity();

        @Mixin
        RouteOptions route = new RouteOptions();

        @Mixin
        Concurrency blobs = new Concurrency();

        @Mixin
        Receipt.Where receipt = new Receipt.Where();

        @Override
        public Integer call() {
            Route asked = route.route();
            return new Worker(Stage.VERIFY, identity.migration, identity.name, blobs.concurrency + CONNECTIONS_BESIDE)
                    .run(worker -> {
                        StageContext context = worker.context();
                        return receipt.writtenAfter(
                                new VerifyRun(
                                        context,
                                        asked,
                                        worker.stores(asked, blobs.concurrency),
                                        blobs.concurrency,
                                        worker.note(asked, context)),
                                context,
                                asked,
                                worker.places(asked));
                    });
        }
    }

    @Command(name = "clean", description = "Deletes what moved blobs left where they were, each proven once more.")
    static final class Clean implements Callable<Integer> {
        @Mixin
        Identity identity = new Identity();

        @Spec
        @Nullable
        CommandSpec command;

        @Option(
                names = "--from",
                defaultValue = "postgres",
                paramLabel = "BACKEND",
                description = "Where the blobs were (${DEFAULT-VALUE}).")
        BackendName from = BackendName.POSTGRES;

        @Option(names = "--to", required = true, paramLabel = "BACKEND", description = "Where they are to be.")
        BackendName to = BackendName.POSTGRES;

        @Mixin
        FilterOptions filter = new FilterOptions();

        @Mixin
        Concurrency blobs = new Concurrency();

        @Mixin
        Ownerships.Adoption bucket = new Ownerships.Adoption();

        @Override
        public Integer call() {
            Route asked = checked(command, () -> new Route(from, to, filter.filter()));
            return new Worker(Stage.CLEAN, identity.migration, identity.name, blobs.concurrency + CONNECTIONS_BESIDE)
                    .run(worker -> {
                        StageContext context = worker.context();
                        return worker.inOwnBuckets(
                                asked,
                                bucket.adopted,
                                context,
                                InOwnBucket::claimed,
                                new CleanRun(
                                        context,
                                        asked,
                                        worker.stores(asked, blobs.concurrency),
                                        worker.deletionAt(asked.from(), blobs.concurrency),
                                        blobs.concurrency));
                    });
        }
    }

    @Command(name = "vacuum", description = "Gives the space of unlinked large objects back.")
    static final class Vacuum implements Callable<Integer> {
        @Mixin
        Identity identity = new Identity();

        @Option(names = "--mode", defaultValue = "Auto", description = "Auto, Full or Plain (${DEFAULT-VALUE}).")
        VacuumMode mode = VacuumMode.AUTO;

        @Option(
                names = "--lock-timeout",
                defaultValue = "5s",
                paramLabel = "DURATION",
                description = "How long readers may queue behind one attempt (${DEFAULT-VALUE}).")
        Duration lockTimeout = Duration.ZERO;

        @Override
        public Integer call() {
            return new Worker(Stage.VACUUM, identity.migration, identity.name, 1)
                    .run(worker -> new VacuumRun(worker.context(), mode, lockTimeout));
        }
    }
}
