package io.flynn.blobstore.serve;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.CheckFinding.Weight;
import io.flynn.blobstore.decide.CheckReport;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.move.CheckRun;
import io.flynn.blobstore.move.CheckRun.Scope;
import io.flynn.blobstore.move.CleanRun;
import io.flynn.blobstore.move.CopyRun;
import io.flynn.blobstore.move.OrphanSweep;
import io.flynn.blobstore.move.Orphans;
import io.flynn.blobstore.move.ProgressMeter;
import io.flynn.blobstore.move.Route;
import io.flynn.blobstore.move.StageContext;
import io.flynn.blobstore.move.StopSignal;
import io.flynn.blobstore.move.Stores;
import io.flynn.blobstore.store.BucketOwnership;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.MigrationFence;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.store.s3.S3BucketListing;
import io.flynn.blobstore.store.s3.S3OrphanStore;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.CheckFindings;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.story.Bucket;
import io.flynn.blobstore.testkit.story.Ledger;
import io.flynn.blobstore.testkit.story.OldServer;
import java.io.ByteArrayOutputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Leftovers are swept, all kinds and without a pause between the looks, while our server's clients put, append, copy and delete, an old
 * server appends and overwrites, and migrations copy and clean: only leftovers go.
 */
class SweepBesideWritersIT {

    private static final String BUCKET = "flynnblobstore";
    private static final int CLIENTS = 4;
    private static final int NAMES = 12;
    private static final long SEED = 20_261_123;

    private final EmbeddedPg.Database pg = EmbeddedPg.database();
    private final LocalS3 s3 = LocalS3.start();
    private final AtomicBoolean isOver = new AtomicBoolean();
    private final Queue<String> failures = new ConcurrentLinkedQueue<>();
    private final Map<String, byte[]> contents = new ConcurrentHashMap<>();
    private final AtomicInteger writes = new AtomicInteger();
    private final AtomicInteger migrations = new AtomicInteger();
    private final AtomicInteger sweeps = new AtomicInteger();
    private final List<String> planted = new ArrayList<>();
    private Database database;
    private S3BlobStore store;
    private S3BucketListing listing;
    private S3OrphanStore orphanStore;

    @BeforeEach
    void prepare() {
        s3.createBucket(BUCKET);
        database = new Database(
                PgSettings.decode(pg.environment(EmbeddedPg.SUPERUSER)), "test", 20, Duration.ofSeconds(30));
        store = new S3BlobStore(s3.backend(Blobs.S3MAIN, BUCKET), 16);
        listing = new S3BucketListing(s3.backend(Blobs.S3MAIN, BUCKET));
        orphanStore = new S3OrphanStore(s3.backend(Blobs.S3MAIN, BUCKET), 8);
    }

    @AfterEach
    void close() {
        orphanStore.close();
        listing.close();
        store.close();
        database.close();
        s3.close();
        pg.close();
    }

    private static final class Ours implements BucketOwnership {
        @Override
        public void check() {}

        @Override
        public void claim() {}
    }

    @Test
    void onlyLeftoversGo() throws Exception {
        Map<String, String> environment = new HashMap<>(pg.environment(EmbeddedPg.SUPERUSER));
        environment.putAll(s3.environment(Blobs.S3MAIN, BUCKET));
        environment.put("DEFAULT_BACKEND", "s3main");
        try (RunningServer server = RunningServer.ready(environment);
                OldServer old = OldServer.start(
                        new io.flynn.blobstore.testkit.story.Database(
                                pg.host(), pg.port(), pg.name(), EmbeddedPg.SUPERUSER, ""),
                        new Bucket.Location(
                                s3.endpoint(),
                                LocalS3.REGION,
                                BUCKET,
                                LocalS3.ACCESS_KEY_ID,
                                LocalS3.SECRET_ACCESS_KEY),
                        new Ledger(),
                        SEED)) {
            old.breakNoMoreUploads();
            List<Thread> threads = new ArrayList<>();
            for (int client = 0; client < CLIENTS; client++) {
                Random random = new Random(SEED + client);
                String directory = "/client/" + client + "/";
                threads.add(start(() -> write(server, directory + random.nextInt(NAMES), random)));
            }
            threads.add(start(this::migrate));
            threads.add(start(this::sweep));
            Awaitility.await()
                    .atMost(Duration.ofMinutes(4))
                    .until(() ->
                            !failures.isEmpty() || (sweeps.get() >= 3 && migrations.get() >= 2 && writes.get() >= 300));
            old.overwriteToo();
            int before = sweeps.get();
            Awaitility.await()
                    .atMost(Duration.ofMinutes(4))
                    .until(() -> !failures.isEmpty() || sweeps.get() >= before + 3);
            old.stop();
            isOver.set(true);
            for (Thread thread : threads) {
                thread.join();
            }
            assertThat(failures).isEmpty();
            assertThat(old.failures()).isEmpty();
            contents.forEach((name, bytes) ->
                    assertThat(server.follow(name).body()).as(name).isEqualTo(bytes));
        }
        sweepOnce();
        CheckFindings found = new CheckFindings();
        CheckReport report = check(true, found);

        assertThat(report.outcome()).as(() -> found.all().toString()).isEqualTo(ExitCode.DONE);
        assertThat(report.findings(Weight.WRONG)).isZero();
        assertThat(planted).isNotEmpty();
        assertThat(s3.sizes(BUCKET).keySet()).doesNotContainAnyElementsOf(planted);
    }

    private Thread start(Runnable step) {
        return Thread.startVirtualThread(() -> {
            while (!isOver.get() && failures.isEmpty()) {
                try {
                    step.run();
                } catch (RuntimeException | AssertionError e) {
                    failures.add(e.toString());
                }
            }
        });
    }

    private void write(RunningServer server, String name, Random random) {
        byte[] bytes = new byte[random.nextInt(20_000)];
        random.nextBytes(bytes);
        byte[] before = contents.get(name);
        int status = switch (random.nextInt(5)) {
            case 0 -> {
                contents.remove(name);
                yield server.delete(name).statusCode();
            }
            case 1 -> {
                if (before == null) {
                    yield 200;
                }
                contents.put(name, concatenated(before, bytes));
                yield server.put(name, bytes, "Blobstore-Offset", Integer.toString(before.length))
                        .statusCode();
            }
            case 2 -> {
                if (before == null) {
                    yield 200;
                }
                contents.put(name + "-copy", before);
                yield server.put(name + "-copy", new byte[0], "Blobstore-Copy-From", name)
                        .statusCode();
            }
            default -> {
                contents.put(name, bytes);
                yield server.put(name, bytes).statusCode();
            }
        };
        if (status != 200) {
            failures.add(name + ": " + status);
        }
        writes.incrementAndGet();
    }

    private static byte[] concatenated(byte[] first, byte[] second) {
        ByteArrayOutputStream whole = new ByteArrayOutputStream();
        whole.writeBytes(first);
        whole.writeBytes(second);
        return whole.toByteArray();
    }

    private void migrate() {
        StopSignal stop = new StopSignal();
        String migration = UUID.randomUUID().toString();
        ifFree(() -> {
            Route route = Route.ofAll(BackendName.POSTGRES, Blobs.S3MAIN);
            Stores stores = new Stores(Map.of(Blobs.S3MAIN, store));
            new CopyRun(context(Stage.COPY, migration, stop), route, stores, 4, 3).run();
            new CleanRun(context(Stage.CLEAN, migration, stop), route, stores, Optional.empty(), 4).run();
            migrations.incrementAndGet();
        });
    }

    private StageContext context(Stage stage, String migration, StopSignal stop) {
        return new StageContext(database, new MigrationFence(database, migration), new ProgressMeter(stage), stop);
    }

    private void sweep() {
        ifFree(() -> {
            if (sweepOnce()) {
                sweeps.incrementAndGet();
            }
        });
    }

    /** Each keeps the other out. */
    private static void ifFree(Runnable work) {
        try {
            work.run();
        } catch (StorageFailure.Busy e) {
            if (!e.reason().equals(Reasons.ANOTHER_MIGRATION)) {
                throw e;
            }
        }
    }

    /** False if the check met a write that would not end. */
    private boolean sweepOnce() {
        String orphan = UUID.randomUUID().toString();
        s3.overwrite(BUCKET, orphan, new byte[10]);
        pg.execute("SELECT lo_from_bytea(0, 'orphan')");
        planted.add(orphan);
        Orphans orphans = new Orphans(new CheckFindings());
        CheckReport report = check(false, orphans);
        if (report.findings(Weight.WRONG) > 0) {
            throw new AssertionError("something is lost: " + report);
        }
        if (report.outcome() != ExitCode.DONE) {
            return false;
        }
        return new OrphanSweep(
                                database,
                                Map.of("s3main", new OrphanSweep.Bucket(orphanStore, new Ours())),
                                new OrphanSweep.Order(true, true, true, Duration.ZERO),
                                4,
                                new CheckFindings())
                        .run(orphans)
                        .outcome()
                == ExitCode.DONE;
    }

    private CheckReport check(boolean isReading, io.flynn.blobstore.move.CheckOutput output) {
        return new CheckRun(
                        database,
                        new Scope(Set.of(BackendName.POSTGRES, Blobs.S3MAIN), true, Map.of()),
                        Map.of(Blobs.S3MAIN, new CheckRun.Bucket(store, listing)),
                        isReading,
                        4,
                        output)
                .run();
    }
}
