package io.flynn.blobstore.app;

import io.flynn.blobstore.app.WorkerRole.FilterOptions;
import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.InvalidSettingException;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.VacuumMode;
import io.flynn.blobstore.move.CleanRun;
import io.flynn.blobstore.move.CopyRun;
import io.flynn.blobstore.move.InOwnBucket;
import io.flynn.blobstore.move.PlanRun;
import io.flynn.blobstore.move.ProgressOutput;
import io.flynn.blobstore.move.Route;
import io.flynn.blobstore.move.StageContext;
import io.flynn.blobstore.move.StageRun;
import io.flynn.blobstore.move.VacuumRun;
import io.flynn.blobstore.move.VerifyRun;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.BlobNames;
import io.flynn.blobstore.store.postgres.CheckedRows;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.Inventory;
import io.flynn.blobstore.store.postgres.PgSettings;
import java.io.Console;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The old command: every blob to the default backend, all stages in one process, without Kubernetes. */
@Command(
        name = "migrate",
        description = {
            "Moves every blob that is elsewhere to the default backend: plans, copies, verifies and, with --delete, cleans and"
                    + " vacuums. May be stopped at any moment; the next run goes on.",
            "Settings come from the environment, as the server's: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE,"
                    + " PGSSLMODE, BACKEND_<NAME>, BACKEND_<NAME>_<KEY>, DEFAULT_BACKEND. BLOBSTORE_INSTALLATION is whose the"
                    + " buckets must be.",
            "Every server must have that environment first: one without the backend can't serve what was moved there."
        },
        exitCodeListHeading = "Exit codes:%n",
        exitCodeList = {
            "0:every blob in scope was read back at the default backend and is what its row says",
            "1:some can't be moved or are not what their rows say, or something must be mended first",
            "2:wrong usage or settings: nothing was done",
            "75:not finished: try again"
        })
final class MigrateRole implements Callable<Integer> {

    private static final Logger LOG = LoggerFactory.getLogger(MigrateRole.class);

    /** What the fence and the database's list of sessions call it. */
    private static final String NAME = "migrate";

    private static final Duration CONNECTION_WAIT = Duration.ofSeconds(30);

    private static final Duration LOCK_TIMEOUT = Duration.ofSeconds(5);

    /** Old servers' appends put rows back; with more rounds than this, something else does. */
    private static final int ROUNDS_MAX = 20;

    private static final int RETRIES = 5;

    @Option(
            names = {"-c", "--concurrency"},
            defaultValue = "8",
            paramLabel = "N",
            converter = NumberConverter.AtLeastOne.class,
            description =
                    "Blobs in flight at once (${DEFAULT-VALUE}); copied out of the database, one of over 1 MiB counts as two.")
    int concurrency;

    @Mixin
    FilterOptions filter = new FilterOptions();

    @Option(names = "--delete", description = "Delete what moved blobs left where they were, once all are proven.")
    boolean isDeleting;

    @Option(
            names = "--vacuum",
            defaultValue = "Auto",
            description =
                    "With --delete: Auto, Full, Plain or None (${DEFAULT-VALUE}). A vacuum that fails is told, and makes no"
                            + " failure of what was moved.")
    VacuumMode vacuum = VacuumMode.AUTO;

    @Mixin
    Receipt.Where receipt = new Receipt.Where();

    @Mixin
    Ownerships.Adoption adoption = new Ownerships.Adoption();

    private final Map<String, String> environment = System.getenv();
    private final String migration = UUID.randomUUID().toString();

    @Override
    public Integer call() {
        try {
            return migrate().value();
        } catch (InvalidSettingException e) {
            LOG.error(e.getMessage());
            return ExitCode.USAGE.value();
        } catch (StorageFailure e) {
            LOG.atError().addKeyValue("reason", e.reason()).log(e.getMessage());
            return (e.isTransient() ? ExitCode.RETRY : ExitCode.FAILED).value();
        }
    }

    private ExitCode migrate() {
        receipt.requireWritable();
        List<Route> routes = routes();
        for (Route route : routes) {
            StageReport plan = plan(route);
            if (plan.outcome() != ExitCode.DONE) {
                return plan.outcome();
            }
        }
        for (int round = 1; round <= ROUNDS_MAX; round++) {
            Round done = round(routes);
            if (done.ended() != ExitCode.DONE) {
                return done.ended();
            }
            if (done.isComplete()) {
                if (isDeleting && vacuum != VacuumMode.NONE) {
                    run(Stage.VACUUM, 1, worker -> new VacuumRun(worker.context(), vacuum, LOCK_TIMEOUT));
                }
                System.out.printf(
                        "complete: %d blobs in scope at %s are what their rows say%n",
                        done.proven(), routes.getFirst().to());
                return ExitCode.DONE;
            }
        }
        System.out.printf("%s: after %d rounds blobs are left where they were%n", Reasons.BLOBS_REMAIN, ROUNDS_MAX);
        return ExitCode.RETRY;
    }

    /**
     * @param ended how the stage ended that ended the round
     * @param isComplete whether nothing is left to be done
     * @param proven blobs
     */
    private record Round(ExitCode ended, boolean isComplete, long proven) {}

    private Round round(List<Route> routes) {
        long proven = 0;
        for (Route route : routes) {
            StageReport copied = copy(route);
            if (copied.outcome() != ExitCode.DONE) {
                return new Round(copied.outcome(), false, 0);
            }
        }
        for (Route route : routes) {
            StageReport verified = run(Stage.VERIFY, concurrency + WorkerRole.CONNECTIONS_BESIDE, worker -> {
                StageContext context = worker.context();
                return receipt.writtenAfter(
                        new VerifyRun(
                                context,
                                route,
                                worker.stores(route, concurrency),
                                concurrency,
                                worker.note(route, context)),
                        context,
                        route,
                        worker.places(route));
            });
            if (!isDone(verified)) {
                return new Round(verified.outcome(), false, 0);
            }
            proven = verified.figure(Figure.BLOBS).orElse(0);
        }
        for (Route route : isDeleting ? routes : List.<Route>of()) {
            StageReport cleaned = clean(route);
            if (!isDone(cleaned)) {
                return new Round(cleaned.outcome(), false, 0);
            }
        }
        return new Round(ExitCode.DONE, true, proven);
    }

    /** And not only for now: rows that were put back are to be copied again. */
    private static boolean isDone(StageReport report) {
        return report.outcome() == ExitCode.DONE && !report.reason().equals(Reasons.BLOBS_REMAIN);
    }

    /** From the database, since that may have large objects left of an earlier run, and from wherever else blobs are. */
    private List<Route> routes() {
        BackendEnvironment backends = BackendEnvironment.decode(environment);
        BackendName to = backends.defaultBackend();
        if (!to.isExternal()) {
            throw new InvalidSettingException(
                    BackendEnvironment.DEFAULT_VARIABLE,
                    "is not set, or postgres: set it to the backend that the blobs are to go to");
        }
        requireUsable(backends, to, BackendEnvironment.DEFAULT_VARIABLE);
        List<Route> routes = new ArrayList<>();
        routes.add(new Route(BackendName.POSTGRES, to, filter.filter()));
        try (Database database =
                new Database(PgSettings.decode(environment), "blobstore " + NAME, 1, CONNECTION_WAIT)) {
            new Inventory(database).requireSchema();
            for (CheckedRows.Count count : new CheckedRows(database).counts()) {
                BackendName from = new BackendName(count.backend());
                if (count.live() > 0 && from.isExternal() && !from.equals(to)) {
                    requireUsable(backends, from, "a row in the database");
                    routes.add(new Route(from, to, filter.filter()));
                }
            }
        }
        return routes;
    }

    /** @param namedBy who names the backend, for the message */
    private static void requireUsable(BackendEnvironment backends, BackendName backend, String namedBy) {
        if (!backends.backends().containsKey(backend)) {
            String rejected = backends.rejected().get(backend);
            throw new InvalidSettingException(
                    namedBy,
                    "says \"%s\", but %s %s"
                            .formatted(
                                    backend,
                                    backend.variable(),
                                    rejected == null ? "is not set" : "can't be used: " + rejected),
                    Reasons.BACKEND_UNKNOWN);
        }
    }

    private StageReport plan(Route route) {
        return run(Stage.PLAN, 1, worker -> {
            StageContext context = worker.context();
            return worker.inOwnBuckets(
                    route,
                    adoption.adopted,
                    context,
                    InOwnBucket::checked,
                    new PlanRun(
                            context,
                            new PlanRun.Order(
                                    route,
                                    route.to(),
                                    worker.places(route),
                                    worker.isOneBucket(route),
                                    isDeleting,
                                    isDeleting ? vacuum : VacuumMode.NONE),
                            worker.stores(route, 1)));
        });
    }

    private StageReport copy(Route route) {
        LineOutput lines = new LineOutput(System.out);
        return run(Stage.COPY, concurrency + WorkerRole.COPY_CONNECTIONS_BESIDE, lines, worker -> {
            StageContext context = worker.context();
            if (!isTerminal()) {
                lines.follow(new MoveLines(new BlobNames(context.database()), route, context.progress(), System.out));
            }
            return worker.inOwnBuckets(
                    route,
                    adoption.adopted,
                    context,
                    InOwnBucket::claimed,
                    new CopyRun(context, route, worker.stores(route, concurrency), concurrency, RETRIES));
        });
    }

    private StageReport clean(Route route) {
        return run(Stage.CLEAN, concurrency + WorkerRole.CONNECTIONS_BESIDE, worker -> {
            StageContext context = worker.context();
            return worker.inOwnBuckets(
                    route,
                    adoption.adopted,
                    context,
                    InOwnBucket::claimed,
                    new CleanRun(
                            context,
                            route,
                            worker.stores(route, concurrency),
                            worker.deletionAt(route.from(), concurrency),
                            concurrency));
        });
    }

    private StageReport run(Stage stage, int connections, Function<Worker, StageRun> stageRun) {
        return run(stage, connections, new LineOutput(System.out), stageRun);
    }

    private StageReport run(Stage stage, int connections, LineOutput lines, Function<Worker, StageRun> stageRun) {
        ProgressOutput output = isTerminal() ? new TerminalOutput(stage.word(), System.out) : lines;
        return new Worker(stage, migration, NAME, connections).run(output, stageRun);
    }

    private static boolean isTerminal() {
        return Optional.ofNullable(System.console()).filter(Console::isTerminal).isPresent();
    }
}
