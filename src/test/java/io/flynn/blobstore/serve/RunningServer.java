package io.flynn.blobstore.serve;

import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.postgres.Schema;
import io.flynn.blobstore.store.postgres.ServedCatalog;
import io.flynn.blobstore.store.s3.PartRoom;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;

/** The HTTP blobstore in this process, as its environment says, and a client that follows no redirects. */
public final class RunningServer implements AutoCloseable {

    private final Database database;
    private final Database statusDatabase;
    private final Backends backends;
    private final BlobServer server;
    private final PrometheusMeterRegistry metrics = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    private final List<String> accessLog = new CopyOnWriteArrayList<>();
    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    RunningServer(Map<String, String> environment) {
        Map<String, String> variables = new HashMap<>(environment);
        variables.putIfAbsent("PORT", "0");
        variables.putIfAbsent("BLOBSTORE_DRAIN_DELAY", "0s");
        variables.putIfAbsent("BLOBSTORE_ACCESS_LOG", "false");
        variables.putIfAbsent("BLOBSTORE_DATABASE_WAIT", "500ms");
        ServerSettings settings = ServerSettings.decode(variables);
        PgSettings postgres = PgSettings.decode(variables);
        database = Database.ofServer(postgres, "test", settings.databaseConnections(), settings.databaseWait());
        statusDatabase = Database.ofServer(postgres, "test", 1, settings.databaseWait());
        backends = new Backends(
                BackendEnvironment.decode(variables),
                settings.storeConnections(),
                new PartRoom(64 << 20, settings.spool()));
        database.observe(metrics);
        server = new BlobServer(
                settings,
                new ServedCatalog(database),
                new ServedCatalog(statusDatabase),
                backends,
                metrics,
                accessLog::add);
        server.start();
    }

    /** Listening, its schema made, and ready. */
    public static RunningServer ready(Map<String, String> environment) {
        RunningServer running = new RunningServer(environment);
        running.database.with("make the schema", connection -> {
            Schema.upgrade(connection);
            return connection;
        });
        running.server.ready();
        return running;
    }

    BlobServer server() {
        return server;
    }

    /** As Prometheus would scrape it. */
    String metrics() {
        return metrics.scrape();
    }

    /** The lines so far; a request's comes when it has ended, which may be after the client has its answer. */
    List<String> accessLog() {
        return accessLog;
    }

    int port() {
        return server.port();
    }

    public URI uri(String target) {
        return URI.create("http://127.0.0.1:" + port() + target);
    }

    /** Every byte of a name percent-encoded but for letters, digits and slashes. */
    static String encoded(String name) {
        StringBuilder encoded = new StringBuilder();
        for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
            if (b == '/' || Character.isLetterOrDigit(b)) {
                encoded.append((char) b);
            } else {
                encoded.append("%%%02X".formatted(b));
            }
        }
        return encoded.toString();
    }

    HttpResponse<byte[]> get(String name, String... headers) {
        return send("GET", encoded(name), new byte[0], headers);
    }

    HttpResponse<byte[]> head(String name, String... headers) {
        return send("HEAD", encoded(name), new byte[0], headers);
    }

    HttpResponse<byte[]> delete(String name, String... headers) {
        return send("DELETE", encoded(name), new byte[0], headers);
    }

    HttpResponse<byte[]> put(String name, String body, String... headers) {
        return put(name, body.getBytes(StandardCharsets.UTF_8), headers);
    }

    HttpResponse<byte[]> put(String name, byte[] body, String... headers) {
        return send("PUT", encoded(name), body, headers);
    }

    /** Sends the target as it is. */
    HttpResponse<byte[]> send(String method, String target, byte[] body, String... headers) {
        HttpRequest.Builder request = HttpRequest.newBuilder(uri(target))
                .method(method, BodyPublishers.ofByteArray(body))
                .timeout(Duration.ofSeconds(30));
        if (headers.length > 0) {
            request.headers(headers);
        }
        return send(request.build());
    }

    HttpResponse<byte[]> send(HttpRequest request) {
        try {
            return client.send(request, BodyHandlers.ofByteArray());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** What a client sees that follows redirects. */
    HttpResponse<byte[]> follow(String name, String... headers) {
        HttpResponse<byte[]> response = get(name, headers);
        if (response.statusCode() != 302) {
            return response;
        }
        HttpRequest.Builder request = HttpRequest.newBuilder(
                URI.create(response.headers().firstValue("Location").orElseThrow()));
        if (headers.length > 0) {
            request.headers(headers);
        }
        return send(request.build());
    }

    static String text(HttpResponse<byte[]> response) {
        return new String(response.body(), StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        client.close();
        server.close();
        backends.close();
        database.close();
        statusDatabase.close();
    }
}
