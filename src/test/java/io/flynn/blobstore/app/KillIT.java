package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckFinding.Weight;
import io.flynn.blobstore.decide.CheckReport;
import io.flynn.blobstore.decide.CheckReport.Figure;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.move.CheckRun;
import io.flynn.blobstore.move.CheckRun.Bucket;
import io.flynn.blobstore.move.CheckRun.Scope;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.store.s3.S3BucketListing;
import io.flynn.blobstore.store.s3.S3Clients;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.CheckFindings;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.S3Object;

/**
 * Servers that are killed at random instants while clients write without pause, one after the other on the same database and
 * bucket: what was acknowledged is there, what was in doubt is there whole or not at all, and all leftovers are known.
 *
 * <p>{@code -Dkills=} rounds, {@code -Dseed=} of what clients do and when servers are killed.
 */
class KillIT {

    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final String BUCKET = "flynnblobstore";
    private static final int CLIENTS = 4;
    private static final int NAMES_PER_CLIENT = 6;

    /** By writes and not by time: how much a server does in a second depends on the machine. */
    private static final int WRITES_MAX = 40;

    private static final int PAUSE_MILLIS_MAX = 300;
    private static final int SMALL_MAX = 20_000;

    /** More than a part of an upload. */
    private static final int LARGE = 9_000_000;

    private final long seed = Long.getLong("seed", 4_711);
    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final LocalS3 s3 = LocalS3.start();
    private final Map<String, String> environment = new HashMap<>();
    private final HttpClient http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.ALWAYS)
            .build();
    private final Queue<String> problems = new ConcurrentLinkedQueue<>();
    private final AtomicLong acknowledged = new AtomicLong();
    private final AtomicLong inDoubt = new AtomicLong();
    private final AtomicLong reads = new AtomicLong();

    @TempDir
    private Path folder;

    @BeforeEach
    void prepare() {
        s3.createBucket(BUCKET);
        environment.putAll(database.environment(EmbeddedPg.SUPERUSER));
        environment.putAll(s3.environment(Blobs.S3MAIN, BUCKET));
        environment.put("PORT", "0");
        environment.put("BLOBSTORE_METRICS_PORT", "0");
        environment.put("BLOBSTORE_ACCESS_LOG", "false");
    }

    @AfterEach
    void close() {
        http.close();
        s3.close();
        database.close();
    }

    @Test
    void nothingIsLostWhenServersAreKilled() throws Exception {
        kill(Integer.getInteger("kills", 5));
    }

    @Test
    @Tag("long")
    void nothingIsLostWhenTwoHundredServersAreKilled() throws Exception {
        kill(Integer.getInteger("kills", 200));
    }

    private void kill(int kills) throws Exception {
        Random instants = new Random(seed);
        List<Client> clients = new ArrayList<>();
        for (int i = 0; i < CLIENTS; i++) {
            clients.add(new Client(i));
        }
        for (int round = 0; round < kills; round++) {
            environment.put("DEFAULT_BACKEND", round % 2 == 0 ? Blobs.S3MAIN.value() : "postgres");
            Server server = new Server(round);
            List<Thread> running = clients.stream()
                    .map(client -> Thread.startVirtualThread(() -> client.work(server)))
                    .toList();
            long enough = acknowledged.get() + instants.nextInt(WRITES_MAX);
            Awaitility.await().atMost(PATIENCE).until(() -> acknowledged.get() >= enough || !problems.isEmpty());
            // Into the next writes: to kill at an instant that nothing determines is what this is for.
            Thread.sleep(instants.nextInt(PAUSE_MILLIS_MAX));
            server.kill();
            for (Thread client : running) {
                assertThat(client.join(PATIENCE)).as("a client ends").isTrue();
            }
            assertThat(problems).as("seed %d, round %d", seed, round).isEmpty();
        }
        // What a killed server had open ends when PostgreSQL notices that it is gone.
        Awaitility.await()
                .atMost(PATIENCE)
                .until(() -> database.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                                + " AND application_name = 'blobstore server'")
                        == 0);

        for (Client client : clients) {
            client.compareAll();
        }
        assertThat(problems).as("seed %d", seed).isEmpty();
        assertThat(acknowledged.get()).isPositive();
        assertThat(inDoubt.get()).isPositive();
        assertThat(objects()).isNotEmpty();
        checkLeftovers(kills);
    }

    private void checkLeftovers(int kills) {
        CheckFindings found = new CheckFindings();
        CheckReport report = check(found);

        assertThat(found.all())
                .filteredOn(finding -> finding.kind().weight() != Weight.LEFTOVER)
                .isEmpty();
        assertThat(report.outcome()).isEqualTo(ExitCode.DONE);
        Set<String> known = new HashSet<>(
                database.texts("SELECT external_id FROM files WHERE external_id IS NOT NULL AND backend = 's3main'"));
        found.all().stream().map(CheckFinding::key).flatMap(Optional::stream).forEach(known::add);
        assertThat(known).containsAll(objects()).containsAll(s3.unfinishedUploads(BUCKET));
        assertThat(database.count("SELECT count(*) FROM pg_largeobject_metadata m"
                        + " WHERE NOT EXISTS (SELECT FROM files f WHERE f.file_oid = m.oid)"))
                .isZero();
        Map<Figure, Long> figures = report.backends().get(Blobs.S3MAIN.value());
        System.out.printf(
                "%d kills, seed %d: %d writes acknowledged, %d in doubt, %d reads; in S3 %d objects, of them %d of deleted"
                        + " rows and %d of none, %d unfinished uploads; %d rows of uploads that never ended; findings %s%n",
                kills,
                seed,
                acknowledged.get(),
                inDoubt.get(),
                reads.get(),
                figures.getOrDefault(Figure.OBJECTS, 0L),
                figures.getOrDefault(Figure.RETIRED_OBJECTS, 0L),
                figures.getOrDefault(Figure.ORPHANED_OBJECTS, 0L),
                figures.getOrDefault(Figure.UPLOADS, 0L),
                database.count("SELECT count(*) FROM files WHERE size IS NULL AND external_id IS NOT NULL"),
                found.kinds());
    }

    private CheckReport check(CheckFindings found) {
        try (Database checked =
                        new Database(PgSettings.decode(environment), "blobstore check", 8, Duration.ofSeconds(30));
                S3BlobStore store = new S3BlobStore(s3.backend(Blobs.S3MAIN, BUCKET), 8);
                S3BucketListing listing = new S3BucketListing(s3.backend(Blobs.S3MAIN, BUCKET))) {
            return new CheckRun(
                            checked,
                            new Scope(Set.of(BackendName.POSTGRES, Blobs.S3MAIN), true, Map.of()),
                            Map.of(Blobs.S3MAIN, new Bucket(store, listing)),
                            true,
                            4,
                            found)
                    .run();
        }
    }

    private List<String> objects() {
        List<String> keys = new ArrayList<>();
        try (S3AsyncClient client = S3Clients.open(s3.backend(Blobs.S3MAIN, BUCKET), 2)) {
            client.listObjectsV2Paginator(r -> r.bucket(BUCKET))
                    .contents()
                    .map(S3Object::key)
                    .subscribe(keys::add)
                    .join();
        }
        return keys;
    }

    /** Changes names that nobody else changes, one after the other, and knows what may be read under each. */
    private final class Client {

        private final String directory;
        private final boolean isSendingLarge;
        private final Random random;

        /** More than one where an answer was lost. */
        private final Map<String, List<Optional<byte[]>>> possible = new HashMap<>();

        Client(int number) {
            directory = "/client/" + number + "/";
            isSendingLarge = number == 0;
            random = new Random(seed + number);
            for (int name = 0; name < NAMES_PER_CLIENT; name++) {
                possible.put(directory + name, List.of(Optional.empty()));
            }
        }

        /** Until the server is gone. */
        void work(Server server) {
            try {
                if (isSendingLarge) {
                    large(server, name());
                }
                while (true) {
                    step(server, name());
                }
            } catch (IOException e) {
                if (!server.isKilled()) {
                    problems.add(directory + ": " + e + " by a server that lives: " + server.log());
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        private void step(Server server, String name) throws IOException, InterruptedException {
            // A name in doubt is looked at before it is built upon.
            Optional<byte[]> content = get(server, name);
            switch (random.nextInt(6)) {
                case 0, 1 -> put(server, name, bytes(random.nextInt(SMALL_MAX)));
                case 2 -> {
                    if (content.isPresent() && content.get().length < 10 * SMALL_MAX) {
                        append(server, name, content.get());
                    }
                }
                case 3 -> {
                    String source = name();
                    Optional<byte[]> copied = get(server, source);
                    if (copied.isPresent() && !source.equals(name) && copied.get().length < 10 * SMALL_MAX) {
                        change(
                                server,
                                name,
                                copied,
                                request(server, name)
                                        .header("Blobstore-Copy-From", source)
                                        .PUT(BodyPublishers.noBody()));
                    }
                }
                case 4 ->
                    change(server, name, Optional.empty(), request(server, name).DELETE());
                default -> {}
            }
        }

        /** One that takes parts to upload, and sometimes parts to append to. */
        private void large(Server server, String name) throws IOException, InterruptedException {
            Optional<byte[]> content = get(server, name);
            if (content.isPresent() && content.get().length > SMALL_MAX && random.nextBoolean()) {
                append(server, name, content.get());
            } else {
                put(server, name, bytes(LARGE));
            }
        }

        private void put(Server server, String name, byte[] bytes) throws IOException, InterruptedException {
            change(server, name, Optional.of(bytes), request(server, name).PUT(BodyPublishers.ofByteArray(bytes)));
        }

        private void append(Server server, String name, byte[] present) throws IOException, InterruptedException {
            byte[] more = bytes(1 + random.nextInt(SMALL_MAX));
            byte[] all = Arrays.copyOf(present, present.length + more.length);
            System.arraycopy(more, 0, all, present.length, more.length);
            change(
                    server,
                    name,
                    Optional.of(all),
                    request(server, name)
                            .header("Blobstore-Offset", Integer.toString(present.length))
                            .PUT(BodyPublishers.ofByteArray(more)));
        }

        private void change(Server server, String name, Optional<byte[]> after, HttpRequest.Builder request)
                throws IOException, InterruptedException {
            List<Optional<byte[]>> before = possible.get(name);
            List<Optional<byte[]>> either = new ArrayList<>(before);
            either.add(after);
            possible.put(name, either);
            int status;
            try {
                status = http.send(request.build(), BodyHandlers.discarding()).statusCode();
            } catch (IOException e) {
                inDoubt.incrementAndGet();
                throw e;
            }
            if (status == 200) {
                possible.put(name, List.of(after));
                acknowledged.incrementAndGet();
            } else {
                problems.add("%s of %s was answered with %d: %s"
                        .formatted(request.build().method(), name, status, server.log()));
            }
        }

        /** What is there, which is one of what may be there, and from now on nothing else. */
        private Optional<byte[]> get(Server server, String name) throws IOException, InterruptedException {
            HttpResponse<byte[]> response =
                    http.send(request(server, name).GET().build(), BodyHandlers.ofByteArray());
            reads.incrementAndGet();
            Optional<byte[]> seen = switch (response.statusCode()) {
                case 200 -> Optional.of(response.body());
                case 404 -> Optional.empty();
                default -> {
                    problems.add(
                            "GET of %s was answered with %d: %s".formatted(name, response.statusCode(), server.log()));
                    yield Optional.empty();
                }
            };
            require(name, seen, "read");
            possible.put(name, List.of(seen));
            return seen;
        }

        /** By plain SQL and the store's own objects. */
        void compareAll() throws SQLException {
            for (String name : possible.keySet()) {
                require(name, stored(name), "stored");
            }
        }

        private void require(String name, Optional<byte[]> seen, String how) {
            boolean isPossible =
                    possible.get(name).stream().anyMatch(may -> Arrays.equals(may.orElse(null), seen.orElse(null)));
            if (!isPossible) {
                problems.add("%s is %s as %s, but was %s"
                        .formatted(
                                name,
                                how,
                                describe(seen),
                                possible.get(name).stream().map(this::describe).toList()));
            }
        }

        private String describe(Optional<byte[]> content) {
            return content.map(bytes -> bytes.length + " bytes "
                            + Blobs.sha512(bytes).toString().substring(0, 8))
                    .orElse("absent");
        }

        private Optional<byte[]> stored(String name) throws SQLException {
            try (Connection connection = database.connect();
                    PreparedStatement select = connection.prepareStatement(
                            "SELECT size, sha512, external_id, CASE WHEN backend = 'postgres' THEN lo_get(file_oid) END"
                                    + " FROM files WHERE name = ? AND deleted_at IS NULL")) {
                select.setString(1, name);
                try (ResultSet row = select.executeQuery()) {
                    if (!row.next()) {
                        return Optional.empty();
                    }
                    byte[] largeObject = row.getBytes(4);
                    byte[] bytes = largeObject == null ? s3.bytes(BUCKET, row.getString(3)) : largeObject;
                    if (row.getLong(1) != bytes.length
                            || !Arrays.equals(
                                    row.getBytes(2), Blobs.sha512(bytes).bytes())) {
                        problems.add(name + " has a row that describes other bytes");
                    }
                    return Optional.of(bytes);
                }
            }
        }

        private HttpRequest.Builder request(Server server, String name) {
            return HttpRequest.newBuilder(server.uri(name)).timeout(PATIENCE);
        }

        private String name() {
            return directory + random.nextInt(NAMES_PER_CLIENT);
        }

        private byte[] bytes(int size) {
            byte[] bytes = new byte[size];
            random.nextBytes(bytes);
            return bytes;
        }
    }

    /** The server as a process of its own, ready when it is constructed. */
    private final class Server {

        private static final Pattern PORT = Pattern.compile("\"port\":\"(\\d+)\"");

        private final Path log;
        private final Process process;
        private final int port;
        private volatile boolean isKilled;

        Server(int round) throws IOException {
            log = folder.resolve("server-" + round);
            ProcessBuilder builder = new ProcessBuilder(OurProgram.command("-Xmx256m", "server"))
                    .redirectErrorStream(true)
                    .redirectOutput(log.toFile());
            builder.environment().clear();
            builder.environment().putAll(environment);
            process = builder.start();
            Awaitility.await().atMost(PATIENCE).until(() -> {
                assertThat(process.isAlive()).as(log()).isTrue();
                return log().contains("\"ready\"");
            });
            Matcher listening = PORT.matcher(log());
            assertThat(listening.find()).as(log()).isTrue();
            port = Integer.parseInt(listening.group(1));
        }

        /** SIGKILL: nothing runs any more, not even a shutdown hook. */
        void kill() throws InterruptedException {
            isKilled = true;
            process.destroyForcibly();
            assertThat(process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
        }

        boolean isKilled() {
            return isKilled;
        }

        URI uri(String name) {
            return URI.create("http://127.0.0.1:" + port + name);
        }

        String log() {
            try {
                return Files.readString(log);
            } catch (IOException e) {
                return e.toString();
            }
        }
    }
}
