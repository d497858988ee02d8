package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.flynn.blobstore.store.postgres.Schema;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.story.Bucket;
import io.flynn.blobstore.testkit.story.Database;
import io.flynn.blobstore.testkit.story.Ledger;
import io.flynn.blobstore.testkit.story.OldServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The old command, as a process of its own. */
class MigrateRoleIT {

    private static final String BUCKET = "flynnblobstore";

    private static final Pattern LINE = Pattern.compile(
            "\\[(\\d+)/(\\d+)\\] Moving (\\S+) \\([0-9a-f-]{36}, (\\d+) bytes\\) from postgres to s3main");

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final LocalS3 s3 = LocalS3.start();
    private final Map<String, String> environment = new HashMap<>();

    @TempDir
    private Path folder;

    private int last;

    private record Ended(int exit, String out, String err) {

        List<String> lines() {
            return out.lines().filter(line -> line.startsWith("[")).toList();
        }
    }

    private final class Running {
        private final String name = "run" + ++last;
        private final Process process;

        Running(String role, String... arguments) throws IOException {
            List<String> command = OurProgram.command(role);
            command.addAll(List.of(arguments));
            ProcessBuilder builder = new ProcessBuilder(command)
                    .redirectOutput(folder.resolve(name + ".out").toFile())
                    .redirectError(folder.resolve(name + ".err").toFile());
            builder.environment()
                    .keySet()
                    .removeIf(variable -> variable.startsWith("PG")
                            || variable.startsWith("BACKEND_")
                            || variable.startsWith("BLOBSTORE_"));
            builder.environment().putAll(environment);
            process = builder.start();
        }

        Ended end() throws Exception {
            assertThat(process.waitFor(4, TimeUnit.MINUTES))
                    .as("ends by itself")
                    .isTrue();
            String out = Files.readString(folder.resolve(name + ".out"));
            String err = Files.readString(folder.resolve(name + ".err"));
            assertThat(out + err).doesNotContain(LocalS3.SECRET_ACCESS_KEY);
            return new Ended(process.exitValue(), out, err);
        }
    }

    @BeforeEach
    void prepare() throws Exception {
        s3.createBucket(BUCKET);
        try (Connection connection = database.connect()) {
            Schema.upgrade(connection);
        }
        environment.putAll(database.environment(EmbeddedPg.SUPERUSER));
        environment.putAll(s3.environment(Blobs.S3MAIN, BUCKET));
        environment.put("DEFAULT_BACKEND", "s3main");
    }

    @AfterEach
    void close() {
        s3.close();
        database.close();
    }

    private void blobs(int count, int size) {
        database.execute("INSERT INTO files (file_oid, backend, name, type, size, sha512)"
                + " SELECT lo_from_bytea(0, b), 'postgres', '/a%/' || n, '', length(b), sha512(b) FROM generate_series(1, "
                + count + ") n, convert_to(rpad(n::text, " + size + ", 'x'), 'UTF8') b");
    }

    private Ended migrate(String... arguments) throws Exception {
        return new Running("migrate", arguments).end();
    }

    private long at(String backend) {
        return database.count("SELECT count(*) FROM files WHERE deleted_at IS NULL AND backend = '" + backend + "'");
    }

    private long largeObjects() {
        return database.count("SELECT count(*) FROM pg_largeobject_metadata");
    }

    @Test
    void movesEveryBlobAndDeletesItsLargeObject() throws Exception {
        blobs(30, 1000);

        Path receipt = folder.resolve("receipt.json");

        Ended moved = migrate("-c", "2", "--delete", "--receipt", receipt.toString());

        assertThat(moved.exit()).as(moved.out() + moved.err()).isZero();
        assertThat(at("s3main")).isEqualTo(30);
        assertThat(largeObjects()).isZero();
        assertThat(moved.lines())
                .hasSize(30)
                .allMatch(line -> LINE.matcher(line).matches());
        assertThat(moved.lines().getFirst()).startsWith("[1/30] Moving /a%/").contains(", 1000 bytes) from");
        assertThat(moved.lines().getLast()).startsWith("[30/30]");
        assertThat(moved.out().lines().filter(line -> !line.startsWith("[")).map(line -> line.replaceAll(":.*", "")))
                .containsExactly("plan", "copy", "verify", "clean", "vacuum", "complete");

        JsonNode written = new ObjectMapper().readTree(Files.readAllBytes(receipt));
        assertThat(written.path("blobs").asLong()).isEqualTo(30);
        assertThat(written.path("bytes").asLong()).isEqualTo(30_000);
        assertThat(written.path("plan").asText()).hasSize(16);
        assertThat(written.path("sha512").asText())
                .isEqualTo(database.texts(
                                "SELECT encode(sha512(string_agg(uuid_send(file_id) || int8send(size) || sha512, ''::bytea"
                                        + " ORDER BY file_id)), 'hex') FROM files")
                        .getFirst());
        assertThat(Instant.parse(written.path("started").asText()))
                .isBefore(Instant.parse(written.path("finished").asText()));

        Ended again = migrate(
                "--delete", "--receipt", folder.resolve("no/such/folder").toString());

        assertThat(again.exit()).isEqualTo(2);
        assertThat(again.err()).contains("--receipt");
    }

    @Test
    void leavesTheLargeObjectsUnlessItIsToldToDeleteThem() throws Exception {
        blobs(5, 1000);

        assertThat(migrate().exit()).isZero();

        assertThat(at("s3main")).isEqualTo(5);
        assertThat(largeObjects()).isEqualTo(5);

        Ended again = migrate("--delete");
        assertThat(again.exit()).as(again.out() + again.err()).isZero();
        assertThat(again.lines()).isEmpty();
        assertThat(largeObjects()).isZero();
    }

    @Test
    void prefixIsTakenByteForByte() throws Exception {
        blobs(5, 1000);
        database.execute("UPDATE files SET name = '/aX/' || name WHERE name > '/a%/3'");

        Ended moved = migrate("--delete", "-p", "/a%/");

        assertThat(moved.exit()).as(moved.out() + moved.err()).isZero();
        assertThat(moved.lines()).hasSize(3);
        assertThat(at("postgres")).isEqualTo(2);
        assertThat(largeObjects()).isEqualTo(2);
    }

    /** The old command ignored all of these, or took them for success. */
    @Test
    void refusesWhatItCantDo() throws Exception {
        blobs(2, 10);
        Ended unknown = migrate("--dry-run");
        assertThat(unknown.exit()).isEqualTo(2);
        assertThat(unknown.err()).contains("--dry-run");
        refused("DEFAULT_BACKEND", "");
        refused("DEFAULT_BACKEND", "s3dr");
        refused("BACKEND_S3MAIN", "backend=s3 region");
        refused("PGHOST", "");
        assertThat(at("postgres")).isEqualTo(2);
        assertThat(s3.sizes(BUCKET)).isEmpty();
    }

    private void refused(String variable, String value) throws Exception {
        Map<String, String> before = Map.copyOf(environment);
        environment.put(variable, value);
        Ended refused = migrate();
        environment.putAll(before);
        assertThat(refused.exit()).as(variable + "=" + value).isEqualTo(2);
        assertThat(refused.out() + refused.err()).contains(variable);
    }

    @Tag("long")
    @Test
    void databaseThatIsAwayIsExitSeventyFive() throws Exception {
        environment.put("PGPORT", "1");

        assertThat(migrate().exit()).isEqualTo(75);
    }

    @Test
    void blobThatCantBeMovedIsNamedWithExitOneAndTheOthersAreMoved() throws Exception {
        blobs(3, 1000);
        database.execute("UPDATE files SET size = size + 1 WHERE name = '/a%/2'");
        String id =
                database.texts("SELECT file_id FROM files WHERE name = '/a%/2'").getFirst();

        Ended failed = migrate("--delete");

        assertThat(failed.exit()).as(failed.out() + failed.err()).isEqualTo(1);
        assertThat(failed.out()).contains(id, "SizeDiffers");
        assertThat(at("s3main")).isEqualTo(2);
        assertThat(largeObjects()).as("nothing is deleted before all is proven").isEqualTo(3);
    }

    @Test
    void anotherInstallationsBucketIsExitOneAndCanBeTakenOver() throws Exception {
        blobs(2, 10);
        s3.overwrite(BUCKET, "blobstore-owner", "original\n".getBytes());

        Ended refused = migrate("--delete");

        assertThat(refused.exit()).isEqualTo(1);
        assertThat(refused.out()).contains("ForeignBucket", "--adopt-bucket original");
        assertThat(s3.sizes(BUCKET)).containsOnlyKeys("blobstore-owner");
        assertThat(migrate("--delete", "--adopt-bucket", "original").exit()).isZero();
    }

    @Test
    void sigtermIsExitSeventyFiveAndTheNextRunGoesOn() throws Exception {
        blobs(600, 4000);
        s3.delayPuts(Duration.ofMillis(100));
        Running running = new Running("migrate", "--delete", "-c", "2");
        Awaitility.await().atMost(1, TimeUnit.MINUTES).until(() -> at("s3main") > 0);

        running.process.destroy();
        Ended stopped = running.end();

        assertThat(stopped.exit()).isEqualTo(75);
        assertThat(at("postgres")).isPositive();
        s3.delayPuts(Duration.ZERO);
        assertThat(migrate("--delete").exit()).isZero();
        assertThat(at("postgres")).isZero();
        assertThat(largeObjects()).isZero();
    }

    /** Its appends write before they touch the row, and put rows back onto their large objects. */
    @Test
    void besideAnOldServerThatAppendsNothingIsLostAndCompleteIsComplete() throws Exception {
        blobs(200, 2000);
        s3.delayPuts(Duration.ofMillis(20));
        Ledger ledger = new Ledger();
        try (OldServer old = OldServer.start(
                new Database(database.host(), database.port(), database.name(), EmbeddedPg.SUPERUSER, ""),
                new Bucket.Location(
                        s3.endpoint(), LocalS3.REGION, BUCKET, LocalS3.ACCESS_KEY_ID, LocalS3.SECRET_ACCESS_KEY),
                ledger,
                20_261_123)) {
            Ended moved = migrate("--delete");
            old.stop();

            assertThat(old.failures()).isEmpty();
            assertThat(moved.exit()).as(moved.out() + moved.err()).isIn(0, 75);
        }
        Ended rest = migrate("--delete");

        assertThat(rest.exit()).as(rest.out() + rest.err()).isZero();
        assertThat(at("postgres")).isZero();
        assertThat(largeObjects()).isZero();
        Ended checked = new Running("check", "--read").end();
        assertThat(checked.exit()).as(checked.out()).isZero();
    }
}
