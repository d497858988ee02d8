package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/**
 * The API over plain HTTP on a loopback port.
 *
 * <p>Watches are long GETs with a line per event, as kubectl asks for them. A request to upgrade to a websocket gets 200: the Kubernetes
 * client then asks again without, at once (503, the other answer that lets it, it would first get ten times).
 */
final class HttpFront implements AutoCloseable {

    private static final String JSON = "application/json";
    private static final String TABLE = "as=Table";

    /** How long a silent watch waits before it looks whether it should end. */
    private static final int WATCH_POLL_MILLIS = 250;

    private static final int THREADS_MAX = 400;

    private final ApiServer api;
    private final ApiRoutes routes;
    private final ApiCalls calls;
    private final Server server;
    private final ServerConnector connector;
    private volatile boolean closing;

    HttpFront(ApiServer api, PodLogs logs, ApiCalls calls) throws IOException {
        this.api = api;
        this.routes = new ApiRoutes(api, logs);
        this.calls = calls;
        QueuedThreadPool threads = new QueuedThreadPool(THREADS_MAX);
        threads.setName("local-cluster-http");
        threads.setDaemon(true);
        server = new Server(threads);
        HttpConfiguration http = new HttpConfiguration();
        http.setSendServerVersion(false);
        connector = new ServerConnector(server, 1, 1, new HttpConnectionFactory(http));
        connector.setHost("127.0.0.1");
        connector.setIdleTimeout(0); // a watch may have nothing to say for long
        server.addConnector(connector);
        server.setHandler(new Handler.Abstract() {
            @Override
            public boolean handle(Request request, Response response, Callback callback) throws IOException {
                HttpFront.this.handle(request, response, callback);
                return true;
            }
        });
        try {
            server.start();
        } catch (Exception e) {
            throw new IOException("could not listen on 127.0.0.1", e);
        }
    }

    String url() {
        return "http://127.0.0.1:" + connector.getLocalPort();
    }

    @Override
    public void close() {
        closing = true;
        try {
            server.stop();
        } catch (Exception e) {
            throw new IllegalStateException("could not stop the API server", e);
        }
    }

    private void handle(Request raw, Response response, Callback callback) throws IOException {
        if (raw.getHeaders().contains(HttpHeader.UPGRADE, "websocket")) {
            answer(response, callback, 200, "text/plain", "no websockets here");
            return;
        }
        ApiRequest request = ApiRequest.of(raw, Content.Source.asString(raw, StandardCharsets.UTF_8));
        ApiCall call = null;
        try {
            call = routes.call(request);
            ApiCalls.Verdict verdict = calls.verdict(call);
            if (verdict.fails() && verdict.code() != ApiCalls.CUT) {
                throw ApiFailure.injected(verdict.code());
            }
            if (verdict.fails() && !verdict.after()) {
                cut(call, callback);
                return;
            }
            if (call.verb().equals("watch")) {
                calls.record(call.answered(200));
                watch(request, response, callback);
                return;
            }
            ApiRoutes.Answer answer = routes.answer(request);
            if (verdict.fails()) {
                cut(call, callback);
                return;
            }
            calls.record(call.answered(answer.code()));
            answer(response, callback, answer.code(), answer.contentType(), answer.body());
        } catch (ApiFailure e) {
            if (call != null) {
                calls.record(call.answered(e.code()));
            }
            answer(response, callback, e.code(), JSON, Json.write(e.status()));
        }
    }

    private void cut(ApiCall call, Callback callback) {
        calls.record(call.answered(ApiCalls.CUT));
        callback.failed(new IOException("cut, as a test ordered"));
    }

    private static void answer(Response response, Callback callback, int code, String contentType, String body) {
        response.setStatus(code);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, contentType);
        Content.Sink.write(response, true, body, callback);
    }

    /** Sends what is there, unless a version is named to start behind, then every change. */
    private void watch(ApiRequest request, Response response, Callback callback) throws IOException {
        Target target = routes.target(request).orElseThrow(() -> ApiFailure.noSuchPath(request.path()));
        if (Boolean.parseBoolean(request.query("sendInitialEvents"))) {
            throw ApiFailure.invalid(
                    target.type(),
                    "",
                    List.of(ApiFailure.Cause.forbidden(
                            "sendInitialEvents",
                            "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")));
        }
        Selector selector = routes.selector(target, request);
        LinkedBlockingQueue<ObjectStore.Change> changes = new LinkedBlockingQueue<>();
        String since = request.query("resourceVersion");
        JsonNode initial = Json.object();
        Runnable stop;
        synchronized (api.store()) {
            long from = api.store().revision();
            if (since.isEmpty() || since.equals("0")) {
                initial = api.list(target, selector).path("items");
            } else {
                from = Long.parseLong(since);
            }
            stop = api.store().listen(from, change -> {
                if (change.key().isIn(target.type(), target.namespace())) {
                    changes.add(change);
                }
            });
        }
        long timeoutSeconds = request.query("timeoutSeconds").isEmpty()
                ? TimeUnit.HOURS.toSeconds(1)
                : Long.parseLong(request.query("timeoutSeconds"));
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(timeoutSeconds);
        response.setStatus(200);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, JSON);
        try (OutputStream out = Content.Sink.asOutputStream(response)) {
            out.flush();
            boolean table = request.accept().contains(TABLE);
            for (JsonNode object : initial) {
                send(out, target.type(), "ADDED", (ObjectNode) object, table);
            }
            while (!closing && System.nanoTime() < end) {
                ObjectStore.Change change = changes.poll(WATCH_POLL_MILLIS, TimeUnit.MILLISECONDS);
                if (change != null) {
                    String event = event(change, selector);
                    if (!event.isEmpty()) {
                        send(out, target.type(), event, change.after(), table);
                    }
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            stop.run();
        }
        callback.succeeded();
    }

    /** What a change is to a watcher that sees only what matches its selector; empty if nothing. */
    private static String event(ObjectStore.Change change, Selector selector) {
        boolean was = !change.added() && selector.matches(change.before());
        boolean is = !change.removed() && selector.matches(change.after());
        if (was && is) {
            return "MODIFIED";
        }
        if (is) {
            return "ADDED";
        }
        return was ? "DELETED" : "";
    }

    private static void send(OutputStream out, ResourceType type, String event, ObjectNode object, boolean table)
            throws IOException {
        ObjectNode line = Json.object().put("type", event);
        line.set("object", table ? Tables.of(type, List.of(object)) : object);
        out.write((line + "\n").getBytes(StandardCharsets.UTF_8));
        out.flush();
    }
}
