package io.flynn.blobstore.serve;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BackendName;
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
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.CheckFindings;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;

/** A check that runs while clients write finds nothing but what is there. */
class CheckBesideServerIT {

    private static final String BUCKET = "flynnblobstore";
    private static final int CHECKS = 6;

    @Test
    void onS3NothingIsFoundWhileClientsWrite() throws Exception {
        checkWhileClientsWrite(Blobs.S3MAIN);
    }

    @Test
    void onPostgresNothingIsFoundWhileClientsWrite() throws Exception {
        checkWhileClientsWrite(BackendName.POSTGRES);
    }

    private static void checkWhileClientsWrite(BackendName defaultBackend) throws Exception {
        try (EmbeddedPg.Database pg = EmbeddedPg.database();
                LocalS3 s3 = LocalS3.start()) {
            s3.createBucket(BUCKET);
            Map<String, String> environment = new HashMap<>(pg.environment(EmbeddedPg.SUPERUSER));
            environment.putAll(s3.environment(Blobs.S3MAIN, BUCKET));
            environment.put("DEFAULT_BACKEND", defaultBackend.value());
            AtomicBoolean isOver = new AtomicBoolean();
            AtomicInteger writes = new AtomicInteger();
            Queue<String> failures = new ConcurrentLinkedQueue<>();
            try (RunningServer server = RunningServer.ready(environment)) {
                List<Thread> clients = new ArrayList<>();
                for (int client = 0; client < 4; client++) {
                    Random random = new Random(client);
                    String directory = "/client/" + client + "/";
                    clients.add(Thread.startVirtualThread(() -> {
                        while (!isOver.get()) {
                            write(server, directory + random.nextInt(20), random, failures);
                            writes.incrementAndGet();
                        }
                    }));
                }
                Awaitility.await().atMost(Duration.ofMinutes(1)).until(() -> writes.get() > 50);
                for (int check = 0; check < CHECKS; check++) {
                    CheckFindings found = new CheckFindings();
                    int before = writes.get();

                    CheckReport report = check(pg, s3, check % 2 == 1, found);

                    assertThat(found.all()).isEmpty();
                    assertThat(report.outcome()).isEqualTo(ExitCode.DONE);
                    assertThat(report.backends().get(defaultBackend.value()).get(Figure.ROWS))
                            .isPositive();
                    Awaitility.await().atMost(Duration.ofMinutes(1)).until(() -> writes.get() > before);
                }
                isOver.set(true);
                for (Thread client : clients) {
                    client.join();
                }
            }
            assertThat(failures).isEmpty();
        }
    }

    private static void write(RunningServer server, String name, Random random, Queue<String> failures) {
        byte[] bytes = new byte[random.nextInt(20_000)];
        random.nextBytes(bytes);
        int status = (random.nextInt(4) == 0 ? server.delete(name) : server.put(name, bytes)).statusCode();
        if (status != 200) {
            failures.add(name + ": " + status);
        }
    }

    private static CheckReport check(EmbeddedPg.Database pg, LocalS3 s3, boolean isReading, CheckFindings found) {
        try (Database database = new Database(
                        PgSettings.decode(pg.environment(EmbeddedPg.SUPERUSER)), "check", 8, Duration.ofSeconds(30));
                S3BlobStore store = new S3BlobStore(s3.backend(Blobs.S3MAIN, BUCKET), 8);
                S3BucketListing listing = new S3BucketListing(s3.backend(Blobs.S3MAIN, BUCKET))) {
            return new CheckRun(
                            database,
                            new Scope(Set.of(BackendName.POSTGRES, Blobs.S3MAIN), true, Map.of()),
                            Map.of(Blobs.S3MAIN, new Bucket(store, listing)),
                            isReading,
                            4,
                            found)
                    .run();
        }
    }
}
