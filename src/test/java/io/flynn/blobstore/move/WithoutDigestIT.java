package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.ReplayableBody;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/** Rows of the first schema, whose digest was never recorded. */
class WithoutDigestIT extends MoveFixture {

    private static final int MIB = 1024 * 1024;

    /** As the old program's {@code migrate} without {@code --delete} leaves it. */
    private UUID moved(String name, byte[] largeObject, byte[] object) {
        UUID id = world.add(name, largeObject, null);
        UUID key = UUID.randomUUID();
        s3.overwrite(world.bucket, key.toString(), object);
        world.pg.execute(
                "UPDATE files SET backend = 's3main', external_id = '" + key + "' WHERE file_id = '" + id + "'");
        return id;
    }

    @Test
    void anObjectOfTheRightSizeButWithOtherBytesKeepsItsLargeObject() {
        byte[] content = bytes(1000, 1);
        UUID wrong = moved("/wrong", content, bytes(1000, 2));
        UUID right = moved("/right", content, content);

        StageReport verified = world.verify();
        StageReport cleaned = world.clean();

        assertThat(verified.reason()).isEqualTo(Reasons.BLOBS_FAILED);
        assertThat(cleaned.reason()).isEqualTo(Reasons.BLOBS_FAILED);
        assertThat(cleaned.findings()).singleElement().satisfies(finding -> {
            assertThat(finding.subject()).isEqualTo(wrong.toString());
            assertThat(finding.reason()).isEqualTo(Reasons.TARGET_DIFFERS);
        });
        assertThat(world.column(wrong, "file_oid")).isNotEqualTo("null");
        assertThat(world.column(right, "file_oid")).isEqualTo("null");
        assertThat(world.largeObjects()).isEqualTo(1);
    }

    @Test
    void aLargeObjectThatChangesBetweenItsReadsIsNotFlippedToAKeyThatNothingLiesUnder() {
        UUID id = world.add("/slug", bytes(2 * MIB, 1), null);
        byte[] changed = bytes(2 * MIB, 1);
        changed[MIB] ^= 1;
        AtomicBoolean isChanged = new AtomicBoolean();
        BlobStore store = new DecoratedStore(world.store) {
            @Override
            public void put(ObjectKey key, ReplayableBody body) {
                if (isChanged.compareAndSet(false, true)) {
                    world.pg.execute("SELECT lo_put(file_oid, " + MIB + ", '\\x" + "%02x".formatted(changed[MIB])
                            + "') FROM files");
                }
                super.put(key, body);
            }
        };

        StageReport copied = world.copy(plain -> store);

        assertThat(copied.reason()).as(copied.findings().toString()).isEqualTo(Reasons.DONE);
        assertThat(world.object(id)).isEqualTo(changed);
        assertThat(world.verify().reason()).isEqualTo(Reasons.DONE);
    }
}
