package io.flynn.blobstore.bench;

import com.sun.net.httpserver.HttpExchange;
import io.helidon.http.HeaderNames;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/**
 * The same two answers by different HTTP servers, each with blocking streams on virtual threads: GET of {@code /bench/SIZE/N} writes so many
 * bytes in chunks as PostgreSQL gives them, PUT reads them and forgets them. Arguments: which server, port.
 */
final class HttpServer {

    private static final byte[] CHUNK = new byte[256 * 1024];

    private HttpServer() {}

    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[1]);
        switch (arguments[0]) {
            case "Jetty" -> jetty(port);
            case "Helidon" -> helidon(port);
            case "JDK" -> jdk(port);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        Thread.currentThread().join();
    }

    private static long size(String path) {
        return Long.parseLong(path.split("/", 4)[2]);
    }

    private static void write(OutputStream out, long size) throws IOException {
        for (long left = size; left > 0; left -= CHUNK.length) {
            out.write(CHUNK, 0, (int) Math.min(left, CHUNK.length));
        }
    }

    private static void forget(InputStream in) throws IOException {
        byte[] buffer = new byte[CHUNK.length];
        int read = in.readNBytes(buffer, 0, buffer.length);
        while (read > 0) {
            read = in.readNBytes(buffer, 0, buffer.length);
        }
    }

    private static void jetty(int port) throws Exception {
        QueuedThreadPool threads = new QueuedThreadPool(16);
        threads.setVirtualThreadsExecutor(Executors.newVirtualThreadPerTaskExecutor());
        Server server = new Server(threads);
        ServerConnector connector = new ServerConnector(server, 1, 1);
        connector.setPort(port);
        server.addConnector(connector);
        server.setHandler(new Handler.Abstract() {
            @Override
            public boolean handle(Request request, Response response, Callback callback) throws IOException {
                if (request.getMethod().equals("GET")) {
                    long size = size(request.getHttpURI().getPath());
                    response.getHeaders().put(HttpHeader.CONTENT_LENGTH, size);
                    write(Content.Sink.asOutputStream(response), size);
                } else {
                    forget(Request.asInputStream(request));
                }
                callback.succeeded();
                return true;
            }
        });
        server.start();
    }

    private static void helidon(int port) {
        WebServer.builder()
                .host("127.0.0.1")
                .port(port)
                // Jetty's default; without it, small answers wait for the client's delayed acknowledgement, 40 ms each.
                .connectionOptions(options -> options.tcpNoDelay(true))
                .routing(routes -> routes.get("/*", HttpServer::helidonGet).put("/*", HttpServer::helidonPut))
                .build()
                .start();
    }

    private static void helidonGet(ServerRequest request, ServerResponse response) throws IOException {
        long size = size(request.path().rawPath());
        response.header(HeaderNames.CONTENT_LENGTH, Long.toString(size));
        try (OutputStream out = response.outputStream()) {
            write(out, size);
        }
    }

    private static void helidonPut(ServerRequest request, ServerResponse response) throws IOException {
        try (InputStream in = request.content().inputStream()) {
            forget(in);
        }
        response.send();
    }

    private static void jdk(int port) throws IOException {
        com.sun.net.httpserver.HttpServer server =
                com.sun.net.httpserver.HttpServer.create(new InetSocketAddress(port), 0);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext("/", HttpServer::jdkAnswer);
        server.start();
    }

    private static void jdkAnswer(HttpExchange exchange) throws IOException {
        if (exchange.getRequestMethod().equals("GET")) {
            long size = size(exchange.getRequestURI().getRawPath());
            exchange.sendResponseHeaders(200, size);
            write(exchange.getResponseBody(), size);
        } else {
            forget(exchange.getRequestBody());
            exchange.sendResponseHeaders(200, -1);
        }
        exchange.close();
    }
}
