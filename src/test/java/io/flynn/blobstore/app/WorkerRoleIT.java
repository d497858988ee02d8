package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.flynn.blobstore.store.postgres.Schema;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The worker as a process of its own: exit codes, report, progress, and what it never says. */
class WorkerRoleIT {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String BUCKET = "flynnblobstore";

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final LocalS3 s3 = LocalS3.start();
    private final Map<String, String> environment = new HashMap<>();

    @TempDir
    private Path folder;

    private record Ended(int exit, JsonNode report, String out, String err) {}

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

    private Process start(String... arguments) throws IOException {
        List<String> command = OurProgram.command("worker");
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectOutput(folder.resolve("out").toFile())
                .redirectError(folder.resolve("err").toFile());
        builder.environment()
                .keySet()
                .removeIf(
                        name -> name.startsWith("PG") || name.startsWith("BACKEND_") || name.startsWith("BLOBSTORE_"));
        builder.environment().putAll(environment);
        builder.environment().put("BLOBSTORE_REPORT", folder.resolve("report").toString());
        return builder.start();
    }

    private Ended end(Process process) throws Exception {
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).as("ends by itself").isTrue();
        String out = Files.readString(folder.resolve("out"));
        String err = Files.readString(folder.resolve("err"));
        assertThat(out + err).doesNotContain(LocalS3.SECRET_ACCESS_KEY, "wrong-s3cret");
        Path report = folder.resolve("report");
        return new Ended(
                process.exitValue(),
                Files.exists(report) ? JSON.readTree(Files.readAllBytes(report)) : JSON.missingNode(),
                out,
                err);
    }

    private Ended run(String... arguments) throws Exception {
        return end(start(arguments));
    }

    private static String[] copy(String... more) {
        List<String> arguments = new ArrayList<>(
                List.of("copy", "--migration", "uid-1", "--name", "apps/pg-to-s3", "--from", "postgres"));
        arguments.addAll(List.of("--to", "s3main"));
        arguments.addAll(List.of(more));
        return arguments.toArray(String[]::new);
    }

    @Test
    void aStageTellsItsProgressAndItsReport() throws Exception {
        database.execute("INSERT INTO files (file_oid, backend, name, type, size, sha512)"
                + " SELECT lo_from_bytea(0, b), 'postgres', '/' || n, '', length(b), sha512(b)"
                + " FROM generate_series(1, 20) n, convert_to(repeat('x', n * 1000), 'UTF8') b");

        Ended copied = run(copy());

        assertThat(copied.exit()).as(copied.err()).isZero();
        assertThat(copied.report().path("stage").asText()).isEqualTo("COPY");
        assertThat(copied.report().path("figures").path("COPIED_BLOBS").asLong())
                .isEqualTo(20);
        List<String> lines = copied.out().lines().toList();
        assertThat(JSON.readTree(lines.getFirst())
                        .path("progress")
                        .path("stage")
                        .asText())
                .isEqualTo("COPY");
        assertThat(JSON.readTree(lines.getLast()).path("report")).isEqualTo(copied.report());
    }

    @Test
    void aCloneWritesAndDeletesNothingInTheOriginalsBucket() throws Exception {
        database.execute("INSERT INTO files (file_oid, backend, name, type, size, sha512)"
                + " SELECT lo_from_bytea(0, b), 'postgres', '/' || n, '', length(b), sha512(b)"
                + " FROM generate_series(1, 3) n, convert_to(repeat('x', n * 1000), 'UTF8') b");
        environment.put("BLOBSTORE_INSTALLATION", "original");
        assertThat(run("probe", "--backend", "s3main").exit()).isZero();
        Map<String, Long> objects = s3.sizes(BUCKET);
        long deleted = s3.count(LocalS3.Operation.DELETE);
        environment.put("BLOBSTORE_INSTALLATION", "clone");

        for (Ended refused : List.of(
                run("probe", "--backend", "s3main"),
                run("plan", "--migration", "uid-1", "--from", "postgres", "--to", "s3main"),
                run(copy()),
                run("clean", "--migration", "uid-1", "--to", "s3main"))) {
            assertThat(refused.exit()).as(refused.err()).isEqualTo(1);
            assertThat(refused.report().path("reason").asText()).isEqualTo("ForeignBucket");
            assertThat(refused.report().path("message").asText())
                    .contains("belongs to installation original, this is clone", "--adopt-bucket original");
        }
        assertThat(s3.sizes(BUCKET)).isEqualTo(objects);
        assertThat(s3.count(LocalS3.Operation.DELETE)).isEqualTo(deleted);
        assertThat(database.count("SELECT count(*) FROM files WHERE backend = 'postgres'"))
                .isEqualTo(3);

        assertThat(run(copy("--adopt-bucket", "original")).exit()).isZero();
        assertThat(run(copy()).exit()).isZero();
        environment.put("BLOBSTORE_INSTALLATION", "original");
        assertThat(run(copy()).report().path("reason").asText()).isEqualTo("ForeignBucket");
    }

    @Test
    void aRestoredDatabaseIsAnotherInstallationWhereNoneIsNamed() throws Exception {
        assertThat(run(copy()).exit()).isZero();
        try (EmbeddedPg.Database restored = EmbeddedPg.database()) {
            try (Connection connection = restored.connect()) {
                Schema.upgrade(connection);
            }
            environment.putAll(restored.environment(EmbeddedPg.SUPERUSER));

            Ended refused = run(copy());

            assertThat(refused.exit()).isEqualTo(1);
            assertThat(refused.report().path("reason").asText()).isEqualTo("ForeignBucket");
            assertThat(refused.report().path("message").asText()).contains("installation postgresql/");
        }
    }

    @Test
    void whatNamesNoInstallationIsExitTwoAndIsReported() throws Exception {
        Ended adopted = run(copy("--adopt-bucket", "two words"));
        environment.put("BLOBSTORE_INSTALLATION", "-");
        Ended named = run(copy());

        assertThat(adopted.exit()).isEqualTo(2);
        assertThat(adopted.report().path("message").asText()).contains("--adopt-bucket", "\"two words\"");
        assertThat(named.exit()).isEqualTo(2);
        assertThat(named.report().path("message").asText()).contains("BLOBSTORE_INSTALLATION", "\"-\"");
    }

    @Test
    void aVariableThatIsMissingIsNamedWithExitTwo() throws Exception {
        environment.remove("PGHOST");

        Ended plan = run("plan", "--migration", "uid-1", "--from", "postgres", "--to", "s3main");

        assertThat(plan.exit()).isEqualTo(2);
        assertThat(plan.report().path("reason").asText()).isEqualTo("EnvironmentIncomplete");
        assertThat(plan.report().path("message").asText()).contains("PGHOST is not set", "set it in the Deployment");
    }

    @Test
    void aBackendThatTheEnvironmentLacksIsNamedWithExitTwo() throws Exception {
        Ended plan = run("plan", "--migration", "uid-1", "--from", "postgres", "--to", "s3dr");

        assertThat(plan.exit()).isEqualTo(2);
        assertThat(plan.report().path("reason").asText()).isEqualTo("BackendUnknown");
        assertThat(plan.report().path("message").asText()).contains("BACKEND_S3DR is not set");
    }

    @Test
    void aWrongKeyIsExitOneAndTheKeyIsNotRepeated() throws Exception {
        environment.put("BACKEND_S3MAIN_SECRET_ACCESS_KEY", "wrong-s3cret");

        Ended probe = run("probe", "--backend", "s3main");

        assertThat(probe.exit()).isEqualTo(1);
        assertThat(probe.report().path("reason").asText()).isEqualTo("CredentialsRefused");
        assertThat(probe.report().path("figures").path("BLOBS").isMissingNode())
                .as("the database answers all the same")
                .isFalse();
    }

    @Test
    void aDatabaseThatIsAwayIsExitSeventyFive() throws Exception {
        environment.put("PGPORT", "1");

        Ended counted = run("probe", "--backend", "s3main", "--inventory-only");

        assertThat(counted.exit()).isEqualTo(75);
        assertThat(counted.report().path("reason").asText()).isEqualTo("DatabaseUnreachable");
    }

    @Test
    void rowsAreCountedWithoutTheBackendsSettings() throws Exception {
        environment.keySet().removeIf(name -> name.startsWith("BACKEND_"));

        Ended counted = run("probe", "--backend", "s3main", "--inventory-only");

        assertThat(counted.exit()).as(counted.err()).isZero();
        assertThat(counted.report().path("figures").path("BLOBS").asLong()).isZero();
    }

    @Test
    void wrongUsageIsExitTwo() throws Exception {
        Ended wrong = run(copy("--concurrency", "many"));

        assertThat(wrong.exit()).isEqualTo(2);
        assertThat(wrong.err()).contains("--concurrency", "many");
    }

    @Test
    void sigtermDrainsAndIsExitSeventyFive() throws Exception {
        database.execute("INSERT INTO files (file_oid, backend, name, type, size, sha512)"
                + " SELECT lo_from_bytea(0, b), 'postgres', '/' || n, '', length(b), sha512(b)"
                + " FROM generate_series(1, 3000) n, convert_to(repeat(n::text, 4000), 'UTF8') b");
        Process process = start(copy("--concurrency", "2"));
        org.awaitility.Awaitility.await()
                .atMost(30, TimeUnit.SECONDS)
                .until(() -> database.count("SELECT count(*) FROM files WHERE backend = 's3main'") > 0);

        process.destroy();
        Ended ended = end(process);

        assertThat(ended.exit()).isEqualTo(75);
        assertThat(ended.report().path("reason").asText()).isEqualTo("Interrupted");
        long moved = database.count("SELECT count(*) FROM files WHERE backend = 's3main'");
        assertThat(moved).isBetween(1L, 2999L);
        assertThat(ended.report().path("figures").path("COPIED_BLOBS").asLong()).isEqualTo(moved);
    }

    @Test
    void theVersionIsToldByTheProgram() throws Exception {
        Process process = new ProcessBuilder(OurProgram.command("--version")).start();
        assertThat(new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                .matches("blobstore [0-9]+\\.[0-9]+\\.[0-9]+\\R");
        assertThat(process.waitFor()).isZero();
    }
}
