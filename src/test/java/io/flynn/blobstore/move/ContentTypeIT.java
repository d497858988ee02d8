package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.bytes;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** An old server gives out links that don't name the type: then the store's is what clients see. */
class ContentTypeIT extends MoveFixture {

    private static final int MIB = 1024 * 1024;

    @Test
    void movedObjectsKeepTheirContentType() {
        UUID small = world.add("/small", bytes(100, 1));
        UUID large = world.add("/large", bytes(2 * MIB, 2));
        UUID spaced = withType("text/plain; charset=utf-8", 3);

        assertThat(world.copy().reason()).isEqualTo(Reasons.DONE);

        assertThat(type(small)).isEqualTo("application/gzip");
        assertThat(type(large)).isEqualTo("application/gzip");
        assertThat(type(spaced)).isEqualTo("text/plain; charset=utf-8");
    }

    @Test
    void noBlobIsUnmovableBecauseOfItsType() {
        UUID none = withType("", 1);
        withType(" ", 2);
        withType("text/plain\r\nX-Evil: 1", 3);
        withType("text/pläin", 4);
        withType("text/\t\u0001plain", 5);
        withType("x".repeat(20_000), 6);
        UUID padded = withType("  text/css;  a=b ", 7);
        withType("no media type, \"at\" all/;=", 8);

        StageReport copied = world.copy();

        assertThat(copied.reason()).as(copied.findings().toString()).isEqualTo(Reasons.DONE);
        assertThat(type(none)).isEqualTo("binary/octet-stream");
        assertThat(type(padded)).isEqualTo("text/css;  a=b");
        assertThat(world.verify().reason()).isEqualTo(Reasons.DONE);
    }

    private UUID withType(String type, int seed) {
        UUID id = world.add("/" + seed, bytes(100, seed));
        try (var connection = world.pg.connect();
                var update = connection.prepareStatement("UPDATE files SET type = ? WHERE file_id = ?")) {
            update.setString(1, type);
            update.setObject(2, id);
            update.executeUpdate();
        } catch (java.sql.SQLException e) {
            throw new IllegalStateException(e);
        }
        return id;
    }

    private String type(UUID id) {
        return s3.type(world.bucket, world.column(id, "external_id"));
    }
}
