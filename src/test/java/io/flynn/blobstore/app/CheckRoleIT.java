package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.flynn.blobstore.store.postgres.Schema;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The check as a process of its own: exit codes, lines of JSON, and what it never says. */
class CheckRoleIT {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String BUCKET = "flynnblobstore";

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final LocalS3 s3 = LocalS3.start();
    private final Map<String, String> environment = new HashMap<>();

    @TempDir
    private Path folder;

    private record Ended(int exit, List<JsonNode> lines, String out, String err) {

        List<JsonNode> findings() {
            return lines.stream()
                    .map(line -> line.path("finding"))
                    .filter(finding -> !finding.isMissingNode())
                    .toList();
        }

        JsonNode summary() {
            return lines.getLast().path("summary");
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
        database.execute("INSERT INTO files (file_oid, backend, name, type, size, sha512)"
                + " SELECT lo_from_bytea(0, b), 'postgres', '/' || n, '', length(b), sha512(b)"
                + " FROM generate_series(1, 20) n, convert_to(repeat('x', n), 'UTF8') b");
    }

    @AfterEach
    void close() {
        s3.close();
        database.close();
    }

    @Test
    void nothingLostIsExitZeroAndOrphansAreListed() throws Exception {
        String orphan = UUID.randomUUID().toString();
        s3.overwrite(BUCKET, orphan, new byte[3]);

        Ended ended = check("--read");

        assertThat(ended.exit()).as(ended.err()).isZero();
        assertThat(ended.lines().getFirst().has("progress")).isTrue();
        assertThat(ended.findings()).singleElement().satisfies(finding -> {
            assertThat(finding.path("kind").asText()).isEqualTo("OBJECT_ORPHANED");
            assertThat(finding.path("weight").asText()).isEqualTo("LEFTOVER");
            assertThat(finding.path("backend").asText()).isEqualTo("s3main");
            assertThat(finding.path("key").asText()).isEqualTo(orphan);
            assertThat(finding.path("foundSize").asLong()).isEqualTo(3);
        });
        assertThat(ended.summary().path("outcome").asText()).isEqualTo("DONE");
        assertThat(ended.summary().path("findings").path("OBJECT_ORPHANED").asLong())
                .isEqualTo(1);
        assertThat(ended.summary()
                        .path("backends")
                        .path("postgres")
                        .path("READ_ROWS")
                        .asLong())
                .isEqualTo(20);
    }

    @Test
    void leftoversAreDeletedIfThatIsAskedForAndOnlyThose() throws Exception {
        String orphan = UUID.randomUUID().toString();
        s3.overwrite(BUCKET, orphan, new byte[3]);
        s3.overwrite(BUCKET, "somebody else's", new byte[3]);
        database.execute("SELECT lo_from_bytea(0, 'orphan')");

        Ended proven = check("--delete-orphans", "--wait", "10ms");

        assertThat(proven.exit()).as(proven.err()).isZero();
        assertThat(s3.sizes(BUCKET)).containsOnlyKeys(orphan, "somebody else's", "blobstore-owner");
        JsonNode kept = proven.lines().get(proven.lines().size() - 2).path("kept");
        assertThat(kept.path("key").asText()).isEqualTo(orphan);
        assertThat(kept.path("why").asText()).contains("--delete-unproven");

        Ended all = check("--delete-orphans", "--delete-unproven", "--delete-large-objects", "--wait", "10ms");

        assertThat(all.exit()).as(all.err()).isZero();
        assertThat(s3.sizes(BUCKET)).containsOnlyKeys("somebody else's", "blobstore-owner");
        assertThat(database.count("SELECT count(*) FROM pg_largeobject_metadata"))
                .isEqualTo(20);
        assertThat(all.lines().stream()
                        .map(line -> line.path("deleting").path("kind").asText("")))
                .contains("OBJECT_ORPHANED", "LARGE_OBJECT_ORPHANED");
        JsonNode swept = all.lines().getLast().path("swept");
        assertThat(swept.path("deletedObjects").asLong()).isEqualTo(1);
        assertThat(swept.path("deletedLargeObjects").asLong()).isEqualTo(1);
        assertThat(swept.path("outcome").asText()).isEqualTo("DONE");
    }

    @Test
    void nothingIsDeletedWhereSomethingIsLostOrTheBucketIsAnothers() throws Exception {
        String orphan = UUID.randomUUID().toString();
        s3.overwrite(BUCKET, orphan, new byte[3]);
        s3.overwrite(BUCKET, "blobstore-owner", "another\n".getBytes());

        Ended foreign = check("--delete-orphans", "--delete-unproven", "--wait", "10ms");

        assertThat(foreign.exit()).as(foreign.err()).isEqualTo(1);
        assertThat(foreign.err()).contains("ForeignBucket", "--adopt-bucket another");
        s3.remove(BUCKET, "blobstore-owner");
        database.execute("SELECT lo_unlink(file_oid) FROM files WHERE name = '/7'");

        Ended lost = check("--delete-orphans", "--delete-unproven", "--wait", "10ms");

        assertThat(lost.exit()).as(lost.err()).isEqualTo(1);
        assertThat(s3.sizes(BUCKET)).containsOnlyKeys(orphan);
    }

    @Test
    void aLostBlobIsExitOneAndItsNameIsEscaped() throws Exception {
        database.execute("SELECT lo_unlink(file_oid) FROM files WHERE name = '/7'");
        database.execute("UPDATE files SET name = E'/\\u009b2J\\n\\u202e\"x' WHERE name = '/7'");

        Ended ended = check();

        assertThat(ended.exit()).as(ended.err()).isEqualTo(1);
        assertThat(ended.out()).matches("[\\x20-\\x7e\\n]*");
        assertThat(ended.findings()).singleElement().satisfies(finding -> {
            assertThat(finding.path("kind").asText()).isEqualTo("LARGE_OBJECT_MISSING");
            assertThat(finding.path("name").asText()).isEqualTo("/\u009b2J\n\u202e\"x");
            assertThat(finding.path("recordedSize").asLong()).isEqualTo(7);
        });
    }

    @Test
    void onlyTheBackendsThatAreNamedAreChecked() throws Exception {
        database.execute("SELECT lo_unlink(file_oid) FROM files WHERE name = '/7'");

        Ended other = check("--backend", "s3main");
        Ended both = check("--backend", "s3main", "--backend", "postgres");

        assertThat(other.exit()).as(other.err()).isZero();
        assertThat(both.exit()).as(both.err()).isEqualTo(1);
    }

    @Test
    void wrongUsageIsExitTwo() throws Exception {
        assertThat(check("--backend", "S3 Main").exit()).isEqualTo(2);
        assertThat(check("--concurrency", "0").exit()).isEqualTo(2);
        Ended unproven = check("--delete-unproven");
        assertThat(unproven.exit()).isEqualTo(2);
        assertThat(unproven.err()).contains("--delete-unproven needs --delete-orphans");
        assertThat(check("--delete-orphans", "--adopt-bucket", "two words").exit())
                .isEqualTo(2);

        Ended unknown = check("--backend", "s3dr");

        assertThat(unknown.exit()).isEqualTo(2);
        assertThat(unknown.err()).contains("BACKEND_S3DR is not set");
        environment.remove("PGHOST");
        Ended without = check();
        assertThat(without.exit()).isEqualTo(2);
        assertThat(without.err()).contains("PGHOST is not set");
    }

    @Test
    void aStoreThatIsAwayIsNamedWithExitSeventyFive() throws Exception {
        s3.close();

        Ended ended = check();

        assertThat(ended.exit()).as(ended.err()).isEqualTo(75);
        assertThat(ended.findings()).singleElement().satisfies(finding -> {
            assertThat(finding.path("kind").asText()).isEqualTo("NOT_CHECKED");
            assertThat(finding.path("backend").asText()).isEqualTo("s3main");
            assertThat(finding.path("message").asText()).contains("EndpointUnreachable");
        });
        assertThat(ended.summary()
                        .path("backends")
                        .path("postgres")
                        .path("ROWS")
                        .asLong())
                .isEqualTo(20);
    }

    @Tag("long")
    @Test
    void aDatabaseThatIsAwayIsExitSeventyFive() throws Exception {
        environment.put("PGPORT", "1");

        Ended ended = check();

        assertThat(ended.exit()).as(ended.err()).isEqualTo(75);
        assertThat(ended.findings())
                .singleElement()
                .satisfies(
                        finding -> assertThat(finding.path("message").asText()).contains("DatabaseUnreachable"));
    }

    private Ended check(String... arguments) throws IOException, InterruptedException {
        List<String> command = OurProgram.command("check");
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectOutput(folder.resolve("out").toFile())
                .redirectError(folder.resolve("err").toFile());
        builder.environment()
                .keySet()
                .removeIf(
                        name -> name.startsWith("PG") || name.startsWith("BACKEND_") || name.startsWith("BLOBSTORE_"));
        builder.environment().putAll(environment);
        Process process = builder.start();
        assertThat(process.waitFor(120, TimeUnit.SECONDS)).as("ends by itself").isTrue();
        String out = Files.readString(folder.resolve("out"));
        String err = Files.readString(folder.resolve("err"));
        assertThat(out + err).doesNotContain(LocalS3.SECRET_ACCESS_KEY);
        List<JsonNode> lines = new ArrayList<>();
        for (String line : out.lines().toList()) {
            if (line.startsWith("{")) {
                lines.add(JSON.readTree(line));
            }
        }
        return new Ended(process.exitValue(), lines, out, err);
    }
}
