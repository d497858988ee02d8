package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.S3MAIN;
import static io.flynn.blobstore.move.MoveWorld.S3OTHER;
import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.testkit.Blobs;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;

/**
 * A worker that sleeps between what it proves and what it does about it, while its fence is lost and other runs come and go. They
 * leave the row as it was, so all that was read of it still matches.
 */
class SleptWorkerIT extends MoveFixture {

    private static final Route BACK = Route.ofAll(S3MAIN, BackendName.POSTGRES);
    private static final Route ON = Route.ofAll(S3MAIN, S3OTHER);

    @Test
    void workerThatSleptThroughAWayBackFlipsToNothingThatIsGone() {
        byte[] content = bytes(2000, 1);
        UUID id = world.add("/slug", content);

        world.copy(store -> asleepAfterTheFirstProof(store, () -> {
            assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
            assertThat(world.copy(BACK).reason()).isEqualTo(Reasons.DONE);
            assertThat(world.clean(BACK, Duration.ZERO).reason()).isEqualTo(Reasons.DONE);
            assertThat(s3.sizes(world.bucket)).isEmpty();
        }));

        assertThat(world.backend(id)).isEqualTo("s3main");
        assertThat(world.object(id)).isEqualTo(content);
    }

    @Test
    void workerThatSleptThroughAMoveToAndFroUnlinksNothingThatIsWritten() throws SQLException {
        byte[] before = bytes(4096, 1);
        byte[] after = Arrays.copyOf(before, 7096);
        UUID id = world.add("/log", before);
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        try (Connection append = world.pg.connect();
                Statement statement = append.createStatement()) {
            append.setAutoCommit(false);
            BlobStore asleep = asleepAfterTheFirstProof(world.store, () -> {
                assertThat(world.copy(BACK).reason()).isEqualTo(Reasons.DONE);
                // Of an old server: the large object now, the row at its end.
                execute(statement, "SELECT lo_put(file_oid, 4096, '\\x" + "00".repeat(3000) + "') FROM files");
                assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
                world.stop.request();
            });

            assertThatThrownBy(() -> world.clean(MoveWorld.TO_S3, new Stores(Map.of(S3MAIN, asleep)), Duration.ZERO))
                    .isInstanceOf(StorageFailure.Unreachable.class);

            execute(statement, "UPDATE files SET size = 7096, sha512 = '\\x" + Blobs.sha512(after) + "'");
            append.commit();
        }
        assertThat(world.backend(id)).isEqualTo("postgres");
        assertThat(world.largeObject(id)).isEqualTo(after);
    }

    @Test
    void workerThatSleptThroughAMoveToAndFroReleasesNothing() {
        UUID id = world.addObject("/slug", bytes(2000, 1));
        assertThat(world.copy(ON).reason()).isEqualTo(Reasons.DONE);
        BlobStore asleep = asleepAfterTheFirstProof(world.otherStore, () -> {
            assertThat(world.copy(Route.ofAll(S3OTHER, S3MAIN)).reason()).isEqualTo(Reasons.DONE);
            assertThat(world.copy(ON).reason()).isEqualTo(Reasons.DONE);
            world.stop.request();
        });

        assertThatThrownBy(
                        () -> world.clean(ON, new Stores(Map.of(S3MAIN, world.store, S3OTHER, asleep)), Duration.ZERO))
                .isInstanceOf(StorageFailure.Unreachable.class);

        assertThat(world.backend(id)).isEqualTo("s3other");
        assertThat(world.pg.count("SELECT count(*) FROM files WHERE deleted_at = 'infinity' AND backend = 's3main'"))
                .as("what the last move left is still held")
                .isEqualTo(1);
    }

    private BlobStore asleepAfterTheFirstProof(BlobStore store, Runnable meanwhile) {
        AtomicBoolean hasSlept = new AtomicBoolean();
        return new DecoratedStore(store) {
            @Override
            public Optional<BlobContent> readBack(ObjectKey key, long expected) {
                Optional<BlobContent> proven = super.readBack(key, expected);
                if (hasSlept.compareAndSet(false, true)) {
                    loseTheFence();
                    meanwhile.run();
                }
                return proven;
            }
        };
    }

    private void loseTheFence() {
        String held = " FROM pg_locks WHERE locktype = 'advisory'"
                + " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        world.pg.execute("SELECT pg_terminate_backend(pid)" + held);
        Awaitility.await().atMost(Duration.ofSeconds(30)).until(() -> world.pg.count("SELECT count(*)" + held) == 0);
    }

    private static void execute(Statement statement, String sql) {
        try {
            statement.execute(sql);
        } catch (SQLException e) {
            throw new IllegalStateException(sql, e);
        }
    }
}
