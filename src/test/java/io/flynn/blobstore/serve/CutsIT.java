package io.flynn.blobstore.serve;

import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.postgres.RetiredObjects;
import io.flynn.blobstore.store.s3.PartRoom;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.TcpLink;
import io.flynn.blobstore.testkit.TcpLink.Direction;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Connections that break, at every kind of place: between the client and the server, the server and the database, the server and
 * the store. The name has its old bytes or its new ones, whole, and nothing is left that isn't found again.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CutsIT {

    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final String BUCKET = "blobs";
    private static final int HEADER_BYTES = 20;

    private final LocalS3 store = LocalS3.start();
    private final Map<Boolean, World> worlds = new HashMap<>();

    private enum Change {
        PUT,
        APPEND,
        GET,
        DELETE
    }

    private enum Place {
        CLIENT,
        DATABASE,
        STORE
    }

    /** @param status negative = there is no whole answer */
    private record Answer(int status, byte[] body) {}

    private record Cut(Direction direction, long after) {}

    @BeforeAll
    void makeBucket() {
        store.createBucket(BUCKET);
    }

    @AfterAll
    void stop() {
        worlds.values().forEach(World::close);
        store.close();
    }

    private static Stream<Arguments> places() {
        List<Arguments> places = new ArrayList<>();
        for (boolean isOnS3 : new boolean[] {false, true}) {
            for (Place place : Place.values()) {
                for (Change change : Change.values()) {
                    if (place != Place.STORE || isOnS3 && change != Change.DELETE) {
                        places.add(Arguments.of(place, change, isOnS3));
                    }
                }
            }
        }
        return places.stream();
    }

    @ParameterizedTest(name = "{0} {1} onS3={2}")
    @MethodSource("places")
    void connectionsThatBreakLeaveTheOldOrTheNew(Place place, Change change, boolean isOnS3) {
        cutEverywhere(place, change, isOnS3, false);
    }

    @Tag("long")
    @ParameterizedTest(name = "{0} {1} onS3={2}")
    @MethodSource("places")
    void waysThatStayCutLeaveTheOldOrTheNew(Place place, Change change, boolean isOnS3) {
        cutEverywhere(place, change, isOnS3, true);
    }

    private void cutEverywhere(Place place, Change change, boolean isOnS3, boolean stays) {
        World world = worlds.computeIfAbsent(isOnS3, World::new);
        TcpLink link = world.link(place);
        world.reset();
        world.ask(change);
        world.reset();
        long upBefore = link.passed(Direction.UP);
        long downBefore = link.passed(Direction.DOWN);
        assertThat(world.ask(change).status()).isEqualTo(200);
        List<Cut> cuts = new ArrayList<>();
        for (long after : offsets(link.passed(Direction.UP) - upBefore)) {
            cuts.add(new Cut(Direction.UP, after));
        }
        for (long after : offsets(link.passed(Direction.DOWN) - downBefore)) {
            cuts.add(new Cut(Direction.DOWN, after));
        }
        for (Cut cut : cuts) {
            world.reset();
            link.cutAfter(cut.direction(), cut.after(), stays);
            Answer answer = world.ask(change);
            link.mend();
            world.assertIsWhole(change, answer, cut.toString());
        }
    }

    private static Set<Long> offsets(long bytes) {
        Set<Long> offsets = new HashSet<>();
        for (long offset : new long[] {0, 1, HEADER_BYTES, bytes / 4, bytes / 2, bytes - 1}) {
            offsets.add(Math.max(offset, 0));
        }
        return offsets;
    }

    /** A server whose new blobs go to the database, or to a bucket, with a link on each of its ways. */
    private final class World implements AutoCloseable {

        private final EmbeddedPg.Database pg = EmbeddedPg.database();
        private final TcpLink toDatabase = TcpLink.to(pg.host(), pg.port());
        private final TcpLink toStore = TcpLink.to("127.0.0.1", store.endpoint().getPort());
        private final Map<String, String> environment = new HashMap<>(pg.environment(EmbeddedPg.SUPERUSER));
        private final Database database =
                new Database(PgSettings.decode(pg.environment(EmbeddedPg.SUPERUSER)), "test", 2, Duration.ofSeconds(5));
        private final Backends backends;
        private final ObjectCollector collector;
        private final RunningServer server;
        private final TcpLink toServer;
        private final byte[] old;
        private final byte[] more;

        World(boolean isOnS3) {
            Random random = new Random(5);
            // Large enough for the store to copy a part of it.
            old = new byte[isOnS3 ? 5_300_000 : 300_000];
            more = new byte[300_000];
            random.nextBytes(old);
            random.nextBytes(more);
            environment.put("PGPORT", Integer.toString(toDatabase.port()));
            environment.putAll(store.environment(S3MAIN, BUCKET, URI.create("http://127.0.0.1:" + toStore.port())));
            environment.put("DEFAULT_BACKEND", isOnS3 ? "s3main" : "postgres");
            environment.put("BLOBSTORE_REDIRECT", "false");
            backends = new Backends(BackendEnvironment.decode(environment), 4, new PartRoom(1, Optional.empty()));
            collector = new ObjectCollector(new RetiredObjects(database), backends, Duration.ZERO, 1_000);
            server = RunningServer.ready(environment);
            toServer = TcpLink.to("127.0.0.1", server.port());
        }

        TcpLink link(Place place) {
            return switch (place) {
                case CLIENT -> toServer;
                case DATABASE -> toDatabase;
                case STORE -> toStore;
            };
        }

        void reset() {
            pg.execute("UPDATE files SET deleted_at = now() WHERE deleted_at IS NULL");
            pg.execute("DELETE FROM files");
            store.sizes(BUCKET).keySet().forEach(key -> store.remove(BUCKET, key));
            // Connections that were cut are noticed by then.
            await("reset").until(() -> server.put("/a", old).statusCode() == 200);
        }

        Answer ask(Change change) {
            String headers = switch (change) {
                case PUT -> "Content-Length: %d\r\n".formatted(more.length);
                case APPEND -> "Content-Length: %d\r\nBlobstore-Offset: %d\r\n".formatted(more.length, old.length);
                default -> "";
            };
            String method = change == Change.APPEND ? "PUT" : change.name();
            ByteArrayOutputStream read = new ByteArrayOutputStream();
            try (Socket socket = new Socket("127.0.0.1", toServer.port())) {
                socket.setSoTimeout((int) PATIENCE.toMillis());
                socket.getOutputStream()
                        .write("%s /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n"
                                .formatted(method, headers)
                                .getBytes(StandardCharsets.US_ASCII));
                if (!headers.isEmpty()) {
                    socket.getOutputStream().write(more);
                }
                socket.getInputStream().transferTo(read);
            } catch (IOException e) {
                return answer(read.toByteArray());
            }
            return answer(read.toByteArray());
        }

        /** Whole, if it is as long as it says. */
        private static Answer answer(byte[] bytes) {
            String text = new String(bytes, StandardCharsets.ISO_8859_1);
            int end = text.indexOf("\r\n\r\n");
            if (end < 0) {
                return new Answer(-1, new byte[0]);
            }
            byte[] body = Arrays.copyOfRange(bytes, end + 4, bytes.length);
            boolean isWhole = text.substring(0, end)
                    .lines()
                    .filter(line -> line.toLowerCase(Locale.ROOT).startsWith("content-length: "))
                    .allMatch(line -> Integer.parseInt(line.substring(16)) == body.length);
            return new Answer(isWhole ? Integer.parseInt(text.substring(9, 12)) : -1, body);
        }

        void assertIsWhole(Change change, Answer answer, String cut) {
            byte[] longer = Arrays.copyOf(old, old.length + more.length);
            System.arraycopy(more, 0, longer, old.length, more.length);
            Optional<byte[]> after = switch (change) {
                case PUT -> Optional.of(more);
                case APPEND -> Optional.of(longer);
                case GET -> Optional.of(old);
                case DELETE -> Optional.empty();
            };
            if (change == Change.GET && answer.status() == 200) {
                assertThat(answer.body()).as(cut).isEqualTo(old);
            }
            assertThat(answer.status()).as(cut).isIn(-1, 200, 503);
            // What was in doubt may still be done: until nobody does anything any more.
            await(cut).untilAsserted(() -> assertThat(running()).isZero());
            Optional<byte[]> found = Optional.of(
                            await(cut).until(() -> server.get("/a"), got -> got.statusCode() != 503))
                    .filter(got -> got.statusCode() == 200)
                    .map(got -> got.body());
            boolean isNew = isSame(found, after);
            assertThat(isNew || answer.status() != 200 && isSame(found, Optional.of(old)))
                    .as("%s, answered %d, left %s bytes", cut, answer.status(), found.map(bytes -> bytes.length))
                    .isTrue();
            await(cut).untilAsserted(this::assertNothingIsLost);
        }

        private static ConditionFactory await(String cut) {
            return Awaitility.await(cut)
                    .atMost(PATIENCE)
                    .pollDelay(Duration.ZERO)
                    .pollInterval(Duration.ofMillis(50));
        }

        private static boolean isSame(Optional<byte[]> one, Optional<byte[]> other) {
            return Arrays.equals(one.orElse(null), other.orElse(null));
        }

        private long running() {
            return pg.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    + " AND pid <> pg_backend_pid() AND state IS DISTINCT FROM 'idle'");
        }

        /** Rows know of all that there is, and the collector finds it by them. */
        private void assertNothingIsLost() {
            assertThat(pg.texts("SELECT oid::text FROM pg_largeobject_metadata"))
                    .hasSameElementsAs(pg.texts("SELECT file_oid::text FROM files WHERE file_oid IS NOT NULL"));
            collector.round();
            assertThat(store.sizes(BUCKET).keySet())
                    .hasSameElementsAs(
                            pg.texts(
                                    "SELECT external_id::text FROM files WHERE external_id IS NOT NULL AND deleted_at IS NULL"));
            assertThat(store.unfinishedUploads(BUCKET)).isEmpty();
        }

        @Override
        public void close() {
            server.close();
            collector.close();
            backends.close();
            database.close();
            toServer.close();
            toDatabase.close();
            toStore.close();
            pg.close();
        }
    }
}
