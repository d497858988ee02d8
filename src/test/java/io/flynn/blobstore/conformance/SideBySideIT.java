package io.flynn.blobstore.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.story.OldBlobstore;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Our server and a double of the old one at once on one database, as while a rollout lasts. */
class SideBySideIT {

    private static final long SEED = 20_180_101;
    private static final int CLIENTS = 4;
    private static final int NAMES_PER_CLIENT = 4;
    private static final int REQUESTS_PER_CLIENT = 80;

    @Test
    void whatWasAcknowledgedLastIsReadFromBothInPostgres() throws Exception {
        try (EmbeddedPg.Database database = Old.started();
                OurServer server = OurServer.start(database, Map.of());
                OldBlobstore old = Old.onPostgres(database)) {
            use(server, old, SEED);
            Leftovers.assertNone(database);
        }
    }

    @Test
    void whatWasAcknowledgedLastIsReadFromBothInABucket() throws Exception {
        try (EmbeddedPg.Database database = Old.started();
                S3 s3 = new S3();
                OurServer server = OurServer.start(database, s3.byDefault());
                OldBlobstore old = Old.onBucket(database, s3)) {
            use(server, old, SEED + 1);
            Leftovers.assertNone(database, s3.store());
        }
    }

    @Test
    void whatWasAcknowledgedLastIsReadFromBothIfOnlyTheOldOneUsesTheBucket() throws Exception {
        try (EmbeddedPg.Database database = Old.started();
                S3 s3 = new S3();
                OurServer server = OurServer.start(database, s3.known());
                OldBlobstore old = Old.onBucket(database, s3)) {
            use(server, old, SEED + 2);
            Leftovers.assertNone(database, s3.store());
        }
    }

    /** Ours answers the request that ours gets: the old one's habits are its own. */
    @Test
    void deleteOfAPatternTakesMoreOnlyIfTheOldOneIsAsked() throws Exception {
        try (EmbeddedPg.Database database = Old.started();
                OurServer server = OurServer.start(database, Map.of());
                Blobstore blobs = new Blobstore(server.url());
                OldBlobstore old = Old.onPostgres(database)) {
            for (String name : List.of("/a.b", "/aXb", "/c.d", "/cXd")) {
                blobs.put(name, name);
            }

            blobs.delete("/a.b");
            old.delete("/c.d");

            assertThat(blobs.list("/")).containsExactly("/aXb");
        }
    }

    private static void use(OurServer server, OldBlobstore old, long seed) throws Exception {
        SplittableRandom random = new SplittableRandom(seed);
        List<Future<?>> clients = new ArrayList<>();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int i = 0; i < CLIENTS; i++) {
                Client client = new Client(server, old, "/client " + i, random.split(), seed);
                clients.add(threads.submit(client::run, client));
            }
        }
        for (Future<?> client : clients) {
            client.get();
        }
    }

    /** The only one that changes its names, one request after the other, by whichever server. */
    private static final class Client {
        private final OurServer server;
        private final OldBlobstore old;
        private final String folder;
        private final SplittableRandom random;
        private final long seed;
        private final Map<String, byte[]> acknowledged = new HashMap<>();

        Client(OurServer server, OldBlobstore old, String folder, SplittableRandom random, long seed) {
            this.server = server;
            this.old = old;
            this.folder = folder;
            this.random = random;
            this.seed = seed;
        }

        void run() {
            try (Blobstore blobs = new Blobstore(server.url())) {
                for (int step = 0; step < REQUESTS_PER_CLIENT; step++) {
                    String name = folder + "/" + random.nextInt(NAMES_PER_CLIENT);
                    int luck = random.nextInt(100);
                    boolean isOurs = random.nextBoolean();
                    try {
                        change(blobs, name, luck, isOurs);
                        assertRead(blobs, name);
                    } catch (Exception | AssertionError e) {
                        throw new AssertionError(
                                "seed %d, request %d (%d) of %s by %s"
                                        .formatted(seed, step, luck, name, isOurs ? "ours" : "the old one"),
                                e);
                    }
                }
            }
        }

        private void change(Blobstore blobs, String name, int luck, boolean isOurs) throws Exception {
            byte @Nullable [] before = acknowledged.get(name);
            if (luck < 20) {
                if (isOurs) {
                    assertThat(blobs.delete(name).status()).isEqualTo(200);
                } else {
                    old.delete(name);
                }
                acknowledged.remove(name);
            } else if (luck < 55 && before != null) {
                byte[] more = bytes(random.nextInt(2_500));
                append(blobs, name, before, more, isOurs);
            } else {
                byte[] bytes = bytes(random.nextInt(30_000));
                if (isOurs) {
                    assertThat(blobs.put(name, bytes).status()).isEqualTo(200);
                } else {
                    old.put(name, "", bytes);
                }
                acknowledged.put(name, bytes);
            }
        }

        private void append(Blobstore blobs, String name, byte[] before, byte[] more, boolean isOurs) throws Exception {
            ByteArrayOutputStream whole = new ByteArrayOutputStream();
            whole.writeBytes(before);
            whole.writeBytes(more);
            if (isOurs && before.length > 0) {
                assertThat(blobs.put(name, more, "Blobstore-Offset", Integer.toString(before.length))
                                .status())
                        .isEqualTo(200);
            } else {
                old.append(name, more);
            }
            acknowledged.put(name, whole.toByteArray());
        }

        private void assertRead(Blobstore blobs, String name) throws Exception {
            Optional<byte[]> expected = Optional.ofNullable(acknowledged.get(name));
            Answer ours = blobs.read(name);
            Optional<byte[]> theirs = old.get(name);
            assertThat(ours.status()).isEqualTo(expected.isPresent() ? 200 : 404);
            assertThat(theirs.isPresent()).isEqualTo(expected.isPresent());
            if (expected.isPresent()) {
                assertThat(ours.body()).isEqualTo(expected.get());
                assertThat(theirs.get()).isEqualTo(expected.get());
                assertThat(blobs.head(name).header("Etag")).contains(Blobstore.etag(expected.get()));
            }
        }

        private byte[] bytes(int length) {
            byte[] bytes = new byte[length];
            random.nextBytes(bytes);
            return bytes;
        }
    }
}
