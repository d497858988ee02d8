package io.flynn.blobstore.store.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.store.Precondition;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.StatementLink;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ServedCatalogIT {

    private static final BlobName NAME = new BlobName("/a");
    private static final int SMALL = 1000;

    private final EmbeddedPg.Database files = EmbeddedPg.database();
    private final Database database =
            new Database(PgSettings.decode(files.environment(EmbeddedPg.SUPERUSER)), "test", 4, Duration.ofSeconds(5));

    @BeforeEach
    void makeSchema() {
        database.with("make the schema", connection -> {
            Schema.upgrade(connection);
            return connection;
        });
    }

    @AfterEach
    void close() {
        database.close();
        files.close();
    }

    /** As many clients as there is memory for don't read what they asked for. */
    @Test
    void smallBlobIsStreamedWhileOthersFillTheMemory() throws IOException {
        ServedCatalog catalog = new ServedCatalog(database, new ServedCatalog.Memory(1 << 16, 1));
        byte[] bytes = bytes(1000);
        catalog.put(NAME, "", Precondition.NONE, new ByteArrayInputStream(bytes));

        catalog.read(NAME, (version, held) -> {
            assertThat(transactions()).as("it is in memory").isZero();
            catalog.read(NAME, (same, streamed) -> {
                assertThat(transactions()).as("a transaction has it").isOne();
                assertThat(read(streamed, 1000)).isEqualTo(bytes);
            });
            assertThat(read(held, 1000)).isEqualTo(bytes);
        });
        catalog.read(NAME, (version, again) -> assertThat(transactions()).isZero());
    }

    @Test
    void largeBlobKeepsNoSmallOneOutOfTheMemory() throws IOException {
        ServedCatalog catalog = new ServedCatalog(database, new ServedCatalog.Memory(1 << 16, 1));
        BlobName large = new BlobName("/large");
        catalog.put(NAME, "", Precondition.NONE, new ByteArrayInputStream(bytes(1000)));
        catalog.put(large, "", Precondition.NONE, new ByteArrayInputStream(bytes(100_000)));

        catalog.read(large, (version, streamed) -> {
            assertThat(transactions()).isOne();
            catalog.read(NAME, (small, held) -> assertThat(transactions()).isOne());
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 16_383, 16_384, 16_385, 32_768, 100_000})
    void chunksOfAnySizeMakeTheSameBlob(int length) throws IOException {
        ServedCatalog catalog = new ServedCatalog(database, ServedCatalog.Memory.of(1, 1_000));
        byte[] bytes = bytes(length);

        assertThat(catalog.put(NAME, "", Precondition.NONE, new ByteArrayInputStream(bytes))
                        .size())
                .isEqualTo(length);

        catalog.read(NAME, (version, read) -> assertThat(read(read, length)).isEqualTo(bytes));
    }

    @Test
    void smallBlobIsReadByOneStatementAndReplacedByOne() throws IOException {
        try (StatementLink link = StatementLink.to(files.host(), files.port());
                Database counted = new Database(behind(link), "test", 1, Duration.ofSeconds(5))) {
            ServedCatalog catalog = new ServedCatalog(counted);
            catalog.put(NAME, "", Precondition.NONE, new ByteArrayInputStream(bytes(1000)));

            link.fail(0, StatementLink.Fault.CUT_BEFORE);
            catalog.put(NAME, "", Precondition.NONE, new ByteArrayInputStream(bytes(2000)));
            assertThat(link.statements()).isOne();

            link.fail(0, StatementLink.Fault.CUT_BEFORE);
            catalog.read(NAME, (version, read) -> assertThat(read(read, 2000)).isEqualTo(bytes(2000)));
            assertThat(link.statements()).isOne();
        }
    }

    /** Nothing is there to be replaced when it looks, and when it writes, there is. */
    @Test
    void smallBlobReplacesWhatWasStoredWhileItWas() throws Exception {
        putSmallWhile("INSERT INTO files (file_oid, backend, name, type, size)"
                + " VALUES (lo_from_bytea(0, 'old'), 'postgres', '/a', '', 3)");
        assertOnlyBlobIsSmall();
    }

    /** The row is another one once it was waited for. */
    @Test
    void smallBlobReplacesWhatReplacedAnotherWhileItWasStored() throws Exception {
        new ServedCatalog(database).put(NAME, "", Precondition.NONE, new ByteArrayInputStream(bytes(10)));
        putSmallWhile(
                "UPDATE files SET deleted_at = now() WHERE name = '/a'",
                "INSERT INTO files (file_oid, backend, name, type, size)"
                        + " VALUES (lo_from_bytea(0, 'old'), 'postgres', '/a', '', 3)");
        assertOnlyBlobIsSmall();
    }

    /** As from a bucket: the large object is younger than the statement that waits for the row. */
    @Test
    void smallBlobReplacesWhatCameIntoTheDatabaseWhileItWasStored() throws Exception {
        files.execute("INSERT INTO files (external_id, backend, name, type, size)"
                + " VALUES (gen_random_uuid(), 's3', '/a', '', 3)");
        putSmallWhile("UPDATE files SET file_oid = lo_from_bytea(0, 'old'), backend = 'postgres', external_id = NULL");
        assertOnlyBlobIsSmall();
    }

    @Test
    void smallBlobReplacesOneWhoseLargeObjectIsMissing() throws IOException {
        files.execute("INSERT INTO files (file_oid, backend, name, type, size) VALUES (4711, 'postgres', '/a', '', 3)");
        assertThat(put(new ServedCatalog(database), bytes(SMALL)).size()).isEqualTo(SMALL);
        assertOnlyBlobIsSmall();
    }

    private void putSmallWhile(String... statements) throws Exception {
        try (Connection other = files.connect();
                Statement statement = other.createStatement()) {
            other.setAutoCommit(false);
            for (String sql : statements) {
                statement.execute(sql);
            }
            CompletableFuture<BlobContent> stored =
                    CompletableFuture.supplyAsync(() -> put(new ServedCatalog(database), bytes(SMALL)));
            await().until(() -> files.count("SELECT count(*) FROM pg_stat_activity"
                            + " WHERE datname = current_database() AND wait_event_type = 'Lock'")
                    > 0);
            other.commit();
            assertThat(stored.get(1, TimeUnit.MINUTES).size()).isEqualTo(SMALL);
        }
    }

    private void assertOnlyBlobIsSmall() throws IOException {
        new ServedCatalog(database)
                .read(NAME, (version, read) -> assertThat(read(read, SMALL)).isEqualTo(bytes(SMALL)));
        assertThat(files.count("SELECT count(*) FROM files WHERE deleted_at IS NULL"))
                .isOne();
        assertThat(files.count("SELECT count(*) FROM pg_largeobject_metadata"))
                .as("large objects")
                .isOne();
    }

    @Test
    void memoryIsSharedByTheTransfersThatRunAtOnce() {
        assertThat(ServedCatalog.Memory.of(32 << 20, 16)).isEqualTo(new ServedCatalog.Memory(256 * 1024, 256));
        assertThat(ServedCatalog.Memory.of(32 << 20, 200)).isEqualTo(new ServedCatalog.Memory(41_943, 256));
    }

    private PgSettings behind(StatementLink link) {
        Map<String, String> environment = new HashMap<>(files.environment(EmbeddedPg.SUPERUSER));
        environment.put("PGPORT", Integer.toString(link.port()));
        return PgSettings.decode(environment);
    }

    private static BlobContent put(ServedCatalog catalog, byte[] bytes) {
        try {
            return catalog.put(NAME, "", Precondition.NONE, new ByteArrayInputStream(bytes));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private long transactions() {
        return files.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                + " AND state = 'idle in transaction'");
    }

    private static byte[] read(ServedCatalog.Bytes bytes, int length) throws IOException {
        ByteArrayOutputStream read = new ByteArrayOutputStream();
        bytes.copyTo(read, 0, length);
        return read.toByteArray();
    }

    private static byte[] bytes(int length) {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return bytes;
    }
}
