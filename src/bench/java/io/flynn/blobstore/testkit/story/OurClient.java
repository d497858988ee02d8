package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Optional;
import java.util.SplittableRandom;

/** A client of our server: reads, puts, appends, copies and deletes. */
public final class OurClient extends Writer {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /** More than a part of an upload. */
    private static final int HUGE_BYTES = 6_000_000;

    private final HttpClient http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(10))
            .build();
    private final URI base;

    public OurClient(URI base, int number, Ledger ledger, SplittableRandom random) {
        super("/ours/" + number + "/", ledger, random);
        this.base = base;
    }

    @Override
    Optional<byte[]> read(String name) throws IOException, InterruptedException {
        HttpResponse<byte[]> answer = send(request(name).GET());
        if (answer.statusCode() == 302) {
            answer = send(HttpRequest.newBuilder(
                            URI.create(answer.headers().firstValue("Location").orElseThrow()))
                    .timeout(PATIENCE));
            // A row that points to nothing is no deleted blob.
            if (answer.statusCode() != 200) {
                if (answer.statusCode() == 404) {
                    problem(name + ": the object that its row names is not there");
                }
                throw new InDoubtException("the store answered " + answer.statusCode());
            }
        }
        return switch (answer.statusCode()) {
            case 200 -> Optional.of(answer.body());
            case 404 -> Optional.empty();
            default -> throw refused("GET", name, answer);
        };
    }

    @Override
    void write(String name, Optional<byte[]> present) throws InterruptedException {
        int luck = random.nextInt(100);
        if (present.isEmpty() || luck < 40) {
            put(name, luck == 0 ? huge() : bytes());
        } else if (luck < 65 && !isFull(present.get())) {
            byte[] more = bytes();
            HttpRequest.Builder append = request(name)
                    .header("Blobstore-Offset", Integer.toString(present.get().length))
                    .PUT(BodyPublishers.ofByteArray(more));
            change(name, Optional.of(concatenated(present.get(), more)), () -> expect200(name, append));
        } else if (luck < 75) {
            String copy = name + "-copy";
            change(
                    copy,
                    present,
                    () -> expect200(
                            copy,
                            request(copy).header("Blobstore-Copy-From", name).PUT(BodyPublishers.noBody())));
        } else if (luck < 85) {
            change(name, Optional.empty(), () -> expect200(name, request(name).DELETE()));
        }
    }

    private byte[] huge() {
        byte[] bytes = new byte[HUGE_BYTES];
        random.nextBytes(bytes);
        return bytes;
    }

    private void put(String name, byte[] bytes) throws InterruptedException {
        change(name, Optional.of(bytes), () -> expect200(name, request(name).PUT(BodyPublishers.ofByteArray(bytes))));
    }

    private void expect200(String name, HttpRequest.Builder request) throws IOException, InterruptedException {
        HttpResponse<byte[]> answer = send(request);
        if (answer.statusCode() != 200) {
            throw refused("change", name, answer);
        }
    }

    /** 409: what a lost answer was about may still be under way, and has changed the blob since it was read. */
    private IOException refused(String what, String name, HttpResponse<byte[]> answer) {
        if (answer.statusCode() != 503 && answer.statusCode() != 409) {
            problem("%s of %s was answered with %d %s"
                    .formatted(
                            what,
                            name,
                            answer.statusCode(),
                            new String(answer.body(), java.nio.charset.StandardCharsets.UTF_8)));
        }
        return new InDoubtException("answered with " + answer.statusCode());
    }

    private HttpResponse<byte[]> send(HttpRequest.Builder request) throws IOException, InterruptedException {
        return http.send(request.build(), BodyHandlers.ofByteArray());
    }

    private HttpRequest.Builder request(String name) {
        return HttpRequest.newBuilder(base.resolve(name)).timeout(PATIENCE);
    }

    @Override
    public void close() {
        super.close();
        http.close();
    }
}
