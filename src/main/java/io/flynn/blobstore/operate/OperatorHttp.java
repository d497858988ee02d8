package io.flynn.blobstore.operate;

import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/**
 * Health and metrics: {@code /healthz} (the process answers), {@code /readyz} (its watches work; also while it waits for the
 * lease, or a rolling update would wait for the old leader), {@code /metrics} (Prometheus).
 */
public final class OperatorHttp {

    /** A kubelet, a Prometheus and a person. Jetty needs some for itself. */
    private static final int THREADS_MAX = 8;

    private final ServerConnector connector;

    private OperatorHttp(ServerConnector connector) {
        this.connector = connector;
    }

    /** Serves on daemon threads until the process ends. */
    public static OperatorHttp start(int port, BooleanSupplier healthy, Supplier<String> metrics) throws Exception {
        QueuedThreadPool threads = new QueuedThreadPool(THREADS_MAX, 2);
        // Or a failed start would leave a process that answers "alive" and does nothing.
        threads.setDaemon(true);
        Server server = new Server(threads);
        ServerConnector connector = new ServerConnector(server, 1, 1);
        connector.setPort(port);
        server.addConnector(connector);
        server.setHandler(new Routes(healthy, metrics));
        server.start();
        return new OperatorHttp(connector);
    }

    public int port() {
        return connector.getLocalPort();
    }

    private static final class Routes extends Handler.Abstract.NonBlocking {

        private final BooleanSupplier healthy;
        private final Supplier<String> metrics;

        Routes(BooleanSupplier healthy, Supplier<String> metrics) {
            this.healthy = healthy;
            this.metrics = metrics;
        }

        @Override
        public boolean handle(Request request, Response response, Callback callback) {
            return switch (Request.getPathInContext(request)) {
                case "/healthz" -> answer(response, callback, HttpStatus.OK_200, "ok\n");
                case "/readyz" ->
                    healthy.getAsBoolean()
                            ? answer(response, callback, HttpStatus.OK_200, "ok\n")
                            : answer(response, callback, HttpStatus.SERVICE_UNAVAILABLE_503, "a watch doesn't work\n");
                case "/metrics" -> answer(response, callback, HttpStatus.OK_200, metrics.get());
                default -> answer(response, callback, HttpStatus.NOT_FOUND_404, "not found\n");
            };
        }

        private static boolean answer(Response response, Callback callback, int status, String text) {
            response.setStatus(status);
            response.getHeaders().put(HttpHeader.CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
            Content.Sink.write(response, true, text, callback);
            return true;
        }
    }
}
