package io.flynn.blobstore.store.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BlobFilter;
import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.Precondition;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.StatementLink;
import java.io.InputStream;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What connections wait for, and what is made of one that ends. */
class DatabaseIT {

    private static final Duration ANSWER = Duration.ofSeconds(1);

    private final EmbeddedPg.Database pg = EmbeddedPg.database();
    private final Database database =
            new Database(PgSettings.decode(pg.environment(EmbeddedPg.SUPERUSER)), "test", 1, ANSWER, ANSWER);

    @BeforeEach
    void makeSchema() throws Exception {
        try (Connection connection = pg.connect()) {
            Schema.upgrade(connection);
        }
    }

    @AfterEach
    void close() {
        database.close();
        pg.close();
    }

    @Test
    void aLargeObjectThatTakesLongToUnlinkIsCleaned() {
        pg.execute("""
                INSERT INTO files (file_oid, external_id, backend, name, type, size)
                VALUES (lo_from_bytea(0, 'slug'), uuid_generate_v4(), 's3main', '/slug', '', 4)""");
        pg.execute("""
                CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(2); RETURN NEW; END $$""");
        pg.execute("CREATE TRIGGER slow BEFORE UPDATE ON files FOR EACH ROW EXECUTE FUNCTION slow()");
        MoveCatalog catalog = new MoveCatalog(database);
        List<BlobRow> rows = catalog.pageUncleaned(Blobs.S3MAIN, BlobFilter.ALL, Optional.empty(), 10);

        MigrationFence fence = new MigrationFence(database, "migration");
        assertThat(fence.holding(() -> catalog.clean(fence, rows, Blobs.S3MAIN)))
                .hasSize(1);

        assertThat(pg.count("SELECT count(*) FROM pg_largeobject_metadata")).isZero();
        assertThatThrownBy(() -> database.with("sleep", DatabaseIT::sleep))
                .as("other answers are waited for as before")
                .isInstanceOf(StorageFailure.Unreachable.class);
    }

    @ParameterizedTest
    @CsvSource({
        "PGPORT, 1, DatabaseUnreachable, check PGHOST and PGPORT",
        "PGUSER, nobody_of_that_name, DatabaseDenied, check PGUSER and PGPASSWORD",
        "PGDATABASE, no_such, DatabaseDenied, check PGDATABASE"
    })
    void whatIsWrongWithTheWayToTheDatabaseIsNamed(String variable, String value, String reason, String fix) {
        Map<String, String> environment = new HashMap<>(pg.environment(EmbeddedPg.SUPERUSER));
        environment.put(variable, value);

        try (Database wrong = new Database(PgSettings.decode(environment), "wrong", 1, Duration.ofSeconds(5))) {
            assertThatThrownBy(() -> wrong.with("count rows", connection -> connection.isValid(1)))
                    .isInstanceOfSatisfying(
                            StorageFailure.class,
                            failure -> assertThat(failure.reason()).isEqualTo(reason))
                    .hasMessageContainingAll("could not count rows", fix);
        }
    }

    /** The pool learns from its first connection what the others are to be like. */
    @Test
    void aConnectionThatBreaksWhileItIsMadeSpoilsNoOther() {
        for (int statement = 1; statement <= 6; statement++) {
            try (StatementLink link = StatementLink.to(pg.host(), pg.port())) {
                Map<String, String> environment = new HashMap<>(pg.environment(EmbeddedPg.SUPERUSER));
                environment.put("PGPORT", Integer.toString(link.port()));
                link.fail(statement, StatementLink.Fault.CUT_BEFORE);
                try (Database fresh = new Database(PgSettings.decode(environment), "fresh", 1, Duration.ofSeconds(5))) {
                    Database.Work<Boolean> work = connection -> connection.isValid(1);
                    try {
                        fresh.with("ask", work);
                    } catch (StorageFailure e) {
                        assertThat(e.isTransient()).isTrue();
                    }
                    link.fail(0, StatementLink.Fault.CUT_BEFORE);
                    assertThat(fresh.with("ask once more", work))
                            .as("statement %d broke", statement)
                            .isTrue();
                }
            }
        }
    }

    @Test
    void aConnectionThatPostgresqlEndsForBeingIdleIsNoDenial() {
        pg.execute("ALTER DATABASE " + pg.name() + " SET idle_in_transaction_session_timeout = 100");

        assertThatThrownBy(() -> database.inTransaction("store a slow upload", connection -> {
                    try (Statement statement = connection.createStatement()) {
                        statement.execute("SELECT 1");
                        Pauses.sleep(Duration.ofMillis(600));
                        return statement.execute("SELECT 1");
                    }
                }))
                .isInstanceOfSatisfying(
                        StorageFailure.class,
                        failure -> assertThat(failure.isTransient())
                                .as(failure.getMessage())
                                .isTrue());
    }

    /** After a failover, what was the primary may be a standby: a new connection finds the one that is now. */
    @Test
    void connectionThatOnlyReadsIsNotUsedAgain() {
        List<ThrowingCallable> changes = List.of(
                () -> database.inTransaction("change", connection -> execute(connection, "DELETE FROM files")),
                () -> new ServedCatalog(database)
                        .put(new BlobName("/a"), "", Precondition.NONE, InputStream.nullInputStream()));
        for (ThrowingCallable change : changes) {
            database.with(
                    "make it read only",
                    connection -> execute(connection, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"));

            assertThatThrownBy(change)
                    .isInstanceOfSatisfying(
                            StorageFailure.Busy.class,
                            failure -> assertThat(failure.reason()).isEqualTo("DatabaseReadOnly"));
            assertThatCode(change).doesNotThrowAnyException();
        }
    }

    private static boolean execute(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            return statement.execute(sql);
        }
    }

    private static boolean sleep(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            return statement.execute("SELECT pg_sleep(2)");
        }
    }
}
