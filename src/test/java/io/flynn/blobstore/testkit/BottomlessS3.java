package io.flynn.blobstore.testkit;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Takes objects of any size, whole or by parts, counts and forgets their bytes; and has all of one size, made of zeros. No
 * signature is looked at.
 */
public final class BottomlessS3 implements AutoCloseable {

    private static final int CHUNK_BYTES = 64 * 1024;

    private final HttpServer http;
    private final long size;
    private final Map<String, AtomicLong> received = new ConcurrentHashMap<>();

    /** @param size of every object that is read */
    public BottomlessS3(long size) {
        this.size = size;
        try {
            http = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 512);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        http.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        http.createContext("/", this::answer);
        http.start();
    }

    public URI endpoint() {
        return URI.create("http://127.0.0.1:" + http.getAddress().getPort());
    }

    /** Bytes by key. */
    public Map<String, AtomicLong> received() {
        return received;
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            String path = exchange.getRequestURI().getPath();
            String key = path.substring(path.lastIndexOf('/') + 1);
            switch (exchange.getRequestMethod()) {
                case "PUT" -> {
                    received.computeIfAbsent(key, first -> new AtomicLong())
                            .addAndGet(count(exchange.getRequestBody()));
                    exchange.getResponseHeaders().set("ETag", "\"0123456789abcdef0123456789abcdef\"");
                    exchange.sendResponseHeaders(200, -1);
                }
                case "POST" -> {
                    count(exchange.getRequestBody());
                    boolean isBegin = exchange.getRequestURI().getQuery().startsWith("uploads");
                    send(
                            exchange,
                            isBegin
                                    ? "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
                                    : "<CompleteMultipartUploadResult><Key>k</Key></CompleteMultipartUploadResult>");
                }
                case "GET" -> give(exchange);
                default -> exchange.sendResponseHeaders(204, -1);
            }
        }
    }

    private void give(HttpExchange exchange) throws IOException {
        exchange.sendResponseHeaders(200, size);
        byte[] zeros = new byte[CHUNK_BYTES];
        OutputStream body = exchange.getResponseBody();
        for (long left = size; left > 0; left -= zeros.length) {
            body.write(zeros, 0, (int) Math.min(left, zeros.length));
        }
    }

    private static void send(HttpExchange exchange, String xml) throws IOException {
        byte[] bytes = xml.getBytes(StandardCharsets.US_ASCII);
        exchange.sendResponseHeaders(200, bytes.length);
        exchange.getResponseBody().write(bytes);
    }

    private static long count(InputStream body) throws IOException {
        byte[] buffer = new byte[CHUNK_BYTES];
        long count = 0;
        for (int read = body.read(buffer); read >= 0; read = body.read(buffer)) {
            count += read;
        }
        return count;
    }

    @Override
    public void close() {
        http.stop(0);
    }
}
