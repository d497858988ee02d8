package io.flynn.blobstore.app;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.VacuumMode;
import io.flynn.blobstore.move.CleanRun;
import io.flynn.blobstore.move.CopyRun;
import io.flynn.blobstore.move.InOwnBucket;
import io.flynn.blobstore.move.PlanRun;
import io.flynn.blobstore.move.ProbeRun;
import io.flynn.blobstore.move.StageContext;
import io.flynn.blobstore.move.VacuumRun;
import io.flynn.blobstore.move.VerifyRun;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.s3.S3Clients;
import io.flynn.blobstore.store.s3.S3Probe;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** One stage of a migration, as its pod runs it. Database and backends come from the environment, as the server's do. */
@Command(
        name = "worker",
        description = "Runs one stage of a migration; settings from the environment, as the server's.",
        mixinStandardHelpOptions = true,
        synopsisSubcommandLabel = "STAGE",
        subcommands = {
            WorkerRole.Probe.class,
            WorkerRole.Plan.class,
            WorkerRole.Copy.class,
            WorkerRole.Verify.class,
            WorkerRole.Clean.class,
            WorkerRole.Vacuum.class
        })
final class WorkerRole {

    /** Where connections go that no blob in flight needs: listing, flipping, settling. */
    private static final int CONNECTIONS_BESIDE = 4;

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

    static final class From {
        @Option(names = "--from", required = true, paramLabel = "BACKEND", description = "Where the blobs are.")
        BackendName from = BackendName.POSTGRES;
    }

    static final class To {
        @Option(names = "--to", required = true, paramLabel = "BACKEND", description = "Where they are to be.")
        BackendName to = BackendName.POSTGRES;
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
        From source = new From();

        @Mixin
        To target = new To();

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
            return new Worker(Stage.PLAN, identity.migration, identity.name, 1).run(worker -> {
                BackendEnvironment environment = worker.backends();
                BackendSettings to = worker.backend(target.to);
                StageContext context = worker.context();
                return InOwnBucket.checked(
                        worker.ownership(to, context.database(), bucket.adopted),
                        context.stop(),
                        new PlanRun(
                                context,
                                new PlanRun.Order(
                                        source.from,
                                        target.to,
                                        environment.defaultBackend(),
                                        S3Clients.describe(to),
                                        cleanup == SourceCleanup.DELETE,
                                        vacuum),
                                worker.store(to, 1)));
            });
        }
    }

    @Command(name = "copy", description = "Copies blobs, proves the copies, and points their rows at them.")
    static final class Copy implements Callable<Integer> {
        @Mixin
        Identity identity = new Identity();

        @Mixin
        From source = new From();

        @Mixin
        To target = new To();

        @Mixin
        Concurrency blobs = new Concurrency();

        @Option(
                names = "--retries",
                defaultValue = "5",
                paramLabel = "N",
                converter = NumberConverter.AtLeastZero.class,
                description = "Of a blob that fails while others succeed (${DEFAULT-VALUE}).")
        int retries;

        @Mixin
        Ownerships.Adoption bucket = new Ownerships.Adoption();

        @Override
        public Integer call() {
            return new Worker(Stage.COPY, identity.migration, identity.name, blobs.concurrency + CONNECTIONS_BESIDE)
                    .run(worker -> {
                        BackendSettings to = worker.backend(target.to);
                        StageContext context = worker.context();
                        return InOwnBucket.claimed(
                                worker.ownership(to, context.database(), bucket.adopted),
                                context.stop(),
                                new CopyRun(
                                        context,
                                        source.from,
                                        target.to,
                                        worker.store(to, blobs.concurrency),
                                        blobs.concurrency,
                                        retries));
                    });
        }
    }

    @Command(name = "verify", description = "Reads every object and compares it with its row.")
    static final class Verify implements Callable<Integer> {
        @Mixin
        Identity identity = new Identity();

        @Mixin
        From source = new From();

        @Mixin
        To target = new To();

        @Mixin
        Concurrency blobs = new Concurrency();

        @Override
        public Integer call() {
            return new Worker(Stage.VERIFY, identity.migration, identity.name, blobs.concurrency + CONNECTIONS_BESIDE)
                    .run(worker -> new VerifyRun(
                            worker.context(),
                            source.from,
                            target.to,
                            worker.store(worker.backend(target.to), blobs.concurrency),
                            blobs.concurrency));
        }
    }

    @Command(name = "clean", description = "Unlinks the large objects of moved blobs, each proven once more.")
    static final class Clean implements Callable<Integer> {
        @Mixin
        Identity identity = new Identity();

        @Mixin
        To target = new To();

        @Mixin
        Concurrency blobs = new Concurrency();

        @Mixin
        Ownerships.Adoption bucket = new Ownerships.Adoption();

        @Override
        public Integer call() {
            return new Worker(Stage.CLEAN, identity.migration, identity.name, blobs.concurrency + CONNECTIONS_BESIDE)
                    .run(worker -> {
                        BackendSettings to = worker.backend(target.to);
                        StageContext context = worker.context();
                        return InOwnBucket.claimed(
                                worker.ownership(to, context.database(), bucket.adopted),
                                context.stop(),
                                new CleanRun(
                                        context, target.to, worker.store(to, blobs.concurrency), blobs.concurrency));
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
