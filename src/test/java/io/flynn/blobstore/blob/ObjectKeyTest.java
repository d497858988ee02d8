package io.flynn.blobstore.blob;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.Blobs;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class ObjectKeyTest {

    private static final UUID ID = UUID.fromString("6f1b2c3d-0000-4000-8000-000000000001");

    private static Sha512 digest(String text) {
        return Blobs.sha512(text.getBytes(StandardCharsets.UTF_8));
    }

    /** Objects of released versions lie under keys like this one: it may never change. Made by Python's uuid and hashlib. */
    @Test
    void isTheVersion5UuidOfIdAndDigest() {
        assertThat(ObjectKey.of(ID, digest("slug"))).hasToString("4f49f63f-06c3-5c7e-9917-ec2088a479ec");
    }

    @Test
    void isAFunctionOfBothAndOfNothingElse() {
        ObjectKey key = ObjectKey.of(ID, digest("slug"));

        assertThat(ObjectKey.of(ID, digest("slug"))).isEqualTo(key);
        assertThat(ObjectKey.of(ID, digest("slugs"))).isNotEqualTo(key);
        assertThat(ObjectKey.of(new UUID(1, 2), digest("slug"))).isNotEqualTo(key);
    }
}
