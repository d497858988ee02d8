package io.flynn.blobstore.store.postgres;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.store.Precondition;
import io.flynn.blobstore.testkit.EmbeddedPg;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ServedCatalogIT {

    private static final BlobName NAME = new BlobName("/a");

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
    void memoryIsSharedByTheTransfersThatRunAtOnce() {
        assertThat(ServedCatalog.Memory.of(32 << 20, 16)).isEqualTo(new ServedCatalog.Memory(256 * 1024, 256));
        assertThat(ServedCatalog.Memory.of(32 << 20, 200)).isEqualTo(new ServedCatalog.Memory(41_943, 256));
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
