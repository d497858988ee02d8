package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;

/** The blobstore as any client sees it: plain HTTP, redirects followed by hand. Thread-safe. */
public final class HttpBlobstore implements AutoCloseable {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    static {
        // A server may close an idle connection at the very instant at which a request is sent on it. Every method used
        // here
        // is idempotent, and such requests are to be sent again on another connection (RFC 9112, 9.3.1), as Go's client
        // does.
        System.setProperty("jdk.httpclient.enableAllMethodRetry", "true");
    }

    private final HttpClient http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(10))
            .followRedirects(HttpClient.Redirect.NEVER)
            .build();
    private final URI base;

    public HttpBlobstore(URI base) {
        this.base = base;
    }

    /** What a request of ours never gets from a blobstore that is well. */
    public static final class UnexpectedAnswerException extends IOException {
        private static final long serialVersionUID = 1;

        UnexpectedAnswerException(String request, int status, String body) {
            super("%s answered %d %s".formatted(request, status, body.strip()));
        }
    }

    /** The blob's bytes, from wherever they are; empty when there is no such blob. */
    public Optional<Fingerprint> get(String name) throws IOException, InterruptedException {
        Optional<URI> redirect;
        HttpResponse<InputStream> answer = send(request(name).GET(), BodyHandlers.ofInputStream());
        try (InputStream body = answer.body()) {
            switch (answer.statusCode()) {
                case 200 -> {
                    return Optional.of(complete(answer, Fingerprint.of(body)));
                }
                case 404 -> {
                    return Optional.empty();
                }
                case 302 -> redirect = answer.headers().firstValue("Location").map(base::resolve);
                default -> throw unexpected("GET " + name, answer.statusCode(), body);
            }
        }
        return Optional.of(follow(redirect.orElseThrow(() -> new IOException("302 without Location for " + name))));
    }

    /** Where the blobstore sends whoever reads this blob; empty when it sends the bytes itself or has no such blob. */
    public Optional<URI> redirect(String name) throws IOException, InterruptedException {
        HttpResponse<InputStream> answer = send(request(name).GET(), BodyHandlers.ofInputStream());
        answer.body().close();
        return answer.statusCode() == 302
                ? answer.headers().firstValue("Location").map(base::resolve)
                : Optional.empty();
    }

    /** What is at a URL that the blobstore redirected to, now or long ago. */
    public Fingerprint follow(URI location) throws IOException, InterruptedException {
        HttpResponse<InputStream> answer =
                send(HttpRequest.newBuilder(location).timeout(PATIENCE), BodyHandlers.ofInputStream());
        try (InputStream body = answer.body()) {
            if (answer.statusCode() != 200) {
                throw unexpected("GET of the object at " + location.getPath(), answer.statusCode(), body);
            }
            return complete(answer, Fingerprint.of(body));
        }
    }

    /** The size that HEAD tells; empty when there is no such blob. */
    public Optional<Long> head(String name) throws IOException, InterruptedException {
        HttpResponse<Void> answer =
                send(request(name).method("HEAD", BodyPublishers.noBody()), BodyHandlers.discarding());
        return switch (answer.statusCode()) {
            case 200 ->
                Optional.of(answer.headers().firstValueAsLong("Content-Length").orElse(-1));
            case 404 -> Optional.empty();
            default -> throw new UnexpectedAnswerException("HEAD " + name, answer.statusCode(), "");
        };
    }

    public void put(String name, Content content) throws IOException, InterruptedException {
        BodyPublisher body =
                BodyPublishers.fromPublisher(BodyPublishers.ofInputStream(content::open), Math.max(1, content.size()));
        expect200("PUT " + name, request(name).PUT(content.size() == 0 ? BodyPublishers.noBody() : body));
    }

    public void delete(String name) throws IOException, InterruptedException {
        expect200("DELETE " + name, request(name).DELETE());
    }

    /** Returns when the server at {@code base}, which may still be starting, says that it is well. */
    public static void awaitHealthy(URI base, Duration patience) throws IOException, InterruptedException {
        long deadline = System.nanoTime() + patience.toNanos();
        try (HttpBlobstore blobstore = new HttpBlobstore(base)) {
            while (!blobstore.isHealthy()) {
                if (System.nanoTime() > deadline) {
                    throw new IOException("%s is not healthy after %s".formatted(base, patience));
                }
                Thread.sleep(Duration.ofMillis(50));
            }
        }
    }

    public boolean isHealthy() throws InterruptedException {
        try {
            return send(
                                    HttpRequest.newBuilder(base.resolve("/.well-known/status"))
                                            .timeout(PATIENCE),
                                    BodyHandlers.discarding())
                            .statusCode()
                    == 200;
        } catch (IOException e) {
            return false;
        }
    }

    private void expect200(String what, HttpRequest.Builder request) throws IOException, InterruptedException {
        HttpResponse<String> answer = send(request, BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new UnexpectedAnswerException(what, answer.statusCode(), answer.body());
        }
    }

    private <T> HttpResponse<T> send(HttpRequest.Builder request, HttpResponse.BodyHandler<T> body)
            throws IOException, InterruptedException {
        return http.send(request.build(), body);
    }

    private HttpRequest.Builder request(String name) {
        return HttpRequest.newBuilder(base.resolve(encode(name))).timeout(PATIENCE);
    }

    /** Every byte but the unreserved ones and the slash is escaped, so that no name means anything to anybody on the way. */
    static String encode(String name) {
        StringBuilder path = new StringBuilder();
        for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
            char c = (char) (b & 0xFF);
            boolean isPlain =
                    c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || "/-._~".indexOf(c) >= 0;
            path.append(isPlain ? String.valueOf(c) : "%%%02X".formatted((int) c));
        }
        return path.toString();
    }

    private static Fingerprint complete(HttpResponse<InputStream> answer, Fingerprint read) throws IOException {
        long announced = answer.headers().firstValueAsLong("Content-Length").orElse(-1);
        if (announced >= 0 && announced != read.size()) {
            throw new IOException("Content-Length was %d, the body had %d bytes".formatted(announced, read.size()));
        }
        return read;
    }

    private static UnexpectedAnswerException unexpected(String request, int status, InputStream body)
            throws IOException {
        return new UnexpectedAnswerException(request, status, new String(body.readNBytes(300), StandardCharsets.UTF_8));
    }

    @Override
    public void close() {
        http.shutdownNow();
        http.close();
    }
}
