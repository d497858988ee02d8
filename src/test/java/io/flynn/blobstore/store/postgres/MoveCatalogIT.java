package io.flynn.blobstore.store.postgres;

import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.store.postgres.MoveCatalog.Flip;
import io.flynn.blobstore.testkit.EmbeddedPg;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class MoveCatalogIT {

    private final EmbeddedPg.Database files = EmbeddedPg.database();
    private final Database database =
            new Database(PgSettings.decode(files.environment(EmbeddedPg.SUPERUSER)), "test", 2, Duration.ofSeconds(5));
    private final MoveCatalog catalog = new MoveCatalog(database);

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

    @Test
    void aBatchOfFlipsReadsNoTableFromItsBeginningToItsEnd() {
        files.execute("""
                INSERT INTO files (file_oid, backend, name, type, size, sha512)
                SELECT i, 'postgres', '/blob ' || i, '', 10, sha512('0123456789') FROM generate_series(1, 10000) i""");
        List<Flip> batch = catalog.page(BackendName.POSTGRES, BlobFilter.ALL, Optional.empty(), 500).stream()
                .map(row -> Flip.toObject(
                        row, new ObjectKey(UUID.randomUUID()), row.sha512().orElseThrow()))
                .toList();
        MigrationFence fence = new MigrationFence(database, "migration-1");

        long scans = fence.holding(() -> database.inTransaction("flip", connection -> {
            long before = scans(connection);
            assertThat(MoveCatalog.flip(connection, fence, batch, BackendName.POSTGRES, S3MAIN))
                    .hasSize(500);
            return scans(connection) - before;
        }));

        assertThat(scans).isZero();
    }

    /** How often the session has read the table, or the whole of its index of names. */
    private static long scans(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("""
                        SELECT sum(pg_stat_get_xact_numscans(oid)) FROM pg_class
                        WHERE oid IN ('files'::regclass, 'files_name_idx'::regclass)""")) {
            row.next();
            return row.getLong(1);
        }
    }
}
