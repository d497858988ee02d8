package io.flynn.blobstore.app;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.InvalidSettingException;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.move.CheckOutput;
import io.flynn.blobstore.move.CheckRun;
import io.flynn.blobstore.move.CheckRun.Bucket;
import io.flynn.blobstore.move.CheckRun.Scope;
import io.flynn.blobstore.move.OrphanSweep;
import io.flynn.blobstore.move.Orphans;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.store.s3.S3BucketListing;
import io.flynn.blobstore.store.s3.S3OrphanStore;
import java.io.Console;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Compares rows with objects and large objects, and tells what it finds. */
@Command(
        name = "check",
        description = {
            "Compares rows with objects and large objects, both ways. Changes nothing unless it is told to, and may run at any"
                    + " time.",
            "Settings come from the environment, as the server's: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE,"
                    + " PGSSLMODE, BACKEND_<NAME>, BACKEND_<NAME>_<KEY>.",
            "Objects that no row names are listed, but are no failure. A row without a digest can be compared by size"
                    + " only.",
            "Where nothing is lost or wrong, leftovers can be deleted: after a second look, later, with all writes ended"
                    + " that were under way and every migration kept out. BLOBSTORE_INSTALLATION is whose the buckets must be."
        },
        exitCodeListHeading = "Exit codes:%n",
        exitCodeList = {
            "0:nothing is lost or wrong, and what was to be deleted is",
            "1:something is lost or wrong, or live rows are in a backend that the environment lacks: nothing was deleted; or"
                    + " something can't be deleted, or is another installation's",
            "2:wrong usage or settings: nothing was checked",
            "75:not all could be checked, or deleted: the database or a store can't be reached, something changed all the"
                    + " time, or a migration is at work"
        })
final class CheckRole implements Callable<Integer> {

    private static final Logger LOG = LoggerFactory.getLogger(CheckRole.class);

    private static final Duration CONNECTION_WAIT = Duration.ofSeconds(30);

    /** For the rows by key, and for looking at rows again meanwhile. */
    private static final int CONNECTIONS_BESIDE = 2;

    @Option(
            names = "--backend",
            paramLabel = "NAME",
            description = "Only this one, postgres or one of the environment; may be given more than once (all).")
    List<BackendName> only = new ArrayList<>();

    @Option(names = "--read", description = "Read every live blob and compare its bytes, not only their number.")
    boolean isReading;

    @Option(
            names = "--delete-orphans",
            description = "Delete objects and unfinished uploads that no row names, as far as a row shows that this"
                    + " installation made them.")
    boolean isDeletingOrphans;

    @Option(
            names = "--delete-unproven",
            description = "With --delete-orphans: also where no row shows that, as with what old servers left. Only if"
                    + " nothing else keeps objects in these buckets whose keys are UUIDs.")
    boolean isDeletingUnproven;

    @Option(
            names = "--delete-large-objects",
            description = "Delete large objects that no row names. Refused if other tables may name them.")
    boolean isDeletingLargeObjects;

    @Option(
            names = "--wait",
            defaultValue = "15m",
            paramLabel = "DURATION",
            description = "Between the two looks; longer than links to blobs live (${DEFAULT-VALUE}).")
    Duration wait = Duration.ZERO;

    @Mixin
    Ownerships.Adoption adoption = new Ownerships.Adoption();

    @Mixin
    WorkerRole.Concurrency blobs = new WorkerRole.Concurrency();

    private final Deque<AutoCloseable> opened = new ArrayDeque<>();

    @Override
    public Integer call() throws Exception {
        try {
            return check(System.getenv());
        } catch (InvalidSettingException e) {
            LOG.error(e.getMessage());
            return ExitCode.USAGE.value();
        } finally {
            while (!opened.isEmpty()) {
                opened.pop().close();
            }
        }
    }

    private int check(Map<String, String> environment) {
        if (isDeletingUnproven && !isDeletingOrphans) {
            throw new InvalidSettingException("--delete-unproven", "needs --delete-orphans");
        }
        PgSettings postgres = PgSettings.decode(environment);
        BackendEnvironment configured = BackendEnvironment.decode(environment);
        Scope scope = scope(configured);
        Map<BackendName, Bucket> buckets = new HashMap<>();
        configured.backends().forEach((name, settings) -> buckets.put(name, bucket(settings)));
        Database database = opened(
                new Database(postgres, "blobstore check", blobs.concurrency + CONNECTIONS_BESIDE, CONNECTION_WAIT));
        Orphans orphans = new Orphans(output());
        // Before the check, so that what is wrong is said before the work of hours.
        Optional<OrphanSweep> sweep = isDeletingOrphans || isDeletingLargeObjects
                ? Optional.of(sweep(database, environment, configured, scope, orphans))
                : Optional.empty();
        ExitCode checked = new CheckRun(database, scope, buckets, isReading, blobs.concurrency, orphans)
                .run()
                .outcome();
        if (checked == ExitCode.DONE && sweep.isPresent()) {
            return sweep(sweep.get(), orphans).value();
        }
        return checked.value();
    }

    private OrphanSweep sweep(
            Database database,
            Map<String, String> environment,
            BackendEnvironment configured,
            Scope scope,
            CheckOutput output) {
        Map<String, OrphanSweep.Bucket> swept = new HashMap<>();
        configured.backends().forEach((name, settings) -> {
            if (isDeletingOrphans && scope.backends().contains(name)) {
                swept.put(
                        name.value(),
                        new OrphanSweep.Bucket(
                                opened(new S3OrphanStore(settings, 2 * blobs.concurrency)),
                                Ownerships.of(settings, environment, database, adoption.adopted)));
            }
        });
        return new OrphanSweep(
                database,
                swept,
                new OrphanSweep.Order(isDeletingOrphans, isDeletingUnproven, isDeletingLargeObjects, wait),
                blobs.concurrency,
                output);
    }

    private static ExitCode sweep(OrphanSweep sweep, Orphans orphans) {
        try {
            return sweep.run(orphans).outcome();
        } catch (StorageFailure e) {
            LOG.atError()
                    .addKeyValue("reason", e.reason())
                    .addKeyValue("problem", e.getMessage())
                    .log("leftovers can't be deleted");
            return e.isTransient() ? ExitCode.RETRY : ExitCode.FAILED;
        }
    }

    private Scope scope(BackendEnvironment configured) {
        Set<BackendName> backends = new HashSet<>(only);
        for (BackendName backend : only) {
            if (backend.isExternal() && !configured.backends().containsKey(backend)) {
                String rejected = configured.rejected().get(backend);
                throw new InvalidSettingException(
                        backend.variable(),
                        rejected == null ? "is not set in the environment" : "can't be used: " + rejected,
                        Reasons.BACKEND_UNKNOWN);
            }
        }
        if (only.isEmpty()) {
            backends.add(BackendName.POSTGRES);
            backends.addAll(configured.backends().keySet());
        }
        return new Scope(backends, only.isEmpty(), configured.rejected());
    }

    private Bucket bucket(BackendSettings settings) {
        return new Bucket(
                opened(new S3BlobStore(settings, 2 * blobs.concurrency)), opened(new S3BucketListing(settings)));
    }

    private <T extends AutoCloseable> T opened(T resource) {
        opened.push(resource);
        return resource;
    }

    private static CheckOutput output() {
        return Optional.ofNullable(System.console()).filter(Console::isTerminal).isPresent()
                ? new CheckTerminalOutput(System.out)
                : new CheckJsonOutput(System.out);
    }
}
