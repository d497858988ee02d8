package io.flynn.blobstore.bench;

import io.flynn.blobstore.app.OurProgram;
import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.conformance.StoreProgram;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.postgres.Schema;
import io.flynn.blobstore.testkit.story.Bucket;
import io.flynn.blobstore.testkit.story.Content;
import io.flynn.blobstore.testkit.story.Database;
import io.flynn.blobstore.testkit.story.Fingerprint;
import io.flynn.blobstore.testkit.story.HttpBlobstore;
import io.flynn.blobstore.testkit.story.Ledger;
import io.flynn.blobstore.testkit.story.OldClient;
import io.flynn.blobstore.testkit.story.OurClient;
import io.flynn.blobstore.testkit.story.StoredBlobs;
import io.flynn.blobstore.testkit.story.Truth;
import io.flynn.blobstore.testkit.story.Writer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * Blobs move to a bucket and back, again and again, while clients of our server and of a double of the old one write, and while
 * whatever takes part is killed at random instants: workers, of which several share the blobs, the server, PostgreSQL, the store. At
 * the end of each move everything that was acknowledged is read back, past our program, and leftovers are counted and swept.
 *
 * <p>The seed decides who is killed and what is written; at which instant of the others' work depends on the machine.
 */
@Command(
        name = "bench/kill",
        mixinStandardHelpOptions = true,
        description =
                "Kills everything at random while blobs move and clients write. Ends with 1 if anything is lost or wrong.")
public final class KillBench implements Callable<Integer> {

    private static final BackendName S3MAIN = new BackendName("s3main");

    /** Nobody changes these: they only move. */
    private static final int KEPT = 400;

    private static final int KEPT_SMALL_BYTES = 30_000;
    private static final int KEPT_LARGE_BYTES = 2_500_000;

    private static final int OUR_CLIENTS = 3;
    private static final int OLD_CLIENTS = 2;
    private static final Duration FILLING = Duration.ofSeconds(5);
    private static final String SLOW = "concurrency: 4\nbytes-per-second: 1Mi\n";
    private static final int PAUSE_MILLIS_MAX = 1_500;
    private static final int UNDER_FIRE_SECONDS = 20;

    /** On a machine that is busy, too. */
    private static final int KILLS_MIN = 8;

    private static final Duration PATIENCE = Duration.ofSeconds(90);

    /** A blob that is changed after it was copied is copied again; with nobody writing twice is enough. */
    private static final int COPIES_MAX = 5;

    @Option(
            names = "--minutes",
            defaultValue = "5",
            description = "A move that has begun then is ended (${DEFAULT-VALUE}).")
    int minutes;

    @Option(names = "--seed", description = "Of a run that is to be repeated; any unless given.")
    long seed = Math.floorMod(System.nanoTime(), 1_000_000L);

    @Option(names = "--workers", defaultValue = "3", description = "That share a copy (${DEFAULT-VALUE}).")
    int workers;

    @Option(
            names = "--store",
            description = "${COMPLETION-CANDIDATES}; the first of them whose program is on the PATH unless given.")
    @Nullable
    Store store;

    enum Store {
        MINIO,
        VERSITYGW,
        S3PROXY
    }

    private enum Victim {
        WORKER,
        SERVER,
        CONNECTION,
        DATABASE,
        STORE
    }

    /** Something is lost or wrong; the message says what. */
    static final class WrongException extends RuntimeException {
        private static final long serialVersionUID = 1L;

        WrongException(String message) {
            super(message);
        }
    }

    private record Round(
            int number,
            BackendName from,
            BackendName to,
            boolean isCleaned,
            Map<Victim, Integer> kills,
            long acknowledged,
            long inDoubt,
            Truth.Verdict verdict) {}

    public static void main(String[] arguments) {
        System.exit(new CommandLine(new KillBench())
                .setCaseInsensitiveEnumValuesAllowed(true)
                .execute(arguments));
    }

    @Override
    public Integer call() throws Exception {
        Path folder = Files.createTempDirectory("kill");
        Store kind = store == null ? present() : store;
        System.out.printf("seed %d, store %s, logs in %s%n", seed, kind, folder);
        SplittableRandom random = new SplittableRandom(seed);
        long end = System.nanoTime() + Duration.ofMinutes(minutes).toNanos();
        int rounds = 0;
        int kills = 0;
        try (World world = new World(folder, kind)) {
            world.addKept(random);
            while (rounds == 0 || System.nanoTime() < end) {
                long start = System.nanoTime();
                Round round = world.round(rounds++, random);
                kills +=
                        round.kills().values().stream().mapToInt(count -> count).sum();
                System.out.printf(
                        "%3d %-9s -> %-9s%s killed %s; %d writes acknowledged, %d in doubt; 0 lost, 0 wrong; %d leftovers, all"
                                + " swept; %d s%n",
                        rounds,
                        round.from(),
                        round.to(),
                        round.isCleaned() ? ", cleaned;" : ";",
                        round.kills(),
                        round.acknowledged(),
                        round.inDoubt(),
                        round.verdict().strayObjects(),
                        Duration.ofNanos(System.nanoTime() - start).toSeconds());
            }
        } catch (WrongException | IllegalStateException e) {
            System.out.printf("WRONG in round %d with seed %d: %s%nlogs in %s%n", rounds, seed, e.getMessage(), folder);
            return 1;
        }
        System.out.printf("%d moves, %d kills, nothing lost, nothing wrong (seed %d)%n", rounds, kills, seed);
        return 0;
    }

    private static Store present() {
        if (StoreProgram.find("minio").isPresent()) {
            return Store.MINIO;
        }
        return StoreProgram.find("versitygw").isPresent() ? Store.VERSITYGW : Store.S3PROXY;
    }

    /** All that takes part. */
    private final class World implements AutoCloseable {

        private final Path folder;
        private final Path limits;
        private final KilledPostgres postgres;
        private final Database database;
        private final StoreProgram s3;
        private final Bucket.Location bucket;
        private final StoredBlobs stored;
        private final Ledger ledger = new Ledger();
        private final StageWorkers stages;
        private final URI base;
        private final HttpBlobstore blobstore;
        private final Truth truth;
        private BackendName defaultBackend = BackendName.POSTGRES;
        private @Nullable Process server;

        World(Path folder, Store kind) throws Exception {
            this.folder = folder;
            limits = Files.writeString(folder.resolve("limits"), SLOW);
            postgres = new KilledPostgres(folder.resolve("postgres"));
            database = postgres.database("blobstore");
            try (Connection connection = database.connect()) {
                Schema.upgrade(connection);
            }
            Path objects = Files.createDirectory(folder.resolve("store"));
            s3 = switch (kind) {
                case MINIO -> StoreProgram.minio(objects);
                case VERSITYGW -> StoreProgram.versitygw(objects);
                case S3PROXY -> StoreProgram.java(S3ProxyProgram.class.getName(), objects);
            };
            bucket = new Bucket.Location(
                    s3.endpoint(),
                    StoreProgram.REGION,
                    StoreProgram.BUCKET,
                    StoreProgram.ACCESS_KEY_ID,
                    StoreProgram.SECRET_ACCESS_KEY);
            stored = new StoredBlobs(database, new Bucket(bucket));
            stages = new StageWorkers(folder);
            base = URI.create("http://127.0.0.1:" + freePort());
            blobstore = new HttpBlobstore(base);
            truth = new Truth(blobstore, stored, ledger);
        }

        void addKept(SplittableRandom random) throws SQLException {
            try (Connection connection = database.connect();
                    PreparedStatement insert = connection.prepareStatement(
                            "INSERT INTO files (file_oid, backend, name, type, size, sha512)"
                                    + " VALUES (lo_from_bytea(0, ?), 'postgres', ?, '', ?, ?)")) {
                for (int number = 0; number < KEPT; number++) {
                    String name = "/kept/" + number;
                    int most = number % 20 == 0 ? KEPT_LARGE_BYTES : KEPT_SMALL_BYTES;
                    byte[] bytes = Content.of(seed, name, random.nextInt(most)).bytes();
                    Fingerprint fingerprint = Fingerprint.of(bytes);
                    insert.setBytes(1, bytes);
                    insert.setString(2, name);
                    insert.setLong(3, bytes.length);
                    insert.setBytes(4, HexFormat.of().parseHex(fingerprint.sha512()));
                    insert.executeUpdate();
                    ledger.acknowledged(name, fingerprint);
                }
            }
        }

        Round round(int number, SplittableRandom random) throws Exception {
            BackendName from = number % 2 == 0 ? BackendName.POSTGRES : S3MAIN;
            BackendName to = number % 2 == 0 ? S3MAIN : BackendName.POSTGRES;
            boolean isCleaned = random.nextBoolean();
            fill(from, random);
            defaultBackend = to;
            startServer();
            Set<String> before = truth.idsAtPostgres();
            Migration migration = new Migration(from, to);
            List<Writer> writers = writers(random);
            Killer killer = new Killer(random.split());
            try {
                writers.forEach(Writer::start);
                killer.thread.start();
                do {
                    migration.copySlowly();
                    migration.verify();
                    // What a bucket has to keep for links is not to be waited for.
                    if (isCleaned && to.isExternal()) {
                        migration.clean();
                    }
                } while (killer.thread.isAlive());
            } finally {
                killer.end();
                writers.forEach(Writer::close);
            }
            requireNone(writers.stream()
                    .flatMap(writer -> writer.problems().stream())
                    .toList());
            migration.end();
            if (isCleaned) {
                forgetLinks();
                migration.cleanAll();
            }
            migration.run(1, "vacuum", "--mode", "Plain");
            Truth.Verdict verdict = truth.verdict(before);
            requireNone(verdict.problems());
            long acknowledged = writers.stream().mapToLong(Writer::acknowledged).sum();
            long inDoubt = writers.stream().mapToLong(Writer::inDoubt).sum();
            checkLeftovers(verdict, 2 * (acknowledged + inDoubt));
            return new Round(number, from, to, isCleaned, killer.kills, acknowledged, inDoubt, verdict);
        }

        /** What is written while it moves has to be there before. */
        private void fill(BackendName backend, SplittableRandom random) throws IOException, InterruptedException {
            defaultBackend = backend;
            startServer();
            List<Writer> writers = writers(random);
            writers.forEach(Writer::start);
            Thread.sleep(FILLING.toMillis());
            writers.forEach(Writer::close);
            requireNone(writers.stream()
                    .flatMap(writer -> writer.problems().stream())
                    .toList());
        }

        private List<Writer> writers(SplittableRandom random) {
            List<Writer> writers = new ArrayList<>();
            for (int number = 0; number < OUR_CLIENTS; number++) {
                writers.add(new OurClient(base, number, ledger, random.split()));
            }
            for (int number = 0; number < OLD_CLIENTS; number++) {
                writers.add(
                        new OldClient(database, bucket, defaultBackend.isExternal(), number, ledger, random.split()));
            }
            return writers;
        }

        private static void requireNone(List<String> problems) {
            if (!problems.isEmpty()) {
                throw new WrongException(problems.size() + " problems: "
                        + String.join("\n  ", problems.subList(0, Math.min(20, problems.size()))));
            }
        }

        /** As if it were an hour later: nobody waits for links that work for minutes. */
        private void forgetLinks() throws SQLException {
            database.execute(
                    "UPDATE files SET created_at = created_at - interval '1 hour' WHERE deleted_at = 'infinity'");
        }

        /**
         * Each change may leave an object under a random key, of a write of an old server that was broken off, and one under the key that a
         * move had derived for what was there before; no change leaves a large object.
         */
        private void checkLeftovers(Truth.Verdict verdict, long most) throws Exception {
            if (verdict.strayObjects() > most) {
                throw new WrongException("%d objects that no row names are more than %d changes can leave"
                        .formatted(verdict.strayObjects(), most / 2));
            }
            long largeObjects = database.number("SELECT count(*) FROM pg_largeobject_metadata m"
                    + " WHERE NOT EXISTS (SELECT FROM files f WHERE f.file_oid = m.oid)");
            if (largeObjects > 0) {
                throw new WrongException(largeObjects + " large objects are nobody's");
            }
            StageWorkers.Ending swept = stages.run(
                            1,
                            environment(),
                            "check",
                            "--read",
                            "--delete-orphans",
                            "--delete-unproven",
                            "--wait",
                            "1s")
                    .getFirst();
            if (swept.code() != 0) {
                throw new WrongException("check ended with " + swept);
            }
            long left = stored.strayObjects();
            if (left > 0) {
                throw new WrongException(left + " leftovers were not found by check");
            }
        }

        private Map<String, String> environment() {
            Map<String, String> environment = new HashMap<>(Map.of(
                    "PGHOST", database.host(),
                    "PGPORT", Integer.toString(database.port()),
                    "PGDATABASE", database.name(),
                    "PGUSER", database.user(),
                    "DEFAULT_BACKEND", defaultBackend.value(),
                    "PORT", Integer.toString(base.getPort()),
                    "BLOBSTORE_METRICS_PORT", "off",
                    "BLOBSTORE_ACCESS_LOG", "false"));
            BackendEnvironment.Encoded encoded = BackendEnvironment.encode(s3.backend(S3MAIN));
            environment.put(encoded.variable(), encoded.settings());
            encoded.secrets().forEach((variable, secret) -> environment.put(variable, secret.reveal()));
            return environment;
        }

        /** In place of the one that runs. */
        private void startServer() throws IOException, InterruptedException {
            killServer();
            ProcessBuilder builder = new ProcessBuilder(OurProgram.command("-Xmx256m", "server"))
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(
                            folder.resolve("server").toFile()));
            builder.environment().putAll(environment());
            server = builder.start();
            HttpBlobstore.awaitHealthy(base, PATIENCE);
        }

        private void killServer() {
            if (server != null) {
                server.destroyForcibly().onExit().join();
            }
        }

        /** One move, by workers that may be killed. */
        private final class Migration {

            private final String id = UUID.randomUUID().toString();
            private final BackendName from;
            private final BackendName to;

            Migration(BackendName from, BackendName to) {
                this.from = from;
                this.to = to;
            }

            /** By several, each so slow that there is time to kill and to write. */
            void copySlowly() throws InterruptedException {
                run(workers, "copy", "--from", from.value(), "--to", to.value(), "--limits", limits.toString());
            }

            void copy() throws InterruptedException {
                run(1, "copy", "--from", from.value(), "--to", to.value());
            }

            StageWorkers.Ending verify() throws InterruptedException {
                return run(1, "verify", "--from", from.value(), "--to", to.value());
            }

            StageWorkers.Ending clean() throws InterruptedException {
                return run(1, "clean", "--from", from.value(), "--to", to.value());
            }

            /** With nobody about any more. */
            void end() throws InterruptedException {
                StageWorkers.Ending verified = null;
                for (int copies = 0; copies < COPIES_MAX; copies++) {
                    copy();
                    verified = verify();
                    if (verified.reason().equals(Reasons.DONE)) {
                        return;
                    }
                }
                throw new WrongException("nobody writes, and verify still says " + verified);
            }

            void cleanAll() throws InterruptedException {
                StageWorkers.Ending cleaned = clean();
                if (!cleaned.reason().equals(Reasons.DONE)) {
                    throw new WrongException("nobody writes, and clean says " + cleaned);
                }
            }

            StageWorkers.Ending run(int count, String stage, String... options) throws InterruptedException {
                List<String> arguments = new ArrayList<>(List.of("worker", stage, "--migration", id));
                arguments.addAll(List.of(options));
                List<StageWorkers.Ending> endings = stages.run(count, environment(), arguments.toArray(String[]::new));
                for (StageWorkers.Ending ending : endings) {
                    if (ending.code() != 0) {
                        throw new WrongException(stage + " ended with " + ending);
                    }
                }
                return endings.getFirst();
            }
        }

        /** Kills for a while. */
        private final class Killer {

            private final SplittableRandom random;
            private final Map<Victim, Integer> kills = new EnumMap<>(Victim.class);
            private final AtomicBoolean isOver = new AtomicBoolean();
            private final AtomicReference<@Nullable Exception> failure = new AtomicReference<>();
            private final Thread thread = Thread.ofVirtual().unstarted(this::run);

            Killer(SplittableRandom random) {
                this.random = random;
            }

            void end() throws Exception {
                isOver.set(true);
                thread.join();
                Exception failed = failure.get();
                if (failed != null) {
                    throw new IllegalStateException("what was killed did not come back", failed);
                }
            }

            private void run() {
                long end = System.nanoTime()
                        + Duration.ofSeconds(UNDER_FIRE_SECONDS).toNanos();
                try {
                    while (!isOver.get() && (System.nanoTime() < end || killed() < KILLS_MIN)) {
                        Thread.sleep(random.nextInt(PAUSE_MILLIS_MAX));
                        kill(victim());
                    }
                } catch (Exception e) {
                    failure.set(e);
                }
            }

            private int killed() {
                return kills.values().stream().mapToInt(count -> count).sum();
            }

            private Victim victim() {
                int luck = random.nextInt(100);
                if (luck < 45) {
                    return Victim.WORKER;
                } else if (luck < 60) {
                    return Victim.SERVER;
                } else if (luck < 72) {
                    return Victim.CONNECTION;
                } else if (luck < 82) {
                    return Victim.DATABASE;
                }
                return Victim.STORE;
            }

            private void kill(Victim victim) throws Exception {
                boolean isKilled = switch (victim) {
                    case WORKER -> stages.killOne(random);
                    case SERVER -> {
                        startServer();
                        yield true;
                    }
                    case CONNECTION -> {
                        postgres.crash();
                        yield true;
                    }
                    case DATABASE -> {
                        postgres.killAndStartAgain();
                        yield true;
                    }
                    case STORE -> {
                        s3.kill();
                        Thread.sleep(random.nextInt(PAUSE_MILLIS_MAX));
                        s3.startAgain();
                        yield true;
                    }
                };
                if (isKilled) {
                    kills.merge(victim, 1, Integer::sum);
                }
            }
        }

        @Override
        public void close() throws IOException {
            killServer();
            blobstore.close();
            stored.close();
            s3.close();
            postgres.close();
        }
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }
}
