package io.flynn.blobstore.app;

import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.InvalidSettingException;
import io.flynn.blobstore.serve.Backends;
import io.flynn.blobstore.serve.BlobServer;
import io.flynn.blobstore.serve.ObjectCollector;
import io.flynn.blobstore.serve.ServerSettings;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.postgres.RetiredObjects;
import io.flynn.blobstore.store.postgres.Schema;
import io.flynn.blobstore.store.postgres.ServedCatalog;
import io.flynn.blobstore.store.s3.PartRoom;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import io.micrometer.core.instrument.binder.system.FileDescriptorMetrics;
import io.micrometer.core.instrument.binder.system.ProcessorMetrics;
import io.micrometer.core.instrument.binder.system.UptimeMetrics;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.Callable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;

/** The HTTP blobstore, until it is told to stop. */
@Command(
        name = "server",
        description = "Serves the blobstore over HTTP.",
        footerHeading = "%nSettings, from the environment:%n",
        modelTransformer = ServerHelp.class)
final class ServerRole implements Callable<Integer> {

    private static final Logger LOG = LoggerFactory.getLogger(ServerRole.class);

    private static final Logger ACCESS = LoggerFactory.getLogger(Logs.ACCESS);

    private static final String APPLICATION_NAME = "blobstore server";

    private static final Duration SCHEMA_RETRY_MIN = Duration.ofSeconds(1);
    private static final Duration SCHEMA_RETRY_MAX = Duration.ofSeconds(10);

    @Override
    public Integer call() throws InterruptedException {
        Map<String, String> environment = System.getenv();
        ServerSettings settings;
        PgSettings postgres;
        Backends backends;
        try {
            settings = ServerSettings.decode(environment);
            postgres = PgSettings.decode(environment);
            BackendEnvironment configured = BackendEnvironment.decode(environment);
            configured
                    .rejected()
                    .values()
                    .forEach(problem ->
                            LOG.atError().addKeyValue("problem", problem).log("a backend can't be used"));
            settings.spool().filter(directory -> !Files.isWritable(directory)).ifPresent(ServerRole::warnOfSpool);
            backends = new Backends(
                    configured, settings.storeConnections(), new PartRoom(transfersBytes(), settings.spool()));
        } catch (InvalidSettingException e) {
            LOG.error(e.getMessage());
            return ExitCode.USAGE.value();
        }
        Database database =
                Database.ofServer(postgres, APPLICATION_NAME, settings.databaseConnections(), settings.databaseWait());
        Database statusDatabase = Database.ofServer(postgres, APPLICATION_NAME, 1, settings.databaseWait());
        PrometheusMeterRegistry metrics = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        observe(metrics, database);
        ServedCatalog catalog =
                new ServedCatalog(database, ServedCatalog.Memory.of(transfersBytes(), settings.databaseConnections()));
        catalog.observe(metrics);
        ServerLogs logs = ServerLogs.begin();
        BlobServer server =
                new BlobServer(settings, catalog, new ServedCatalog(statusDatabase), backends, metrics, ACCESS::info);
        server.start();
        if (settings.metricsPort() >= 0) {
            serveMetrics(settings.metricsPort(), server, metrics);
        }
        Thread stopping = stopOnSignal(server, logs);
        try (ObjectCollector collector = new ObjectCollector(
                new RetiredObjects(database),
                backends,
                settings.deletion().after(),
                settings.deletion().perSecond())) {
            prepare(database);
            server.ready();
            collector.observe(metrics);
            collector.start();
            // Ended by the signal.
            Thread.currentThread().join();
            return ExitCode.DONE.value();
        } catch (StorageFailure e) {
            LOG.error(e.getMessage(), e);
            return ExitCode.FAILED.value();
        } finally {
            Runtime.getRuntime().removeShutdownHook(stopping);
            logs.close();
        }
    }

    private static void warnOfSpool(Path directory) {
        LOG.atWarn()
                .addKeyValue("problem", directory + " can't be written: uploads to backends wait for memory")
                .addKeyValue(
                        "fix", "mount an emptyDir there, or set BLOBSTORE_SPOOL_DIR to another directory or to off")
                .log("nowhere to gather uploads");
    }

    /** A quarter of the heap for what goes to and comes from the database, and as much for uploads that go elsewhere. */
    private static long transfersBytes() {
        return Runtime.getRuntime().maxMemory() / 4;
    }

    private static void observe(MeterRegistry metrics, Database database) {
        database.observe(metrics);
        new JvmMemoryMetrics().bindTo(metrics);
        new JvmThreadMetrics().bindTo(metrics);
        new ProcessorMetrics().bindTo(metrics);
        new FileDescriptorMetrics().bindTo(metrics);
        new UptimeMetrics().bindTo(metrics);
    }

    /** Blobs are served without metrics, too: a port that somebody else has is no reason to serve none. */
    private static void serveMetrics(int port, BlobServer server, PrometheusMeterRegistry metrics) {
        try {
            AdminHttp http = AdminHttp.start(port, server::isReady, metrics::scrape);
            LOG.atInfo().addKeyValue("metricsPort", http.port()).log("serving metrics");
        } catch (Exception e) {
            LOG.atError()
                    .addKeyValue("problem", "could not listen on port " + port)
                    .addKeyValue("fix", "set BLOBSTORE_METRICS_PORT to a port that is free, or to off")
                    .log("no metrics");
        }
    }

    /** The exit code of a JVM that a signal ended is its own (143) unless it is halted: whoever drained has done its work. */
    private static Thread stopOnSignal(BlobServer server, ServerLogs logs) {
        Thread stopping = Thread.ofPlatform().name("drain").unstarted(() -> {
            try {
                server.drain();
            } catch (InterruptedException | RuntimeException e) {
                LOG.error("could not stop in order", e);
            }
            logs.close();
            Runtime.getRuntime().halt(ExitCode.DONE.value());
        });
        Runtime.getRuntime().addShutdownHook(stopping);
        return stopping;
    }

    /**
     * Creates or upgrades the schema; a database that is away is waited for, since whoever starts everything at once starts
     * it, too.
     *
     * @throws StorageFailure if the database says no for good
     */
    private static void prepare(Database database) throws InterruptedException {
        Duration delay = SCHEMA_RETRY_MIN;
        while (true) {
            try {
                database.with("create or upgrade the schema", connection -> {
                    Schema.upgrade(connection);
                    return connection;
                });
                return;
            } catch (StorageFailure e) {
                if (!e.isTransient()) {
                    throw e;
                }
                LOG.atWarn().addKeyValue("problem", e.getMessage()).log("waiting for the database");
            }
            Thread.sleep(delay);
            delay = delay.multipliedBy(2).compareTo(SCHEMA_RETRY_MAX) < 0 ? delay.multipliedBy(2) : SCHEMA_RETRY_MAX;
        }
    }
}
