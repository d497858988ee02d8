package io.flynn.blobstore.bench;

import io.flynn.blobstore.app.CopyLoop;
import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.Secret;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.BackendSettings;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.ToDoubleFunction;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * How fast blobs move, beside the plain way and beside what the machine can do at most: all of them in turns within one run, since only
 * ratios survive a noisy machine. A cold run is a process from its start to its end; a warm one is a round of a process that has done
 * the same before. Writes a table in Markdown.
 */
@Command(name = "bench/migrate", mixinStandardHelpOptions = true)
public final class MigrateBench implements Runnable {

    private static final BackendName BACKEND = new BackendName("s3bench");
    private static final String BUCKET = "bench";
    private static final String KEY_ID = "bench-access-key";
    private static final String SECRET = "bench-secret-key";
    private static final String DATABASE_DELAY_MICROS = "500";
    private static final String STORE_DELAY_MILLIS = "20";
    private static final int NAIVE_THREADS_LARGE = 4;
    private static final int NAIVE_THREADS_SMALL = 8;
    private static final Duration PATIENCE = Duration.ofMinutes(5);

    /** Of ours: a larger one makes large and small blobs no faster. */
    private static final String HEAP = "-Xmx96m";

    /** Until the JVM's compilers have little left to do. */
    private static final int WARM_UPS = 3;

    private static final String MAIN = "io.flynn.blobstore.app.Main";

    /** Whether a network lies between the parts, and whether the process is new. */
    enum Way {
        DELAYED_COLD,
        COLD,
        WARM;

        String title() {
            return name().toLowerCase(Locale.ROOT).replace("_", ", ");
        }
    }

    @Option(names = "--sets", split = ",", description = "${COMPLETION-CANDIDATES}; ${DEFAULT-VALUE} unless given.")
    List<BlobSet> sets = List.of(BlobSet.LARGE, BlobSet.SMALL, BlobSet.MIXED, BlobSet.COMPRESSIBLE, BlobSet.TINY);

    @Option(names = "--ways", split = ",", description = "${COMPLETION-CANDIDATES}; all unless given.")
    List<Way> ways = List.of(Way.values());

    @Option(names = "--rounds", defaultValue = "1", description = "The median of so many counts (${DEFAULT-VALUE}).")
    int rounds;

    @Option(names = "--concurrency", description = "Of the worker; its own default unless given.")
    Optional<Integer> concurrency = Optional.empty();

    @Option(names = "--only-ours", description = "Without anything to compare with.")
    boolean onlyOurs;

    @Option(
            names = "--store-without-sha512",
            description = "The store checks CRC-64/NVME instead: ours digests what it sends.")
    boolean storeWithoutSha512;

    @Option(names = "--no-aot", description = "Cold runs of ours without a cache of a training run.")
    boolean withoutCache;

    @Option(names = "--jvm", split = ",", description = "More options for our JVM: a profiler's, for example.")
    List<String> jvm = List.of();

    private final Path logs;
    private Optional<Path> cache = Optional.empty();

    private MigrateBench() {
        try {
            logs = Files.createTempDirectory("bench");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static void main(String[] arguments) {
        System.exit(new CommandLine(new MigrateBench())
                .setCaseInsensitiveEnumValuesAllowed(true)
                .execute(arguments));
    }

    /**
     * One run: its time, and what each process spent on it.
     *
     * @param firstByte after so many seconds the first byte of a blob reached the store; of a warm run nothing that means anything
     */
    private record Run(
            double seconds, double firstByte, double client, double postgres, double sink, long peakMebibytes) {}

    /** The database and the sink, directly or a network away. */
    private record Site(String jdbcUrl, int databasePort, URI store, ChildProcess sink, List<ChildProcess> between)
            implements AutoCloseable {
        Place place() {
            return new Place(jdbcUrl, store, BUCKET, KEY_ID, SECRET);
        }

        @Override
        public void close() {
            sink.close();
            between.forEach(ChildProcess::close);
        }
    }

    @Override
    public void run() {
        try (EmbeddedPostgres postgres = EmbeddedPostgres.builder()
                .setPGStartupWait(Duration.ofMinutes(1))
                .setServerConfig("fsync", "off")
                .setServerConfig("shared_buffers", "1GB")
                .setServerConfig("max_wal_size", "8GB")
                .setServerConfig("autovacuum", "off")
                .start()) {
            if (!withoutCache) {
                train(postgres);
            }
            System.out.println(
                    "| set | run | who | s | first byte s | rate | ours is faster by | CPU s/GB: client | PostgreSQL | sink | peak MiB |");
            System.out.println("|---|---|---|---|---|---|---|---|---|---|---|");
            for (BlobSet set : sets) {
                String name = create(postgres, set);
                for (Way way : ways) {
                    if (set == BlobSet.TINY && way == Way.DELAYED_COLD && !onlyOurs) {
                        // The plain way takes more than five minutes for that.
                        continue;
                    }
                    compare(postgres, name, set, way);
                }
                drop(postgres, name);
            }
        } catch (IOException | SQLException e) {
            throw new IllegalStateException("see " + logs, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private static String create(EmbeddedPostgres postgres, BlobSet set) throws SQLException {
        String name = set.name().toLowerCase(Locale.ROOT);
        administer(postgres, "CREATE DATABASE " + name);
        try (Connection connection = DriverManager.getConnection(url(postgres.getPort(), name), "postgres", "")) {
            set.write(connection);
        }
        return name;
    }

    private static void drop(EmbeddedPostgres postgres, String name) throws SQLException {
        administer(postgres, "DROP DATABASE " + name + " WITH (FORCE)");
    }

    private static void administer(EmbeddedPostgres postgres, String sql) throws SQLException {
        try (Connection connection = postgres.getPostgresDatabase().getConnection();
                var statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    private static String url(int port, String database) {
        return "jdbc:postgresql://127.0.0.1:" + port + "/" + database;
    }

    /** A run that notes what the JVM loads and compiles, with blobs of all sizes; the image has an archive of classes instead. */
    private void train(EmbeddedPostgres postgres) throws IOException, SQLException, InterruptedException {
        String name = create(postgres, BlobSet.MIXED);
        Path file = logs.resolve("cache");
        try (Site site = site(postgres, name, Way.COLD)) {
            cold(postgres, site, ours(List.of("-XX:AOTCacheOutput=" + file)), environment(site));
        }
        drop(postgres, name);
        if (Files.exists(file)) {
            cache = Optional.of(file);
        }
    }

    private void compare(EmbeddedPostgres postgres, String database, BlobSet set, Way way)
            throws IOException, SQLException, InterruptedException {
        try (Site site = site(postgres, database, way)) {
            String[] place = site.place().arguments();
            Map<String, List<String>> subjects = new LinkedHashMap<>();
            subjects.put("ours", way == Way.WARM ? java(CopyLoop.class, worker()) : ours(aot()));
            if (!onlyOurs) {
                int threads = set.isOfSmall() ? NAIVE_THREADS_SMALL : NAIVE_THREADS_LARGE;
                subjects.put("naive x" + threads, java(NaiveMigration.class, arguments(place, List.of("" + threads))));
            }
            // It waits for every answer: with a network between, it bounds nothing.
            if (!onlyOurs && way != Way.DELAYED_COLD) {
                subjects.put("raw bound", java(RawBound.class, arguments(place, List.of("2", "none"))));
                subjects.put("raw bound, SHA-512", java(RawBound.class, arguments(place, List.of("2", "sha512"))));
            }
            Map<String, List<Run>> runs = new LinkedHashMap<>();
            if (way == Way.WARM) {
                warm(postgres, site, subjects, runs);
            } else {
                for (int round = 0; round < rounds; round++) {
                    for (var subject : subjects.entrySet()) {
                        boolean isOurs = subject.getKey().equals("ours");
                        runs.computeIfAbsent(subject.getKey(), name -> new ArrayList<>())
                                .add(cold(postgres, site, subject.getValue(), isOurs ? environment(site) : Map.of()));
                    }
                }
            }
            report(set, way, runs);
        }
    }

    private void warm(
            EmbeddedPostgres postgres, Site site, Map<String, List<String>> subjects, Map<String, List<Run>> runs)
            throws IOException, SQLException, InterruptedException {
        Map<String, Process> processes = new LinkedHashMap<>();
        try {
            for (var subject : subjects.entrySet()) {
                processes.put(
                        subject.getKey(),
                        process(subject.getValue(), subject.getKey().equals("ours") ? environment(site) : Map.of()));
            }
            for (int round = -WARM_UPS; round < rounds; round++) {
                for (var process : processes.entrySet()) {
                    Run run = turn(postgres, site, process.getValue());
                    if (round >= 0) {
                        runs.computeIfAbsent(process.getKey(), name -> new ArrayList<>())
                                .add(run);
                    }
                }
            }
        } finally {
            processes
                    .values()
                    .forEach(process -> process.destroyForcibly().onExit().join());
        }
    }

    private static Run turn(EmbeddedPostgres postgres, Site site, Process process)
            throws IOException, SQLException, InterruptedException {
        reset(site);
        long postmaster = postmaster(postgres);
        double before = ChildProcess.cpuSeconds(process.pid());
        double sink = site.sink().cpuSeconds();
        double database = ChildProcess.cpuSecondsOfFamily(postmaster);
        long start = System.nanoTime();
        process.outputWriter().append('\n').flush();
        BufferedReader answers = process.inputReader();
        String line = answers.readLine();
        while (line != null && !line.equals(Turns.DONE)) {
            line = answers.readLine();
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        if (line == null) {
            throw new IllegalStateException("a program under test failed");
        }
        return new Run(
                seconds,
                0,
                ChildProcess.cpuSeconds(process.pid()) - before,
                ChildProcess.cpuSecondsOfFamily(postmaster) - database,
                site.sink().cpuSeconds() - sink,
                ChildProcess.peakMebibytes(process.pid()));
    }

    private Run cold(EmbeddedPostgres postgres, Site site, List<String> command, Map<String, String> environment)
            throws IOException, SQLException, InterruptedException {
        reset(site);
        firstByteAt(site);
        long postmaster = postmaster(postgres);
        double client = ChildProcess.cpuSecondsOfEndedChildren();
        double sink = site.sink().cpuSeconds();
        double database = ChildProcess.cpuSecondsOfFamily(postmaster);
        long start = System.nanoTime();
        Process process = process(command, environment);
        process.outputWriter().append('\n').close();
        long peak = 0;
        while (!process.waitFor(20, TimeUnit.MILLISECONDS)) {
            peak = Math.max(peak, ChildProcess.peakMebibytes(process.pid()));
            if (System.nanoTime() - start > PATIENCE.toNanos()) {
                process.destroyForcibly();
                throw new IllegalStateException("too slow; see " + logs);
            }
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        if (process.exitValue() != 0) {
            throw new IllegalStateException("a program under test ended with " + process.exitValue() + "; see " + logs);
        }
        return new Run(
                seconds,
                (firstByteAt(site) - start) / 1e9,
                ChildProcess.cpuSecondsOfEndedChildren() - client,
                ChildProcess.cpuSecondsOfFamily(postmaster) - database,
                site.sink().cpuSeconds() - sink,
                peak);
    }

    /** By {@link System#nanoTime}; it is forgotten with that. */
    private static long firstByteAt(Site site) throws IOException, InterruptedException {
        try (HttpClient http = HttpClient.newHttpClient()) {
            return Long.parseLong(http.send(
                            HttpRequest.newBuilder(site.store().resolve(Sink.FIRST_BYTE))
                                    .build(),
                            HttpResponse.BodyHandlers.ofString())
                    .body());
        }
    }

    private Process process(List<String> command, Map<String, String> environment) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectError(
                        ProcessBuilder.Redirect.appendTo(logs.resolve("errors").toFile()));
        builder.environment().putAll(environment);
        // A cold run's words are nobody's: a pipe that nobody reads would stop it.
        if (command.contains(MAIN)) {
            builder.redirectOutput(
                    ProcessBuilder.Redirect.appendTo(logs.resolve("worker").toFile()));
        }
        return builder.start();
    }

    private static void reset(Site site) throws SQLException {
        try (Connection connection = site.place().connect()) {
            BlobSet.reset(connection);
        }
    }

    private void report(BlobSet set, Way way, Map<String, List<Run>> runs) {
        double ours = median(runs.get("ours"), Run::seconds);
        double gigabytes = set.bytes() / 1e9;
        runs.forEach((who, all) -> {
            double seconds = median(all, Run::seconds);
            System.out.printf(
                    Locale.ROOT,
                    "| %s | %s | %s | %.2f | %s | %s | %s | %.2f | %.2f | %.2f | %.0f |%n",
                    set.title,
                    way.title(),
                    who,
                    seconds,
                    way == Way.WARM ? "" : "%.2f".formatted(median(all, Run::firstByte)),
                    set.isOfSmall()
                            ? "%.0f/s".formatted(set.blobs() / seconds)
                            : "%.0f MB/s".formatted(set.bytes() / 1e6 / seconds),
                    who.equals("ours") ? "" : "**%.2f**".formatted(seconds / ours),
                    median(all, Run::client) / gigabytes,
                    median(all, Run::postgres) / gigabytes,
                    median(all, Run::sink) / gigabytes,
                    median(all, Run::peakMebibytes));
        });
        System.out.flush();
    }

    private static double median(List<Run> runs, ToDoubleFunction<Run> figure) {
        return Load.median(runs.stream().mapToDouble(figure).toArray());
    }

    private Site site(EmbeddedPostgres postgres, String database, Way way) throws IOException, InterruptedException {
        int port = freePort();
        boolean isDelayed = way == Way.DELAYED_COLD;
        ChildProcess sink = ChildProcess.start(
                logs.resolve("sink"),
                Map.of(),
                port,
                List.of("-Xmx128m"),
                Sink.class.getName(),
                "" + port,
                isDelayed ? STORE_DELAY_MILLIS : "0",
                storeWithoutSha512 ? Sink.WITHOUT_SHA512 : "with-sha512");
        List<ChildProcess> between = new ArrayList<>();
        int databasePort = postgres.getPort();
        if (isDelayed) {
            databasePort = freePort();
            between.add(ChildProcess.start(
                    logs.resolve("proxy"),
                    Map.of(),
                    databasePort,
                    List.of("-Xmx64m", "-XX:MaxDirectMemorySize=1g"),
                    DelayProxy.class.getName(),
                    "" + databasePort,
                    "" + postgres.getPort(),
                    DATABASE_DELAY_MICROS));
        }
        return new Site(
                url(databasePort, database), databasePort, URI.create("http://127.0.0.1:" + port), sink, between);
    }

    private Map<String, String> environment(Site site) {
        BackendEnvironment.Encoded encoded = BackendEnvironment.encode(new BackendSettings(
                BACKEND,
                BackendSettings.Kind.S3,
                "us-east-1",
                BUCKET,
                Optional.of(site.store()),
                true,
                new Secret(KEY_ID),
                new Secret(SECRET)));
        Map<String, String> environment = new HashMap<>(Map.of(
                "PGHOST",
                "127.0.0.1",
                "PGPORT",
                "" + site.databasePort(),
                "PGDATABASE",
                site.jdbcUrl().substring(site.jdbcUrl().lastIndexOf('/') + 1),
                "PGUSER",
                "postgres",
                "BLOBSTORE_REPORT",
                logs.resolve("report").toString()));
        environment.put(encoded.variable(), encoded.settings());
        encoded.secrets().forEach((variable, secret) -> environment.put(variable, secret.reveal()));
        return environment;
    }

    private List<String> aot() {
        return cache.map(file -> List.of("-XX:AOTCache=" + file)).orElse(List.of());
    }

    /** As the image starts it, from its jars. */
    private List<String> ours(List<String> more) {
        List<String> command = new ArrayList<>(List.of(
                java(), "-XX:+UseSerialGC", "-Xms32m", HEAP, "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData"));
        command.addAll(more);
        command.addAll(jvm);
        command.addAll(List.of("-cp", "target/blobstore-operator.jar", MAIN));
        command.addAll(worker());
        return command;
    }

    private List<String> worker() {
        List<String> options = new ArrayList<>(List.of(
                "worker",
                "copy",
                "--migration",
                "bench",
                "--from",
                "postgres",
                "--to",
                BACKEND.value(),
                "--verification",
                "StoreChecksum"));
        concurrency.ifPresent(blobs -> options.addAll(List.of("--concurrency", "" + blobs)));
        return options;
    }

    private static List<String> arguments(String[] place, List<String> more) {
        List<String> arguments = new ArrayList<>(List.of(place));
        arguments.addAll(more);
        return arguments;
    }

    private List<String> java(Class<?> program, List<String> arguments) {
        List<String> command =
                new ArrayList<>(List.of(java(), program == CopyLoop.class ? HEAP : "-Xmx256m", "-XX:+UseSerialGC"));
        command.addAll(program == CopyLoop.class ? jvm : List.of());
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), program.getName()));
        command.addAll(arguments);
        return command;
    }

    private static String java() {
        return Path.of(System.getProperty("java.home"), "bin", "java").toString();
    }

    private static long postmaster(EmbeddedPostgres postgres) throws IOException, SQLException {
        try (Connection connection = postgres.getPostgresDatabase().getConnection();
                var statement = connection.createStatement();
                var rows = statement.executeQuery("SHOW data_directory")) {
            rows.next();
            return Long.parseLong(Files.readAllLines(Path.of(rows.getString(1), "postmaster.pid"))
                    .getFirst());
        }
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }
}
