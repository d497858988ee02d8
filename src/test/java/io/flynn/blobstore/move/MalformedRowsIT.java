package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Finding;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** Rows as no blobstore writes them: each is named, and the others go on. */
class MalformedRowsIT extends MoveFixture {

    private static final int MIB = 1024 * 1024;

    @Test
    void malformedRowsAreNamedAndTheOthersMove() {
        UUID good = world.add("/good", bytes(10, 1));
        UUID withoutOid = world.add("/without-oid", bytes(10, 2));
        UUID largeWithoutOid = world.add("/large-without-oid", bytes(2 * MIB, 3));
        UUID largeWithoutAnything = world.add("/large-without-anything", bytes(2 * MIB, 3), null);
        UUID shortDigest = world.add("/short-digest", bytes(10, 4), bytes(32, 4));
        UUID noByteOfDigest = world.add("/no-byte-of-digest", bytes(10, 5), new byte[0]);
        UUID largeShortDigest = world.add("/large-short-digest", bytes(2 * MIB, 6), bytes(65, 6));
        UUID withoutSize = world.add("/without-size", bytes(10, 7));
        world.pg.execute("UPDATE files SET file_oid = NULL WHERE name LIKE '%without-oid' OR name LIKE '%anything'");
        world.pg.execute("UPDATE files SET size = NULL WHERE name = '/without-size'");

        StageReport copied = world.copy();

        assertThat(copied.reason()).isEqualTo(Reasons.BLOBS_FAILED);
        assertThat(world.backend(good)).isEqualTo("s3main");
        assertThat(copied.findings())
                .extracting(Finding::subject, Finding::reason)
                .containsExactlyInAnyOrder(
                        tuple(withoutOid.toString(), Reasons.SOURCE_MISSING),
                        tuple(largeWithoutOid.toString(), Reasons.SOURCE_MISSING),
                        tuple(largeWithoutAnything.toString(), Reasons.SOURCE_MISSING),
                        tuple(shortDigest.toString(), Reasons.DIGEST_DIFFERS),
                        tuple(noByteOfDigest.toString(), Reasons.DIGEST_DIFFERS),
                        tuple(largeShortDigest.toString(), Reasons.DIGEST_DIFFERS),
                        tuple(withoutSize.toString(), Reasons.SIZE_DIFFERS));
        assertThat(s3.sizes(world.bucket)).as("nothing of them is stored").hasSize(1);
    }

    @Test
    void movedRowsThatAreMalformedAreSettledOrNamed() {
        UUID good = world.add("/good", bytes(10, 1));
        UUID shortDigest = world.add("/short-digest", bytes(10, 2));
        UUID withoutKey = world.add("/without-key", bytes(10, 3));
        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);
        // The move guard would put it back at once.
        world.pg.execute("SET session_replication_role = replica;"
                + " UPDATE files SET sha512 = 'short' WHERE name = '/short-digest'");
        world.pg.execute("UPDATE files SET external_id = NULL WHERE name = '/without-key'");

        StageReport verified = world.verify();

        assertThat(verified.outcome()).isEqualTo(ExitCode.FAILED);
        assertThat(verified.findings())
                .extracting(Finding::subject, Finding::reason)
                .containsExactly(tuple(shortDigest.toString(), Reasons.TARGET_DIFFERS));
        assertThat(world.backend(withoutKey)).isEqualTo("postgres");
        assertThat(world.clean().reason()).isEqualTo(Reasons.BLOBS_FAILED);
        assertThat(world.column(good, "file_oid")).isEqualTo("null");
        assertThat(world.column(shortDigest, "file_oid")).as("kept").isNotEqualTo("null");
    }
}
