package io.flynn.blobstore.testkit.story;

import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;

/**
 * A blobstore whose blobs lie in PostgreSQL ends with all of them in a bucket, while clients read, write, overwrite and delete:
 * the same on every world.
 *
 * <p>Run from the repository's folder: it applies {@code examples/} as a user would, own values filled in.
 */
public final class Story {

    private static final Duration PATIENCE = Duration.ofMinutes(5);
    private static final int CLIENTS = 4;

    /** Between two random checks, each of which reads a blob of up to 40 MB twice. */
    private static final Duration BETWEEN_CHECKS = Duration.ofMillis(50);

    private final World world;
    private final OldState old;
    private final Narrator narrator;
    private final Path folder;
    private final long seed;
    private final boolean backsUp;
    private final Ledger ledger = new Ledger();

    /**
     * @param folder for the backups; they are removed again
     * @param seed of the clients' luck
     */
    public Story(World world, OldState old, Narrator narrator, Path folder, long seed) {
        this(world, old, narrator, folder, seed, true);
    }

    private Story(World world, OldState old, Narrator narrator, Path folder, long seed, boolean backsUp) {
        this.world = world;
        this.old = old;
        this.narrator = narrator;
        this.folder = folder;
        this.seed = seed;
        this.backsUp = backsUp;
    }

    /** The same without a backup before and after, for those that are told because of what happens in between. */
    public Story withoutBackups() {
        return new Story(world, old, narrator, folder, seed, false);
    }

    /** What happens beside the story: faults, or somebody else who writes. */
    public interface Meanwhile {

        /** The backend is ready; the migration will be applied when this returns. */
        default void beforeApplied() throws Exception {}

        /** The migration was applied. The story goes on when this returns. */
        void whenApplied() throws Exception;

        /** The migration is complete. */
        default void whenComplete() throws Exception {}
    }

    /** What is known to be acknowledged, for somebody else who writes. */
    public Ledger ledger() {
        return ledger;
    }

    /** From the old state to the end. */
    public Outcome tell() throws Exception {
        return tell(() -> {});
    }

    public Outcome tell(Meanwhile meanwhile) throws Exception {
        narrator.step("The old state");
        old.write(world.database(), ledger);
        narrator.line("%d blobs of three apps' releases, %s, as large objects in PostgreSQL"
                .formatted(old.blobs().size(), Narrator.size(old.bytes())));

        List<String> problems = new ArrayList<>();
        Backup.Cost before = backUp("Backup and restore", "before", problems);

        narrator.step("Clients");
        URI base = world.startBlobstore();
        // Ready pods are not reachable yet where somebody has to program a node's ports first.
        HttpBlobstore.awaitHealthy(base, PATIENCE);
        try (HttpBlobstore blobstore = new HttpBlobstore(base);
                StoredBlobs stored = new StoredBlobs(world.database(), new Bucket(world.bucket()));
                Traffic traffic = Traffic.start(base, ledger, CLIENTS, seed);
                ReadBacks readBacks = new ReadBacks(new Truth(blobstore, stored, ledger))) {
            narrator.line("%d clients read, write, overwrite and delete at %s from now on".formatted(CLIENTS, base));

            narrator.step("Two files are applied");
            long requestsBefore = traffic.requests();
            Set<String> idsBefore = move(readBacks.truth, meanwhile);
            long requestsWhileMoving = traffic.requests() - requestsBefore;

            Backup.Cost after = backUp("Backup and restore again", "after", problems);
            narrator.step("Every blob read back");
            traffic.stop();
            readBacks.stop();
            problems.addAll(readBacks.problems);
            problems.addAll(Leaks.of(world));
            long keptRedirects = traffic.followKeptRedirects();
            Truth.Verdict verdict = readBacks.truth.verdict(idsBefore);
            narrator.line("%d names over HTTP and from where they are; %d random blobs during the move"
                    .formatted(ledger.names().size(), readBacks.count.get()));
            narrator.line("%d redirects kept since they were handed out, followed only now".formatted(keptRedirects));

            Outcome outcome = new Outcome(
                    before,
                    after,
                    old.bytes(),
                    verdict,
                    requestsWhileMoving,
                    traffic.requests(),
                    Stream.concat(traffic.failures().stream(), readBacks.failures.stream())
                            .toList(),
                    readBacks.count.get(),
                    keptRedirects,
                    problems);
            narrator.step("The end");
            outcome.wrongFigures().forEach(wrong -> narrator.line("WRONG: " + wrong));
            return outcome;
        }
    }

    /**
     * @return the ids of the blobs that were in PostgreSQL when nothing new could come there any more
     */
    private Set<String> move(Truth truth, Meanwhile meanwhile) throws Exception {
        List<KubectlWatch> watches = List.of(watch("crds/blobstorebackends.yaml"), watch("crds/blobmigrations.yaml"));
        try {
            narrator.line("$ kubectl apply -f examples/backend.yaml");
            world.apply(backendYaml(world));
            world.await("bsb/s3main", "Ready", PATIENCE);
            meanwhile.beforeApplied();
            Set<String> ids = truth.idsAtPostgres();
            narrator.line("$ kubectl apply -f examples/migration.yaml");
            world.apply(Files.readString(Path.of("examples/migration.yaml")));
            meanwhile.whenApplied();
            world.await("bm/pg-to-s3", "Complete", PATIENCE);
            meanwhile.whenComplete();
            return ids;
        } finally {
            watches.forEach(KubectlWatch::close);
        }
    }

    private KubectlWatch watch(String definition) throws IOException {
        return new KubectlWatch(
                world.kubernetes(),
                world.namespace(),
                Serialization.unmarshal(Files.readString(Path.of(definition)), CustomResourceDefinition.class),
                InstantSource.system(),
                narrator::aside);
    }

    /** The example with one's own store in it, as its comments ask for. */
    static String backendYaml(World world) throws IOException {
        Bucket.Location bucket = world.bucket();
        String yaml = Files.readString(Path.of("examples/backend.yaml"));
        yaml = filledIn(yaml, "access-key-id: ACCESS_KEY_ID", "access-key-id: \"" + bucket.accessKeyId() + "\"");
        yaml = filledIn(
                yaml,
                "secret-access-key: SECRET_ACCESS_KEY",
                "secret-access-key: \"" + bucket.secretAccessKey() + "\"");
        yaml = filledIn(yaml, "bucket: flynnblobstore", "bucket: " + bucket.name());
        yaml = filledIn(yaml, "region: us-east-1", "region: " + bucket.region());
        return filledIn(yaml, "endpoint: https://s3.example.com", "endpoint: " + world.endpointForPods());
    }

    private static String filledIn(String yaml, String placeholder, String value) {
        if (!yaml.contains(placeholder)) {
            throw new IllegalStateException("examples/backend.yaml lacks \"" + placeholder + "\"");
        }
        return yaml.replace(placeholder, value);
    }

    private Backup.Cost backUp(String step, String when, List<String> problems)
            throws SQLException, IOException, InterruptedException {
        if (!backsUp) {
            return new Backup.Cost(world.database().sizeBytes(), 0, Duration.ZERO, Duration.ZERO);
        }
        narrator.step(step);
        Backup backup = Backup.of(world.database());
        Database scratch = world.scratch("restored_" + when);
        Path file = folder.resolve(when + ".dump");
        try {
            long databaseBytes = world.database().sizeBytes();
            long start = System.nanoTime();
            backup.take(world.database(), file);
            long taken = System.nanoTime();
            backup.restore(file, scratch);
            Backup.Cost cost = new Backup.Cost(
                    databaseBytes,
                    Files.size(file),
                    Duration.ofNanos(taken - start),
                    Duration.ofNanos(System.nanoTime() - taken));
            checkRestored(scratch, when, problems);
            narrator.line("%s of database, %s of backup in %s, restored in %s (%s)"
                    .formatted(
                            Narrator.size(cost.databaseBytes()),
                            Narrator.size(cost.fileBytes()),
                            Narrator.seconds(cost.backup()),
                            Narrator.seconds(cost.restore()),
                            backup.how()));
            return cost;
        } finally {
            Files.deleteIfExists(file);
        }
    }

    /** A backup that doesn't bring back what it should is none. */
    private void checkRestored(Database scratch, String when, List<String> problems) throws SQLException {
        long rows = scratch.number("SELECT count(*) FROM files WHERE deleted_at IS NULL");
        long inPostgres =
                scratch.number("SELECT count(*) FROM files WHERE deleted_at IS NULL AND backend = 'postgres'");
        long largeObjects = scratch.number("SELECT count(*) FROM pg_largeobject_metadata");
        if (rows == 0 || largeObjects != inPostgres) {
            problems.add("the backup %s the move restores %d rows, %d of them in PostgreSQL, and %d large objects"
                    .formatted(when, rows, inPostgres, largeObjects));
        }
    }

    /** Reads random blobs of the old state in every way, as long as the story goes on. */
    private final class ReadBacks implements AutoCloseable {
        private final Truth truth;
        private final Queue<String> problems = new ConcurrentLinkedQueue<>();
        private final Queue<String> failures = new ConcurrentLinkedQueue<>();
        private final AtomicLong count = new AtomicLong();
        private final CountDownLatch stop = new CountDownLatch(1);
        private final Thread thread;

        ReadBacks(Truth truth) {
            this.truth = truth;
            thread = Thread.ofVirtual().name("read-backs").start(this::run);
        }

        private void run() {
            SplittableRandom random = new SplittableRandom(seed);
            List<String> names = ledger.names();
            try {
                while (!stop.await(BETWEEN_CHECKS.toMillis(), TimeUnit.MILLISECONDS)) {
                    String name = names.get(random.nextInt(names.size()));
                    count.incrementAndGet();
                    try {
                        problems.addAll(truth.check(name));
                    } catch (SQLException | IOException e) {
                        failures.add("reading back %s: %s".formatted(name, e));
                    }
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        void stop() throws InterruptedException {
            stop.countDown();
            thread.join();
        }

        @Override
        public void close() {
            stop.countDown();
        }
    }
}
