package io.flynn.blobstore.conformance;

import static io.flynn.blobstore.conformance.Blobstore.etag;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.EmbeddedPg;
import java.io.IOException;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * Thousands of requests that are broken in every way that one can think of, and in others: none is answered as if the server
 * were at fault, what was stored stays as it was, and nothing is left behind.
 */
class MalformedRequestsIT {

    private static final long SEED = 20_210_308;
    private static final int CLIENTS = 4;

    private static final Pattern STATUS = Pattern.compile("HTTP/1\\.1 (\\d{3}) ");

    /** Of the 5xx, those that blame the client: a transfer coding or an HTTP version that nobody has to know. */
    private static final Set<Integer> NOT_OUR_FAULT = Set.of(501, 505);

    private static final byte[] SENTINEL = Suite.random(100_003);

    @Test
    void tenThousandMalformedRequestsHurtNothingInPostgres() throws Exception {
        try (EmbeddedPg.Database database = EmbeddedPg.database();
                OurServer server = OurServer.start(database, Map.of())) {
            attack(server, database, 10_000, SEED, Set.of(200, 206, 400, 404, 405, 412, 414, 416, 431));
            Leftovers.assertNone(database);
        }
    }

    @Test
    void threeThousandMalformedRequestsHurtNothingInS3() throws Exception {
        try (EmbeddedPg.Database database = EmbeddedPg.database();
                S3 s3 = new S3();
                OurServer server = OurServer.start(database, s3.byDefault())) {
            attack(server, database, 3_000, SEED + 1, Set.of(200, 302, 400, 404, 405, 412, 414, 431));
            Leftovers.assertNone(database, s3.store());
        }
    }

    private static void attack(
            OurServer server, EmbeddedPg.Database database, int requests, long seed, Set<Integer> expected)
            throws Exception {
        try (Blobstore blobs = new Blobstore(server.url())) {
            for (String name : List.of("/sentinel/a", "/sentinel/b/c", MalformedRequest.VICTIM)) {
                assertThat(blobs.put(name, SENTINEL).status()).isEqualTo(200);
            }
            SplittableRandom random = new SplittableRandom(seed);
            List<Future<Set<Integer>>> clients = new ArrayList<>();
            try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
                for (int i = 0; i < CLIENTS; i++) {
                    SplittableRandom own = random.split();
                    clients.add(threads.submit(() -> send(server, requests / CLIENTS, own, seed)));
                }
            }
            Set<Integer> statuses = new HashSet<>();
            for (Future<Set<Integer>> client : clients) {
                statuses.addAll(client.get());
            }
            assertThat(statuses).as("the requests are of many kinds").containsAll(expected);

            assertThat(blobs.get("/.well-known/status").status()).isEqualTo(200);
            Leftovers.assertNone(database);
            for (String name : List.of("/sentinel/a", "/sentinel/b/c", MalformedRequest.VICTIM)) {
                assertThat(blobs.read(name).body())
                        .as("seed %d: %s", seed, name)
                        .isEqualTo(SENTINEL);
            }
            for (String name : database.texts("SELECT name FROM files WHERE deleted_at IS NULL")) {
                Answer read = blobs.read(name);
                assertThat(read.status()).as("seed %d: %s", seed, name).isEqualTo(200);
                assertThat(blobs.head(name).header("Etag"))
                        .as("seed %d: %s", seed, name)
                        .contains(etag(read.body()));
            }
        }
    }

    /** @return the statuses that came */
    private static Set<Integer> send(OurServer server, int requests, SplittableRandom random, long seed)
            throws IOException {
        Set<Integer> statuses = new HashSet<>();
        for (int i = 0; i < requests; i++) {
            MalformedRequest request = MalformedRequest.next(random);
            String answers = new String(answers(server, request), StandardCharsets.ISO_8859_1);
            for (Matcher status = STATUS.matcher(answers); status.find(); ) {
                int number = Integer.parseInt(status.group(1));
                assertThat(number < 500 || NOT_OUR_FAULT.contains(number))
                        .as("seed %d: %s\n->\n%s", seed, request.shown(), answers)
                        .isTrue();
                statuses.add(number);
            }
        }
        return statuses;
    }

    private static byte[] answers(OurServer server, MalformedRequest request) throws IOException {
        try (Wire wire = Wire.to(server.url())) {
            try {
                wire.send(request.bytes());
                if (request.isBrokenOff()) {
                    wire.reset();
                    return new byte[0];
                }
                wire.end();
            } catch (SocketException refused) {
                // The server has had enough of it before its end; it may have said why.
            }
            return wire.rest();
        }
    }
}
