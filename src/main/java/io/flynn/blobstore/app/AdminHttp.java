package io.flynn.blobstore.app;

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
 * Health and metrics of one process, on a port of its own: {@code /healthz} (the process answers), {@code /readyz} (it can do its
 * work), {@code /metrics} (Prometheus).
 */
final class AdminHttp {

    /** A kubelet, a Prometheus and a person. Jetty needs some for itself. */
    private static final int THREADS_MAX = 8;

    private final ServerConnector connector;

    private AdminHttp(ServerConnector connector) {
        this.connector = connector;
    }

    /**
     * Serves on daemon threads until the process ends.
     *
     * @param port 0 = any free one
     * @throws Exception if the port can't be had
     */
    static AdminHttp start(int port, BooleanSupplier ready, Supplier<String> metrics) throws Exception {
        QueuedThreadPool threads = new QueuedThreadPool(THREADS_MAX, 2);
        // Or a failed start would leave a process that answers "alive" and does nothing.
        threads.setDaemon(true);
        Server server = new Server(threads);
        ServerConnector connector = new ServerConnector(server, 1, 1);
        connector.setPort(port);
        server.addConnector(connector);
        server.setHandler(new Routes(ready, metrics));
        server.start();
        return new AdminHttp(connector);
    }

    int port() {
        return connector.getLocalPort();
    }

    private static final class Routes extends Handler.Abstract.NonBlocking {

        private final BooleanSupplier ready;
        private final Supplier<String> metrics;

        Routes(BooleanSupplier ready, Supplier<String> metrics) {
            this.ready = ready;
            this.metrics = metrics;
        }

        @Override
        public boolean handle(Request request, Response response, Callback callback) {
            return switch (Request.getPathInContext(request)) {
                case "/healthz" -> answer(response, callback, HttpStatus.OK_200, "ok\n");
                case "/readyz" ->
                    ready.getAsBoolean()
                            ? answer(response, callback, HttpStatus.OK_200, "ok\n")
                            : answer(response, callback, HttpStatus.SERVICE_UNAVAILABLE_503, "not ready\n");
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
