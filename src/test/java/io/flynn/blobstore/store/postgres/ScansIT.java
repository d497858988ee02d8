package io.flynn.blobstore.store.postgres;

import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.store.postgres.LargeObjects.Bytes;
import io.flynn.blobstore.store.postgres.RetiredObjects.Found;
import io.flynn.blobstore.store.postgres.RetiredObjects.Retired;
import io.flynn.blobstore.testkit.EmbeddedPg;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What is done for every page and every batch looks rows and large objects up; else blobs would cost the more the more there are. */
class ScansIT {

    private static final int ROWS = 20_000;
    private static final int PAGE = 500;
    private static final int RETIRED = 400;
    private static final Duration AGE = Duration.ofMinutes(15);

    private static final String SCANS = "SELECT pg_stat_get_numscans('%s'::regclass)";

    private static final String READ = """
            SELECT sum(pg_stat_get_tuples_returned(relation)) FROM (
                SELECT 'files'::regclass UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = 'files'::regclass) r(relation)""";

    private static final EmbeddedPg.Database FILES = EmbeddedPg.database();

    /** One connection: a session tells its counts by itself, some time after. */
    private static final Database DATABASE =
            new Database(PgSettings.decode(FILES.environment(EmbeddedPg.SUPERUSER)), "test", 1, Duration.ofSeconds(5));

    @BeforeAll
    static void fill() {
        DATABASE.with("make the schema", connection -> {
            Schema.upgrade(connection);
            return connection;
        });
        FILES.execute("""
                INSERT INTO files (file_oid, external_id, backend, name, type, size, sha512, deleted_at)
                SELECT CASE WHEN i %% 2 = 0 THEN lo_from_bytea(0, 'x') END, CASE WHEN i %% 2 = 1 THEN uuid_generate_v4() END,
                    CASE WHEN i %% 2 = 0 THEN 'postgres' ELSE 's3main' END, '/blob ' || i, '', 1, sha512('x'),
                    CASE WHEN i %% 4 = 1 THEN 'infinity'::timestamptz END
                FROM generate_series(1, %d) i""".formatted(ROWS));
        FILES.execute("""
                INSERT INTO files (external_id, backend, name, type, size, deleted_at)
                SELECT uuid_generate_v4(), 's3old', '/old blob ' || i, '', 1, now() - interval '1 hour'
                FROM generate_series(1, %d) i""".formatted(RETIRED));
        FILES.execute("VACUUM ANALYZE pg_largeobject_metadata");
        FILES.execute("CREATE TABLE told ()");
    }

    @AfterAll
    static void close() {
        DATABASE.close();
        FILES.close();
    }

    @Test
    void aBatchOfSmallBlobsIsReadWithoutLookingAtAllLargeObjects() {
        List<BlobRow> rows =
                new MoveCatalog(DATABASE).page(BackendName.POSTGRES, BlobFilter.ALL, Optional.empty(), PAGE);

        assertThat(scansOf(
                        "pg_largeobject_metadata",
                        () -> assertThat(new LargeObjects(DATABASE).readAll(rows))
                                .hasSize(PAGE)
                                .extracting(Bytes::bytes)
                                .allMatch(Optional::isPresent)))
                .isZero();
    }

    @Test
    void aPageOfRowsIsReadByTheIndexOfTheirIds() {
        MoveCatalog catalog = new MoveCatalog(DATABASE);
        Set<Integer> shards = IntStream.range(0, 200).boxed().collect(Collectors.toSet());

        Runnable pages = () -> {
            assertThat(catalog.page(BackendName.POSTGRES, BlobFilter.ALL, Optional.empty(), PAGE))
                    .hasSize(PAGE);
            assertThat(catalog.page(BackendName.POSTGRES, BlobFilter.ALL, shards, Optional.empty(), PAGE))
                    .hasSize(PAGE);
            assertThat(catalog.pageUncleaned(BackendName.POSTGRES, BlobFilter.ALL, Optional.empty(), PAGE))
                    .hasSize(PAGE);
        };

        assertThat(scansOf("files", pages)).isZero();
        assertThat(scansOf("files_name_idx", pages)).as("of the whole of it").isZero();
    }

    @Test
    void aPageOfWhatMovesLeftIsReadByTheIndexesOfIdsAndNames() {
        assertThat(scansOf(
                        "files",
                        () -> assertThat(new RetainedObjects(DATABASE)
                                        .page(S3MAIN, BlobFilter.ALL, Optional.empty(), PAGE))
                                .hasSize(PAGE)))
                .isZero();
    }

    @Test
    void aPageOfACheckIsReadByTheIndexOfIdsAndItsLargeObjectsByTheirs() {
        CheckedRows rows = new CheckedRows(DATABASE);
        Runnable page =
                () -> assertThat(rows.page("postgres", Optional.empty(), PAGE)).hasSize(PAGE);

        assertThat(scansOf("files", page)).isZero();
        assertThat(scansOf("files_name_idx", page)).as("of the whole of it").isZero();
        assertThat(scansOf("pg_largeobject_metadata", page)).isZero();
    }

    @Test
    void pagesAreInTheOrderOfTheirIdsAndLeaveNothingOut() {
        MoveCatalog catalog = new MoveCatalog(DATABASE);
        Optional<UUID> after = Optional.empty();
        long read = 0;
        List<BlobRow> page;
        do {
            page = catalog.page(BackendName.POSTGRES, BlobFilter.ALL, after, PAGE);
            assertThat(page).extracting(row -> row.id().toString()).isSorted();
            read += page.size();
            after = page.isEmpty() ? after : Optional.of(page.getLast().id());
        } while (page.size() == PAGE);
        assertThat(read).isEqualTo(ROWS / 2);
    }

    @Test
    void objectsOfDeletedRowsAreFoundInTwoReadsOfTheTableHoweverManyBatchesTheyTake() {
        RetiredObjects retired = new RetiredObjects(DATABASE);
        List<Retired> deleted = new ArrayList<>();
        Runnable pass = () -> {
            Found found = retired.find("s3old", AGE, new UUID(0, 0), 2 * RETIRED);
            found.batches(RETIRED / 40)
                    .forEach(batch -> retired.collect("s3old", AGE, batch, rows -> {
                        deleted.addAll(rows);
                        return rows;
                    }));
        };

        assertThat(readBy(pass)).isLessThan(2L * (ROWS + RETIRED) + 20L * RETIRED);
        assertThat(deleted).hasSize(RETIRED).doesNotHaveDuplicates();
    }

    /** How often {@code relation} is read from its beginning to its end meanwhile. */
    private static long scansOf(String relation, Runnable work) {
        return grownBy(SCANS.formatted(relation), work);
    }

    /** How many rows and entries of indexes are read of the table meanwhile. */
    private static long readBy(Runnable work) {
        return grownBy(READ, work);
    }

    private static long grownBy(String count, Runnable work) {
        haveSessionTell();
        long before = FILES.count(count);
        work.run();
        haveSessionTell();
        return FILES.count(count) - before;
    }

    private static void haveSessionTell() {
        long told = FILES.count(SCANS.formatted("told"));
        await().atMost(Duration.ofMinutes(1)).until(() -> {
            DATABASE.with(
                    "read a table", connection -> connection.createStatement().execute("TABLE told"));
            return FILES.count(SCANS.formatted("told")) > told;
        });
    }
}
