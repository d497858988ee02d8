package io.flynn.blobstore.testkit.story;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The clients against a blobstore in memory that can lie: what they don't notice here, they wouldn't notice in the story. */
class TrafficTest {

    private static final int ENOUGH = 150;

    private final Ledger ledger = new Ledger();
    private final Liar liar = new Liar();

    @AfterEach
    void stop() {
        liar.close();
    }

    @Test
    void aGoodBlobstoreHasNoFailedRequest() throws Exception {
        assertThat(failuresOf(liar)).isEmpty();
    }

    @Test
    void oneWrongByteIsNoticed() throws Exception {
        liar.flipsABit = name -> name.contains("traffic");

        assertThat(failuresOf(liar)).anyMatch(failure -> failure.startsWith("GET /traffic/client"));
    }

    @Test
    void anAcknowledgedWriteThatIsNotKeptIsNoticed() throws Exception {
        liar.forgets = name -> name.contains("traffic");

        assertThat(failuresOf(liar)).anyMatch(failure -> failure.contains("shows Optional.empty"));
    }

    @Test
    void aRefusalIsAFailedRequest() throws Exception {
        liar.refuses = name -> name.contains("old");

        assertThat(failuresOf(liar)).anyMatch(failure -> failure.contains("answered 503"));
    }

    private Iterable<String> failuresOf(Liar blobstore) throws Exception {
        for (int i = 0; i < 20; i++) {
            String name = "/old/%d+ %%é".formatted(i);
            Content content = Content.of(1, name, i * 100);
            blobstore.blobs.put(name, content.bytes());
            ledger.acknowledged(name, content.fingerprint());
        }
        try (Traffic traffic = Traffic.start(blobstore.base(), ledger, 4, 1)) {
            await().until(() -> traffic.requests() >= ENOUGH);
            traffic.stop();
            traffic.followKeptRedirects();
            return traffic.failures();
        }
    }

    /** A blobstore in memory, and the ways in which it isn't one. */
    private static final class Liar implements AutoCloseable {
        private final Map<String, byte[]> blobs = new ConcurrentHashMap<>();
        private final HttpServer http;
        private Predicate<String> flipsABit = name -> false;
        private Predicate<String> forgets = name -> false;
        private Predicate<String> refuses = name -> false;

        Liar() {
            try {
                http = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
            http.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
            http.createContext("/", this::handle);
            http.start();
        }

        URI base() {
            return URI.create("http://127.0.0.1:" + http.getAddress().getPort());
        }

        private void handle(HttpExchange exchange) throws IOException {
            try (exchange) {
                String name = exchange.getRequestURI().getPath();
                if (refuses.test(name)) {
                    exchange.sendResponseHeaders(503, -1);
                    return;
                }
                switch (exchange.getRequestMethod()) {
                    case "PUT" -> {
                        byte[] body = exchange.getRequestBody().readAllBytes();
                        if (!forgets.test(name)) {
                            blobs.put(name, body);
                        }
                        exchange.sendResponseHeaders(200, -1);
                    }
                    case "DELETE" -> {
                        blobs.remove(name);
                        exchange.sendResponseHeaders(200, -1);
                    }
                    default -> read(exchange, name);
                }
            }
        }

        private void read(HttpExchange exchange, String name) throws IOException {
            byte[] body = blobs.get(name);
            if (body == null) {
                exchange.sendResponseHeaders(404, -1);
            } else if (exchange.getRequestMethod().equals("HEAD")) {
                exchange.getResponseHeaders().set("Content-Length", Integer.toString(body.length));
                exchange.sendResponseHeaders(200, -1);
            } else {
                byte[] sent = body.clone();
                if (sent.length > 0 && flipsABit.test(name)) {
                    sent[sent.length / 2] ^= 1;
                }
                exchange.sendResponseHeaders(200, sent.length == 0 ? -1 : sent.length);
                exchange.getResponseBody().write(sent);
            }
        }

        @Override
        public void close() {
            http.stop(0);
        }
    }
}
