package io.flynn.blobstore.app;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.InvalidSettingException;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.TransferLimits;
import io.flynn.blobstore.decide.Verification;
import io.flynn.blobstore.move.ObjectCleaning;
import io.flynn.blobstore.move.ProgressMeter;
import io.flynn.blobstore.move.ProgressOutput;
import io.flynn.blobstore.move.Route;
import io.flynn.blobstore.move.StageContext;
import io.flynn.blobstore.move.StageRun;
import io.flynn.blobstore.move.StageRunner;
import io.flynn.blobstore.move.StopSignal;
import io.flynn.blobstore.move.Stores;
import io.flynn.blobstore.serve.ServerSettings;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.BucketOwnership;
import io.flynn.blobstore.store.Note;
import io.flynn.blobstore.store.Traffic;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.MigrationFence;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.store.s3.S3Clients;
import io.flynn.blobstore.store.s3.S3Note;
import io.flynn.blobstore.store.s3.S3OrphanStore;
import java.io.Console;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The process around one stage: opens what it needs from the environment, hears SIGTERM, hands the report over. */
final class Worker {

    private static final Logger LOG = LoggerFactory.getLogger(Worker.class);

    private static final String REPORT_VARIABLE = "BLOBSTORE_REPORT";

    /** Where the kubelet looks for a termination message unless a pod says otherwise. */
    private static final String TERMINATION_LOG = "/dev/termination-log";

    /** Less than Kubernetes' own default of 30 s between SIGTERM and SIGKILL. */
    private static final Duration DRAIN = Duration.ofSeconds(25);

    private static final Duration CONNECTION_WAIT = Duration.ofSeconds(30);

    /** Of small blobs, at 20 ms each: 25,000 in a second. */
    private static final int STORE_CONNECTIONS_MAX = 512;

    /** PostgreSQL cuts longer names (NAMEDATALEN). */
    private static final int APPLICATION_NAME_MAX = 63;

    private final Map<String, String> environment = System.getenv();
    private final Stage stage;
    private final String migration;
    private final String name;
    private final int connections;
    private final StopSignal stop = new StopSignal();
    private final ProgressMeter progress;
    private volatile ExitCode outcome = ExitCode.RETRY;
    private final Deque<AutoCloseable> opened = new ArrayDeque<>();

    /** @param connections to the database at once */
    Worker(Stage stage, String migration, String name, int connections) {
        this.stage = stage;
        this.migration = migration;
        this.name = name;
        this.connections = connections;
        progress = new ProgressMeter(stage);
    }

    /**
     * Runs the stage and tells how it ended: by the termination message, on standard output, by the exit code.
     *
     * @param stageRun opens it; throws {@link InvalidSettingException} where the environment is wrong
     */
    int run(Function<Worker, StageRun> stageRun) {
        return run(output(), this::writeTerminationMessage, stageRun).outcome().value();
    }

    /** The same for one of several stages in a process: there is no termination message. */
    StageReport run(ProgressOutput told, Function<Worker, StageRun> stageRun) {
        return run(told, report -> {}, stageRun);
    }

    private StageReport run(ProgressOutput told, Consumer<StageReport> reported, Function<Worker, StageRun> stageRun) {
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> drain(ended), "drain"));
        try (ProgressOutput output = told) {
            StageReport report = new StageRunner(stage, progress, output).run(() -> stageRun.apply(this));
            outcome = report.outcome();
            reported.accept(report);
            print(report, output);
            return report;
        } finally {
            closeAll();
            ended.countDown();
        }
    }

    /** What the stage works with; the database is opened by the first call. */
    StageContext context() {
        String application = "blobstore " + stage.word() + (name.isEmpty() ? "" : " " + name);
        Database database = new Database(
                PgSettings.decode(environment),
                application.substring(0, Math.min(application.length(), APPLICATION_NAME_MAX)),
                connections,
                CONNECTION_WAIT);
        opened.push(database);
        return new StageContext(database, new MigrationFence(database, migration), progress, stop);
    }

    /** From now on {@code file} says how much may be on its way; where it says nothing, {@code concurrency} blobs at once. */
    void limit(Path file, int concurrency) {
        opened.push(new LimitsFile(file, new TransferLimits(concurrency, 0), progress.traffic()));
    }

    BackendEnvironment backends() {
        return BackendEnvironment.decode(environment);
    }

    /** @throws InvalidSettingException if the environment has no such backend, or one that can't be used */
    BackendSettings backend(BackendName backend) {
        BackendEnvironment backends = backends();
        BackendSettings settings = backends.backends().get(backend);
        if (settings != null) {
            return settings;
        }
        String rejected = backends.rejected().get(backend);
        if (rejected != null) {
            throw new InvalidSettingException(backend.variable(), "can't be used: " + rejected);
        }
        throw new InvalidSettingException(
                backend.variable(),
                "is not set in the container's environment: make a BlobstoreBackend " + backend + " for this workload",
                Reasons.BACKEND_UNKNOWN);
    }

    /**
     * The buckets at both ends.
     *
     * @param concurrency blobs in flight; each may be looked at and read back beside
     */
    Stores stores(Route route, int concurrency) {
        return stores(route, concurrency, Verification.READ_BACK);
    }

    /** @param verification how what is stored is proven */
    Stores stores(Route route, int concurrency, Verification verification) {
        Map<BackendName, BlobStore> stores = new HashMap<>();
        for (BackendName backend : externalEnds(route)) {
            S3BlobStore store =
                    new S3BlobStore(backend(backend), connections(concurrency), verification, progress.traffic());
            opened.push(store);
            stores.put(backend, store);
        }
        return new Stores(stores);
    }

    /** Small blobs are on their way by the dozen for each large one; each large one may be read back beside. */
    private static int connections(int concurrency) {
        return Math.max(2 * concurrency, Math.min(concurrency * Traffic.SHARES, STORE_CONNECTIONS_MAX));
    }

    /** Where a verification leaves word for the next one: beside the blobs at the target, or at the source if that is the database. */
    Optional<Note> note(Route route, StageContext context) {
        return externalEnds(route).stream()
                .reduce((source, target) -> target)
                .map(this::backend)
                .map(backend -> new S3Note(backend, ownership(backend, context.database(), "")));
    }

    /** What the stores at both ends are called. */
    String places(Route route) {
        return externalEnds(route).stream()
                .map(backend -> S3Clients.describe(backend(backend)))
                .collect(Collectors.joining(", "));
    }

    /** Whether both ends are surely one bucket. */
    boolean isOneBucket(Route route) {
        return route.from().isExternal()
                && route.to().isExternal()
                && backend(route.from()).isBucketOf(backend(route.to()));
    }

    /** How objects are deleted there, and when, as the server would do it; empty for the database. */
    Optional<ObjectCleaning.Source> deletionAt(BackendName backend, int concurrency) {
        if (!backend.isExternal()) {
            return Optional.empty();
        }
        S3OrphanStore bucket = new S3OrphanStore(backend(backend), concurrency);
        opened.push(bucket);
        return Optional.of(new ObjectCleaning.Source(
                bucket, ServerSettings.decode(environment).deletion().after()));
    }

    private static List<BackendName> externalEnds(Route route) {
        return Stream.of(route.from(), route.to())
                .filter(BackendName::isExternal)
                .toList();
    }

    /** Wraps a stage so that it runs in buckets of this installation only. */
    @FunctionalInterface
    interface Ownership {
        StageRun of(BucketOwnership ownership, StopSignal stop, StageRun stage);
    }

    /** Both ends are this installation's: what a clone of it copies away it would clean away, too. */
    StageRun inOwnBuckets(Route route, String adopted, StageContext context, Ownership ownership, StageRun stage) {
        StageRun wrapped = stage;
        for (BackendName backend : externalEnds(route)) {
            wrapped = ownership.of(ownership(backend(backend), context.database(), adopted), context.stop(), wrapped);
        }
        return wrapped;
    }

    /**
     * Of a backend's bucket.
     *
     * @param adopted as {@code --adopt-bucket} has it; may be empty
     * @throws InvalidSettingException if that, or the variable that names this installation, can't be used
     */
    BucketOwnership ownership(BackendSettings backend, Database database, String adopted) {
        return Ownerships.of(backend, environment, database, adopted);
    }

    private ProgressOutput output() {
        return Optional.ofNullable(System.console()).filter(Console::isTerminal).isPresent()
                ? new TerminalOutput(stage.word(), System.out)
                : new JsonOutput(System.out);
    }

    /** On SIGTERM: asks the stage to stop and waits for it. A JVM that ends by SIGTERM exits with 143 unless it is halted. */
    private void drain(CountDownLatch ended) {
        if (ended.getCount() == 0) {
            return;
        }
        stop.request();
        try {
            if (!ended.await(DRAIN.toMillis(), TimeUnit.MILLISECONDS)) {
                LOG.warn("the stage did not stop in {} s; what is in flight is done again later", DRAIN.toSeconds());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        Runtime.getRuntime().halt(outcome.value());
    }

    private void writeTerminationMessage(StageReport report) {
        String named = environment.getOrDefault(REPORT_VARIABLE, "");
        Path file = Path.of(named.isEmpty() ? TERMINATION_LOG : named);
        if (named.isEmpty() && !Files.isWritable(file)) {
            return;
        }
        try {
            Files.write(file, JsonOutput.terminationMessage(report));
        } catch (IOException e) {
            throw new UncheckedIOException("could not write the report to " + file, e);
        }
    }

    /** Bounded: whoever reads standard output may have stopped reading. */
    private static void print(StageReport report, ProgressOutput output) {
        Thread printing = Thread.ofPlatform().daemon().start(() -> output.report(report));
        try {
            printing.join(Duration.ofSeconds(5));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void closeAll() {
        for (AutoCloseable resource : opened) {
            try {
                resource.close();
            } catch (Exception e) {
                LOG.warn("could not close {}", resource.getClass().getSimpleName(), e);
            }
        }
    }
}
