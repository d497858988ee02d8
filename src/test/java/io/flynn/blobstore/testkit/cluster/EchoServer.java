package io.flynn.blobstore.testkit.cluster;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

/** What the tests' pods run: answers every request with {@code $ANSWER}, and goes on for a moment after SIGTERM, as a server should. */
final class EchoServer {

    /** Longer than the network takes to learn that the pod is going. */
    private static final int DRAIN_MILLIS = 500;

    private EchoServer() {}

    public static void main(String[] args) throws IOException {
        int port = Integer.parseInt(System.getenv("PORT"));
        byte[] answer = System.getenv("ANSWER").getBytes(StandardCharsets.UTF_8);
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext("/", exchange -> {
            exchange.getResponseHeaders().set("Connection", "close");
            exchange.sendResponseHeaders(200, answer.length);
            exchange.getResponseBody().write(answer);
            exchange.close();
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                Thread.sleep(DRAIN_MILLIS);
                server.stop(0);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        server.start();
    }
}
