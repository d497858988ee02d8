package io.flynn.blobstore.serve;

import io.flynn.blobstore.serve.ServerSettings.Limits;
import io.flynn.blobstore.store.postgres.ServedCatalog;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import org.eclipse.jetty.http.UriCompliance;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.NetworkConnectionLimit;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.ErrorHandler;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The HTTP blobstore on one port. Listens from {@link #start} on, serves blobs from {@link #ready} on, and is stopped by
 * {@link #drain} without failing a request.
 */
public final class BlobServer implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(BlobServer.class);

    /** So long no request may have come before the connections are closed: on a busy machine one that came is seen late. */
    private static final Duration QUIET = Duration.ofSeconds(1);

    /** Selectors and acceptors; requests run in virtual threads. */
    private static final int THREADS_MAX = 16;

    private final ServerSettings settings;
    private final Health health;
    private final InFlight inFlight = new InFlight();
    private final Server jetty;
    private final HttpConfiguration http;
    private final ServerConnector connector;

    /**
     * @param statusCatalog the same database through a connection that nothing else uses
     * @param registry gets the metrics
     * @param accessLog takes a line for each request, without blocking
     */
    public BlobServer(
            ServerSettings settings,
            ServedCatalog catalog,
            ServedCatalog statusCatalog,
            Backends backends,
            MeterRegistry registry,
            Consumer<String> accessLog) {
        this.settings = settings;
        Limits limits = settings.limits();
        health = new Health(statusCatalog);
        http = http(limits);
        QueuedThreadPool threads = new QueuedThreadPool(THREADS_MAX);
        threads.setName("http");
        threads.setVirtualThreadsExecutor(Executors.newVirtualThreadPerTaskExecutor());
        jetty = new Server(threads);
        connector = new PacedConnector(jetty, limits, new HttpConnections(http));
        connector.setPort(settings.port());
        jetty.addConnector(connector);
        jetty.addBean(new NetworkConnectionLimit(limits.connections(), connector));
        ServerMetrics metrics = new ServerMetrics(registry, backends.names(), inFlight);
        Observed observed = new Observed(
                new BlobRoutes(settings.redirects(), catalog, backends, health, metrics, limits.blobBytes()),
                inFlight,
                metrics,
                new AccessLog(
                        InstantSource.system(), settings.accessLog() ? Optional.of(accessLog) : Optional.empty()));
        jetty.setHandler(observed);
        jetty.setRequestLog(observed);
        ErrorHandler errors = new ErrorHandler();
        errors.setShowStacks(false);
        jetty.setErrorHandler(errors);
    }

    private static HttpConfiguration http(Limits limits) {
        HttpConfiguration http = new HttpConfiguration();
        // Names are opaque: %2F, %25, //, .. and raw UTF-8 are for us to decode, not for the server to judge.
        http.setUriCompliance(UriCompliance.UNSAFE);
        http.setRequestHeaderSize(limits.headerBytes());
        http.setSendServerVersion(false);
        // Else a content type that differs from a well-known one only by case would be stored as that.
        http.setHeaderCacheCaseSensitive(true);
        return http;
    }

    /** Listens; requests for blobs are put off until {@link #ready}. */
    public void start() {
        try {
            jetty.start();
        } catch (Exception e) {
            throw new IllegalStateException("could not listen on port " + settings.port(), e);
        }
        LOG.atInfo().addKeyValue("port", port()).log("listening");
    }

    public int port() {
        return connector.getLocalPort();
    }

    public boolean isReady() {
        return health.isReady();
    }

    /** The schema is right: blobs are served. */
    public void ready() {
        health.started();
        LOG.info("ready");
    }

    /**
     * Stops: not ready any more, but answering until everybody knows that; then no new connections; then none at all, once
     * the running requests have ended or the grace is over. Every answer meanwhile asks the client to connect anew.
     *
     * @return how many requests had to be broken off
     */
    public int drain() throws InterruptedException {
        health.draining();
        http.setPersistentConnectionsEnabled(false);
        LOG.info("draining");
        Thread.sleep(settings.drainDelay());
        CompletableFuture<Void> connectionsClosed = connector.shutdown();
        int left = inFlight.awaitQuiet(settings.drainGrace(), QUIET);
        // Idle connections needn't be waited for: clients see them closed and open others.
        boolean areClosed = connectionsClosed.isDone();
        close();
        LOG.atInfo()
                .addKeyValue("brokenOff", left)
                .addKeyValue("idleConnections", !areClosed)
                .log("stopped");
        return left;
    }

    /** Stops at once, whatever runs. */
    @Override
    public void close() {
        try {
            jetty.stop();
        } catch (Exception e) {
            throw new IllegalStateException("could not stop listening", e);
        }
    }
}
