package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.testkit.Blobs;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Servers whose settings, or whose habits, are against whoever moves blobs. */
class HostileWorldIT extends MoveFixture {

    /** The race that the old program loses; ours doesn't: {@code anAppendOfAnOldServerAcrossTheFlipPutsTheRowBack}. */
    @Test
    void flipAndUnlinkInOneTransactionLoseAnAppendThatWritesItsBytesFirst() throws SQLException {
        byte[] before = bytes(4096, 1);
        byte[] after = Arrays.copyOf(before, 7096);
        UUID id = world.add("/log", before);
        try (Connection append = world.pg.connect();
                Statement statement = append.createStatement()) {
            append.setAutoCommit(false);
            statement.execute("SELECT lo_put(file_oid, 4096, '\\x" + "00".repeat(3000) + "') FROM files");

            moveAsTheOldProgramDoes(id);

            statement.execute("UPDATE files SET size = 7096, sha512 = '\\x" + Blobs.sha512(after) + "'");
            append.commit();
        }
        assertThat(world.column(id, "size")).as("acknowledged").isEqualTo("7096");
        assertThat(world.object(id)).as("the only copy").isEqualTo(before);
        assertThat(world.largeObjects()).isZero();
    }

    private void moveAsTheOldProgramDoes(UUID id) throws SQLException {
        String key = UUID.randomUUID().toString();
        try (Connection move = world.pg.connect();
                Statement statement = move.createStatement()) {
            move.setAutoCommit(false);
            try (ResultSet row = statement.executeQuery(
                    "SELECT lo_get(file_oid) FROM files WHERE file_id = '" + id + "' FOR UPDATE")) {
                row.next();
                s3.overwrite(world.bucket, key, row.getBytes(1));
            }
            statement.execute("SELECT lo_unlink(file_oid) FROM files");
            statement.execute(
                    "UPDATE files SET backend = 's3main', external_id = '%s', file_oid = NULL".formatted(key));
            move.commit();
        }
    }

    @Test
    void transactionsThatMayNotRestKeepNoBlobFromASlowStore() {
        world.pg.execute("ALTER DATABASE " + world.pg.name() + " SET idle_in_transaction_session_timeout = '300ms'");
        world.add("/small", bytes(1000, 1));
        world.add("/streamed", bytes(1_200_000, 2));
        s3.delayPuts(Duration.ofMillis(800));
        try {
            assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        } finally {
            s3.delayPuts(Duration.ZERO);
        }
        assertThat(world.clean().reason()).isEqualTo(Reasons.DONE);
    }

    /** As a standby is after it has taken over from nobody. */
    @Test
    void databaseThatOnlyReadsIsTriedAgainLater() {
        byte[] content = bytes(1000, 1);
        UUID id = world.add("/slug", content);
        world.pg.execute("ALTER DATABASE " + world.pg.name() + " SET default_transaction_read_only = on");
        world.stop.request();

        assertThatThrownBy(world::copy)
                .isInstanceOfSatisfying(
                        StorageFailure.class,
                        failure -> assertThat(failure.isTransient())
                                .as(failure.getMessage())
                                .isTrue());

        assertThat(world.backend(id)).isEqualTo("postgres");
        assertThat(world.largeObject(id)).isEqualTo(content);
    }

    @Test
    void storeThatShowsItsObjectsLateGetsItsRowsLate() {
        UUID id = world.add("/slug", bytes(1000, 1));
        Map<ObjectKey, Integer> looks = new ConcurrentHashMap<>();

        assertThat(world.copy(store -> new DecoratedStore(store) {
                            @Override
                            public Optional<BlobContent> readBack(ObjectKey key, long expected) {
                                return looks.merge(key, 1, Integer::sum) < 4
                                        ? Optional.empty()
                                        : super.readBack(key, expected);
                            }
                        })
                        .reason())
                .isEqualTo(Reasons.DONE);

        assertThat(world.backend(id)).isEqualTo("s3main");
        assertThat(world.object(id)).isEqualTo(bytes(1000, 1));
    }

    @Tag("long")
    @Test
    void moreLargeObjectsThanOneTransactionCanUnlinkAreCleaned() {
        int blobs = 20_000;
        world.pg.execute("""
                INSERT INTO files (file_oid, external_id, backend, name, type, size, sha512)
                SELECT lo_from_bytea(0, 'slug'), uuid_generate_v5(uuid_ns_url(), i::text), 's3main', '/' || i, '', 4, sha512('slug')
                FROM generate_series(1, %d) i""".formatted(blobs));
        world.pg
                .texts("SELECT external_id::text FROM files")
                .forEach(key -> s3.overwrite(world.bucket, key, new byte[] {'s', 'l', 'u', 'g'}));

        assertThat(world.clean().figure(Figure.CLEANED_BLOBS)).hasValue(blobs);

        assertThat(world.largeObjects()).isZero();
    }
}
