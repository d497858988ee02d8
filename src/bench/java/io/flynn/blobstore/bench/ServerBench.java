package io.flynn.blobstore.bench;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyOut;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * How fast the server is, beside a plain one and beside what PostgreSQL can send at most: all of them in turns within one run,
 * since only ratios survive a noisy machine. Writes a table in Markdown.
 */
@Command(name = "bench/server", mixinStandardHelpOptions = true)
public final class ServerBench implements Runnable {

    private static final int SMALL = 16 << 10;
    private static final int MEDIUM = 1 << 20;

    /** As in our image (image/build), of a pod with 2 GiB; the plain server gets the same. */
    private static final List<String> JVM = List.of(
            "--sun-misc-unsafe-memory-access=allow", "-XX:+UseSerialGC", "-Xms32m", "-Xmx1g", "-XX:-UsePerfData");

    private static final int WARMING_CLIENTS = 8;

    @Option(names = "--rounds", defaultValue = "3", description = "The median of so many counts (${DEFAULT-VALUE}).")
    int rounds;

    @Option(names = "--seconds", defaultValue = "3", description = "How long each is measured (${DEFAULT-VALUE}).")
    int seconds;

    @Option(names = "--clients", split = ",", defaultValue = "1,8,64", description = "At once (${DEFAULT-VALUE}).")
    List<Integer> clients = List.of();

    @Option(names = "--sizes", split = ",", defaultValue = "16384,1048576,104857600", description = "${DEFAULT-VALUE}")
    List<Integer> sizes = List.of();

    @Option(names = "--operations", split = ",", defaultValue = "GET,PUT", description = "${DEFAULT-VALUE}")
    List<String> operations = List.of();

    @Option(
            names = "--warm-up",
            defaultValue = "5",
            description = "Seconds of load before anything is measured (${DEFAULT-VALUE}).")
    int warmUp;

    @Option(
            names = "--beside",
            split = ",",
            defaultValue = "plain,COPY,S3",
            description = "What is measured beside our server on PostgreSQL (${DEFAULT-VALUE}).")
    List<String> beside = List.of();

    @Option(names = "--jvm", description = "One more option for our JVM, a profiler's for example; may be repeated.")
    List<String> jvm = List.of();

    private final Path logs;

    private ServerBench() {
        try {
            logs = Files.createTempDirectory("bench");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static void main(String[] arguments) {
        System.exit(new CommandLine(new ServerBench()).execute(arguments));
    }

    /**
     * One server under test.
     *
     * @param tidy takes away what was replaced, so that the next one finds the machine as this one did
     */
    private record Subject(URI uri, ChildProcess process, Runnable tidy) implements AutoCloseable {
        @Override
        public void close() {
            process.close();
        }
    }

    /** One subject's rounds of one load. */
    private static final class Measured {
        final List<Load.Result> rounds = new ArrayList<>();
        double serverCpu;
        double databaseCpu;
        double clientCpu;
        double bytes;

        double median(ToDoubleFunction<Load.Result> figure) {
            if (rounds.isEmpty()) {
                return Double.NaN;
            }
            return Load.median(rounds.stream().mapToDouble(figure).toArray());
        }

        Load.Latency latency(Function<Load.Result, Load.Latency> figure) {
            return Load.Latency.median(rounds.stream().map(figure).toList());
        }

        /** Small ones a second, or megabytes. */
        double rate(boolean isSmall) {
            return isSmall ? median(Load.Result::requestsPerSecond) : median(Load.Result::bytesPerSecond) / 1e6;
        }

        String perGigabyte(double cpuSeconds) {
            return rounds.isEmpty() ? "" : "%.2f".formatted(cpuSeconds / (bytes / 1e9));
        }
    }

    @Override
    public void run() {
        try (EmbeddedPg.Database ours = EmbeddedPg.database();
                EmbeddedPg.Database plain = EmbeddedPg.database();
                EmbeddedPg.Database onS3 = EmbeddedPg.database();
                LocalS3 store = LocalS3.start()) {
            store.createBucket("bench");
            BackendName backend = new BackendName("s3bench");
            Map<String, String> external = new HashMap<>(store.environment(backend, "bench"));
            external.put("DEFAULT_BACKEND", backend.value());
            try (Subject ourServer = server("ours", ours, Map.of(), jvm, () -> vacuum(ours))) {
                awaitSchema(ours);
                copySchema(plain);
                try (Subject plainServer = plain(plain)) {
                    if (!beside.contains("S3")) {
                        report(ourServer, plainServer, Optional.empty(), ours);
                        return;
                    }
                    try (Subject s3Server =
                            server("S3", onS3, external, List.of(), () -> forgetReplaced(onS3, store))) {
                        awaitSchema(onS3);
                        report(ourServer, plainServer, Optional.of(s3Server), ours);
                    }
                }
            }
        } catch (IOException | SQLException e) {
            throw new IllegalStateException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private Subject server(
            String name, EmbeddedPg.Database database, Map<String, String> more, List<String> jvmMore, Runnable tidy)
            throws IOException, InterruptedException {
        int port = freePort();
        Map<String, String> environment = new HashMap<>(database.environment(EmbeddedPg.SUPERUSER));
        environment.putAll(more);
        environment.put("PORT", Integer.toString(port));
        environment.put("BLOBSTORE_DATABASE_CONNECTIONS", "80");
        // As the plain server's.
        environment.put("BLOBSTORE_DATABASE_WAIT", "30s");
        environment.put("BLOBSTORE_METRICS_PORT", "0");
        environment.put("BLOBSTORE_ACCESS_LOG", "false");
        List<String> options = new ArrayList<>(JVM);
        options.addAll(jvmMore);
        ChildProcess process = ChildProcess.start(
                logs.resolve(name), environment, port, options, "io.flynn.blobstore.app.Main", "server");
        return new Subject(URI.create("http://127.0.0.1:" + port), process, tidy);
    }

    private Subject plain(EmbeddedPg.Database database) throws IOException, InterruptedException {
        int port = freePort();
        ChildProcess process = ChildProcess.start(
                logs.resolve("plain"),
                Map.of(),
                port,
                JVM,
                PlainServer.class.getName(),
                Integer.toString(port),
                database.jdbcUrl(),
                EmbeddedPg.SUPERUSER);
        return new Subject(URI.create("http://127.0.0.1:" + port), process, () -> vacuum(database));
    }

    private void report(Subject ours, Subject plain, Optional<Subject> onS3, EmbeddedPg.Database database)
            throws IOException, SQLException, InterruptedException {
        List<Subject> all = new ArrayList<>(List.of(ours));
        if (beside.contains("plain")) {
            all.add(plain);
        }
        onS3.ifPresent(all::add);
        for (Subject subject : all) {
            warm(subject);
        }
        System.out.println(
                "| | clients | ours | plain | ratio | COPY | ratio | p50 ms | p99 ms | CPU s/GB server | plain | PostgreSQL | plain | client | on S3 |");
        System.out.println("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
        long postmaster = postmaster(database);
        for (int size : sizes) {
            for (Subject subject : all) {
                new Load("GET", size, 1).prepare(subject.uri());
            }
            for (String operation : operations) {
                for (int count : clients) {
                    compare(new Load(operation, size, count), ours, plain, onS3, database, postmaster);
                }
            }
        }
        System.out.printf(
                "%nPeak memory: ours %d MiB, plain %d MiB%s. Medians of %d rounds of %d s; bodies of random bytes.%n",
                ours.process().peakMebibytes(),
                plain.process().peakMebibytes(),
                onS3.isPresent()
                        ? ", on S3 %d MiB".formatted(onS3.get().process().peakMebibytes())
                        : "",
                rounds,
                seconds);
    }

    /** Until it is compiled: a server runs for weeks. */
    private void warm(Subject subject) throws IOException, InterruptedException {
        new Load("GET", SMALL, 1).prepare(subject.uri());
        for (String operation : List.of("GET", "PUT")) {
            new Load(operation, SMALL, WARMING_CLIENTS)
                    .run(
                            subject.uri(),
                            Duration.ZERO,
                            Duration.ofSeconds(warmUp).dividedBy(2));
        }
        subject.tidy().run();
    }

    private static void vacuum(EmbeddedPg.Database database) {
        database.execute("VACUUM pg_largeobject");
    }

    /** What the servers would do a quarter of an hour later: else the store, which keeps all in memory, fills it. */
    private static void forgetReplaced(EmbeddedPg.Database database, LocalS3 store) {
        database.texts(
                        "SELECT external_id FROM files WHERE deleted_at IS NOT NULL AND external_id IS NOT NULL AND size IS NOT NULL")
                .forEach(key -> store.remove("bench", key));
        database.execute("DELETE FROM files WHERE deleted_at IS NOT NULL AND size IS NOT NULL");
    }

    private void compare(
            Load load,
            Subject ours,
            Subject plain,
            Optional<Subject> onS3,
            EmbeddedPg.Database database,
            long postmaster)
            throws IOException, SQLException, InterruptedException {
        Measured our = new Measured();
        Measured theirs = new Measured();
        Measured external = new Measured();
        List<Double> copies = new ArrayList<>();
        for (int round = 0; round < rounds; round++) {
            measure(load, ours, our, postmaster);
            if (beside.contains("plain")) {
                measure(load, plain, theirs, postmaster);
            }
            if (onS3.isPresent()) {
                measure(load, onS3.get(), external, postmaster);
            }
            if (load.operation().equals("GET") && beside.contains("COPY")) {
                copies.add(copyBound(database, load));
            }
        }
        boolean isSmall = load.size() <= SMALL;
        double ourRate = our.rate(isSmall);
        double theirRate = theirs.rate(isSmall);
        String unit = isSmall ? "/s" : " MB/s";
        double copy = copies.isEmpty()
                ? Double.NaN
                : Load.median(copies.stream().mapToDouble(Double::doubleValue).toArray());
        System.out.printf(
                "| %s %s | %d | %.0f%s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |%n",
                load.operation(),
                load.size() >= MEDIUM ? load.size() / MEDIUM + " MiB" : load.size() / 1024 + " KiB",
                load.clients(),
                ourRate,
                unit,
                Double.isNaN(theirRate) ? "" : "%.0f%s".formatted(theirRate, unit),
                Double.isNaN(theirRate) ? "" : "**%.2f**".formatted(ourRate / theirRate),
                Double.isNaN(copy) ? "" : "%.0f MB/s".formatted(copy / 1e6),
                Double.isNaN(copy) ? "" : "%.2f".formatted(our.median(Load.Result::bytesPerSecond) / copy),
                our.latency(Load.Result::p50),
                our.latency(Load.Result::p99),
                our.perGigabyte(our.serverCpu),
                theirs.perGigabyte(theirs.serverCpu),
                our.perGigabyte(our.databaseCpu),
                theirs.perGigabyte(theirs.databaseCpu),
                our.perGigabyte(our.clientCpu),
                onS3.isPresent() ? "%.0f%s".formatted(external.rate(isSmall), unit) : "");
    }

    private void measure(Load load, Subject subject, Measured measured, long postmaster)
            throws IOException, InterruptedException {
        double server = subject.process().cpuSeconds();
        double database = ChildProcess.cpuSecondsOfFamily(postmaster);
        long own = ProcessHandle.current().pid();
        double client = ChildProcess.cpuSeconds(own);
        Load.Result result = load.run(subject.uri(), Duration.ofSeconds(1), Duration.ofSeconds(seconds));
        measured.serverCpu += subject.process().cpuSeconds() - server;
        measured.databaseCpu += ChildProcess.cpuSecondsOfFamily(postmaster) - database;
        measured.clientCpu += ChildProcess.cpuSeconds(own) - client;
        // The second of warming up costs, too.
        measured.bytes += result.bytesPerSecond() * (seconds + 1);
        measured.rounds.add(result);
        subject.tidy().run();
    }

    private static String copyOf(String path) {
        return """
                COPY (SELECT lo_get(file_oid, g * 262144, 262144)
                    FROM files, generate_series(0::bigint, (size - 1) / 262144) g
                    WHERE name = '%s' AND deleted_at IS NULL) TO STDOUT (FORMAT binary)""".formatted(path);
    }

    /** What PostgreSQL can send of the same large objects, in bytes a second, by as many connections, to readers that discard. */
    private double copyBound(EmbeddedPg.Database database, Load load) throws InterruptedException {
        LongAdder read = new LongAdder();
        long end = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
        List<Thread> threads = new ArrayList<>();
        for (int number = 0; number < load.clients(); number++) {
            int first = number;
            threads.add(Thread.ofPlatform().start(() -> {
                try (Connection connection = database.connect()) {
                    PGConnection postgres = connection.unwrap(PGConnection.class);
                    for (int turn = 0; System.nanoTime() - end < 0; turn++) {
                        CopyOut copy =
                                postgres.getCopyAPI().copyOut(copyOf(load.path((first + turn * 7) % load.blobs())));
                        for (byte[] row = copy.readFromCopy(); row != null; row = copy.readFromCopy()) {
                            if (System.nanoTime() - end < 0) {
                                read.add(row.length);
                            } else if (load.size() > MEDIUM) {
                                connection.abort(Runnable::run);
                                return;
                            }
                        }
                    }
                } catch (SQLException e) {
                    if (System.nanoTime() - end < 0) {
                        throw new IllegalStateException(e);
                    }
                }
            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        return read.sum() / (double) seconds;
    }

    private static void awaitSchema(EmbeddedPg.Database database) throws InterruptedException {
        while (database.count("SELECT count(*) FROM pg_tables WHERE tablename = 'files'") == 0
                || database.count("SELECT count(*) FROM schema_migrations") < 2) {
            Thread.sleep(50);
        }
    }

    /** The same schema by the program itself, without its server. */
    private void copySchema(EmbeddedPg.Database database) throws IOException, InterruptedException {
        Subject briefly = server("schema", database, Map.of(), List.of(), () -> {});
        try {
            awaitSchema(database);
        } finally {
            briefly.close();
        }
    }

    private static long postmaster(EmbeddedPg.Database database) throws IOException {
        Path data = Path.of(database.texts("SHOW data_directory").getFirst());
        return Long.parseLong(Files.readAllLines(data.resolve("postmaster.pid")).getFirst());
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }
}
