package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.S3MAIN;
import static io.flynn.blobstore.move.MoveWorld.S3OTHER;
import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.store.Traffic;
import io.flynn.blobstore.store.postgres.LargeObjectArrivals;
import io.flynn.blobstore.store.postgres.LargeObjects;
import io.flynn.blobstore.store.postgres.MoveCatalog;
import io.flynn.blobstore.store.postgres.MoveGuard;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.EmbeddedPg;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * An old server appends to a blob in a bucket while it moves out of it. The append reads the row, puts the whole under a new key where
 * that says, names the key in the row, describes the whole, deletes the object that it replaced, and commits; the move comes at each
 * step.
 */
class LateWritesIT extends MoveFixture {

    private static final byte[] BEFORE = bytes(1000, 1);
    private static final byte[] AFTER = Arrays.copyOf(BEFORE, 1500);

    enum MoveAfter {
        BEGIN,
        READ,
        STORED,
        NAMED,
        DESCRIBED,
        DELETED,
        COMMITTED
    }

    record Case(Route route, MoveAfter step) {}

    static List<Case> cases() {
        return Arrays.stream(MoveAfter.values())
                .flatMap(step -> List.of(
                        new Case(Route.ofAll(S3MAIN, BackendName.POSTGRES), step),
                        new Case(Route.ofAll(S3MAIN, S3OTHER), step))
                        .stream())
                .toList();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void anAppendIsThereOrWasRefusedWheneverTheMoveComes(Case at) throws SQLException {
        UUID id = world.addObject("/log", BEFORE);
        // Set when copying starts, before the append begins.
        new MoveGuard(world.database).install();
        UUID other = world.addObject("/other", bytes(10, 3));
        boolean isAcknowledged = append(id, at.step(), () -> moveWithoutWaiting(at.route()));

        assertThat(world.copy(at.route()).reason()).isEqualTo(Reasons.DONE);

        assertThat(world.verify(at.route()).reason()).isEqualTo(Reasons.DONE);
        assertThat(content(id)).isEqualTo(isAcknowledged ? AFTER : BEFORE);
        assertThat(content(other)).isEqualTo(bytes(10, 3));
        assertThat(isAcknowledged)
                .as("only what was read before the move, and written after it, is refused")
                .isEqualTo(at.step() != MoveAfter.READ
                        && at.step() != MoveAfter.STORED
                        && !(at.step() == MoveAfter.BEGIN && at.route().to().isExternal()));
    }

    /** A row that the append holds is passed over; the run would wait for it. */
    private void moveWithoutWaiting(Route route) {
        StageContext context = world.context(Stage.COPY);
        Stores stores = world.stores();
        BlobSource source = new ObjectSource(S3MAIN, stores.at(S3MAIN), new Traffic());
        var uploads = new java.util.concurrent.atomic.AtomicLong();
        var catalog = new MoveCatalog(world.database);
        Mover mover = route.to().isExternal()
                ? new BlobMover(source, stores.at(route.to()), route.to(), uploads)
                : new LargeObjectMover(
                        new ObjectSource(S3MAIN, stores.at(S3MAIN), new Traffic()),
                        new LargeObjects(world.database),
                        new LargeObjectArrivals(world.database, context.fence()),
                        catalog,
                        new Traffic(),
                        uploads);
        context.fence().holding(() -> {
            try (var shards = io.flynn.blobstore.store.postgres.Shards.join(world.database)) {
                shards.claim(catalog.countByShard(S3MAIN, route.filter()).keySet());
                new CopyPass(context, route, source, mover, new Failures(1, context.progress()))
                        .run(shards, (batch, flipped) -> {});
            }
            return true;
        });
    }

    private byte[] content(UUID id) {
        return world.backend(id).equals("postgres") ? world.largeObject(id) : world.object(id);
    }

    /** @return whether it was acknowledged */
    private boolean append(UUID id, MoveAfter step, Runnable move) throws SQLException {
        String key = UUID.randomUUID().toString();
        try (Connection connection = world.pg.connect();
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute("SELECT 1");
            at(MoveAfter.BEGIN, step, move);
            Map<String, String> buckets = Map.of("s3main", world.bucket, "s3other", world.otherBucket);
            String[] row = read(statement, id);
            at(MoveAfter.READ, step, move);
            if (row[0].equals("postgres")) {
                statement.execute("SELECT lo_put(file_oid, 1000, '\\x%s') FROM files WHERE file_id = '%s'"
                        .formatted("00".repeat(500), id));
            } else {
                s3.overwrite(buckets.get(row[0]), key, AFTER);
            }
            at(MoveAfter.STORED, step, move);
            if (!row[0].equals("postgres")) {
                statement.execute("UPDATE files SET external_id = '%s' WHERE file_id = '%s'".formatted(key, id));
            }
            at(MoveAfter.NAMED, step, move);
            statement.execute("UPDATE files SET size = 1500, sha512 = '\\x%s' WHERE file_id = '%s'"
                    .formatted(Blobs.sha512(AFTER), id));
            at(MoveAfter.DESCRIBED, step, move);
            if (!row[0].equals("postgres")) {
                s3.remove(buckets.get(row[0]), row[1]);
            }
            at(MoveAfter.DELETED, step, move);
            connection.commit();
        } catch (SQLException e) {
            assertThat(e.getSQLState()).as(e.getMessage()).isEqualTo("40001");
            return false;
        }
        at(MoveAfter.COMMITTED, step, move);
        return true;
    }

    private static void at(MoveAfter now, MoveAfter step, Runnable move) {
        if (now == step) {
            move.run();
        }
    }

    private static String[] read(Statement statement, UUID id) throws SQLException {
        try (var rows =
                statement.executeQuery("SELECT backend, external_id FROM files WHERE file_id = '%s'".formatted(id))) {
            rows.next();
            return new String[] {rows.getString(1), rows.getString(2)};
        }
    }

    @Test
    void longAfterItsMoveABlobIsAppendedToAsEver() throws SQLException {
        UUID id = world.addObject("/log", BEFORE);
        Route route = Route.ofAll(S3MAIN, S3OTHER);
        assertThat(world.copy(route).reason()).isEqualTo(Reasons.DONE);
        world.pg.execute("UPDATE blobstore_flips SET flipped_at = flipped_at - interval '1 minute'");

        assertThat(append(id, MoveAfter.COMMITTED, () -> {})).isTrue();

        assertThat(world.verify(route).reason()).isEqualTo(Reasons.DONE);
        assertThat(world.clean(route, java.time.Duration.ZERO).reason()).isEqualTo(Reasons.DONE);
        assertThat(world.object(id)).isEqualTo(AFTER);
        assertThat(world.pg.count("SELECT count(*) FROM pg_class WHERE relname = 'blobstore_flips'"))
                .as("nothing of the guard is left")
                .isZero();
    }

    enum To {
        POSTGRES,
        ANOTHER_BUCKET
    }

    /** By a role that may not set the guard: such a write is found by what it left, and the row is put back to where that is. */
    @ParameterizedTest
    @EnumSource(To.class)
    void withoutTheGuardALateAppendIsSettled(To to) throws SQLException {
        Route route = Route.ofAll(S3MAIN, to == To.POSTGRES ? BackendName.POSTGRES : S3OTHER);
        String role = EmbeddedPg.role();
        try (MoveWorld limited = new MoveWorld(s3, role)) {
            limited.pg.execute("GRANT SELECT, INSERT, UPDATE ON files TO " + role);
            UUID id = limited.addObject("/log", BEFORE);
            assertThat(limited.copy(route).reason()).isEqualTo(Reasons.DONE);
            // What an append leaves that read the row before.
            String key = UUID.randomUUID().toString();
            s3.overwrite(limited.bucket, key, AFTER);
            limited.pg.execute("UPDATE files SET external_id = '%s', size = 1500, sha512 = '\\x%s' WHERE file_id = '%s'"
                    .formatted(key, Blobs.sha512(AFTER), id));

            assertThat(limited.verify(route).reason()).isEqualTo(Reasons.BLOBS_REMAIN);
            assertThat(limited.backend(id)).isEqualTo("s3main");
            assertThat(limited.object(id)).isEqualTo(AFTER);
            assertThat(limited.copy(route).reason()).isEqualTo(Reasons.DONE);
            assertThat(limited.verify(route).figure(Figure.BLOBS)).hasValue(1);
            if (to == To.ANOTHER_BUCKET) {
                assertThat(limited.object(id)).isEqualTo(AFTER);
            }
        }
    }
}
