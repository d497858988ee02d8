package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.decide.VacuumMode;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.testkit.EmbeddedPg;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;

/** What the vacuum stage does while others use the tables. */
class VacuumIT extends MoveFixture {

    @Test
    void autoDoesNotRewriteWhatAnOpenSnapshotHoldsBack() throws Exception {
        for (int i = 0; i < 9; i++) {
            world.add("/slug" + i, bytes(8 * 1024 * 1024, i));
        }
        try (Connection reader = world.pg.connect();
                Statement statement = reader.createStatement()) {
            reader.setAutoCommit(false);
            reader.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            statement.execute("SELECT 1");
            world.pg.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata");
            long file = file("pg_largeobject");

            StageReport vacuumed = world.vacuum(VacuumMode.AUTO);

            assertThat(method(vacuumed)).isEqualTo("PLAIN");
            assertThat(file("pg_largeobject")).as("not rewritten").isEqualTo(file);
            assertThat(vacuumed.figure(Figure.LOCK_HELD_MILLIS)).isEmpty();
            reader.rollback();
        }
        assertThat(method(world.vacuum(VacuumMode.AUTO))).isEqualTo("FULL");
    }

    /** PostgreSQL skips the other table with a warning, and reports success. */
    @Test
    void theRightToHalfOfAVacuumIsNone() {
        assumeTrue(world.pg.count("SHOW server_version_num") >= 170_000, "MAINTAIN came with PostgreSQL 17");
        String role = EmbeddedPg.role();
        try (MoveWorld poor = new MoveWorld(s3, role)) {
            poor.pg.execute("GRANT MAINTAIN ON pg_catalog.pg_largeobject TO " + role);
            assertThatThrownBy(() -> poor.vacuum(VacuumMode.FULL))
                    .isInstanceOfSatisfying(
                            StorageFailure.Denied.class,
                            denied -> assertThat(denied.reason()).isEqualTo(Reasons.VACUUM_NOT_PERMITTED))
                    .hasMessageContainingAll(
                            "PGUSER", "GRANT MAINTAIN ON pg_largeobject, pg_largeobject_metadata", "spec.vacuum.mode");

            poor.pg.execute("GRANT MAINTAIN ON pg_catalog.pg_largeobject_metadata TO " + role);
            assertThat(poor.vacuum(VacuumMode.FULL).reason()).isEqualTo(Reasons.DONE);
        }
    }

    @Test
    void fullIsNotRepeatedForATableThatIsDone() throws Exception {
        world.pg.execute("SELECT lo_from_bytea(0, 'x')");
        CompletableFuture<StageReport> vacuumed;
        long done;
        try (Connection holder = holding("pg_largeobject_metadata")) {
            long before = file("pg_largeobject");
            vacuumed = CompletableFuture.supplyAsync(() -> world.vacuum(VacuumMode.FULL));
            Awaitility.await().atMost(20, TimeUnit.SECONDS).until(() -> file("pg_largeobject") != before);
            done = file("pg_largeobject");
            // One attempt waits for 2 s, and the pause between two is 3 s.
            Thread.sleep(7_000);
            assertThat(vacuumed).isNotDone();
            assertThat(file("pg_largeobject")).isEqualTo(done);
            holder.rollback();
        }
        StageReport report = vacuumed.get(30, TimeUnit.SECONDS);
        assertThat(report.reason()).isEqualTo(Reasons.DONE);
        assertThat(file("pg_largeobject")).isEqualTo(done);
        assertThat(report.figure(Figure.LOCK_HELD_MILLIS).orElseThrow())
                .as("readers queued behind the attempts that failed")
                .isGreaterThan(2_000);
    }

    @Test
    void autoThatGivesUpTellsWhatItDidAndHowLongReadersWaited() throws Exception {
        world.pg.execute("SELECT lo_from_bytea(0, 'x')");
        // Gives up after the first attempt.
        world.stop.request();
        try (Connection holder = holding("pg_largeobject_metadata")) {
            StageReport report = world.vacuum(VacuumMode.AUTO);

            assertThat(report.outcome()).isEqualTo(ExitCode.DONE);
            assertThat(method(report)).as("large objects were rewritten").isEqualTo("FULL");
            assertThat(report.findings()).extracting(Finding::level).contains(Level.WARNING);
            assertThat(report.figure(Figure.LOCK_HELD_MILLIS).orElseThrow()).isGreaterThanOrEqualTo(2_000);
            holder.rollback();
        }
        try (Connection holder = holding("pg_largeobject")) {
            StageReport report = world.vacuum(VacuumMode.AUTO);

            assertThat(method(report)).isEqualTo("PLAIN");
            assertThat(report.figure(Figure.LOCK_HELD_MILLIS).orElseThrow()).isGreaterThanOrEqualTo(2_000);
            holder.rollback();
        }
    }

    private long file(String table) {
        return world.pg.count("SELECT pg_relation_filenode('pg_catalog." + table + "')");
    }

    private static String method(StageReport report) {
        return report.findings().stream()
                .filter(finding -> finding.subject().equals("method"))
                .map(Finding::message)
                .findFirst()
                .orElseThrow();
    }

    /** A transaction that once looked at the table, and holds no snapshot. */
    private Connection holding(String table) throws SQLException {
        Connection connection = world.pg.connect();
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.execute("LOCK pg_catalog." + table + " IN ACCESS SHARE MODE");
        }
        return connection;
    }
}
