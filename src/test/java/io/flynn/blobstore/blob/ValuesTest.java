package io.flynn.blobstore.blob;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ValuesTest {

    @ParameterizedTest
    @CsvSource({"0,0", "1023,1023", "1024,1.0Ki", "21914,21.4Ki", "80530636800,75.0Gi", "9223372036854775807,8.0Ei"})
    void sizesAreShownAsKubernetesShowsThem(long bytes, String display) {
        assertThat(new ByteSize(bytes).display()).isEqualTo(display);
    }

    @Test
    void aSecretShowsNothing() {
        assertThat(new Secret("hunter2")).hasToString("***").isEqualTo(new Secret("hunter2"));
        assertThat(String.valueOf(new Secret("hunter2"))).doesNotContain("hunter");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "S3MAIN",
                "s3-main",
                "s3 main",
                "s3main\n",
                "äs3",
                "a2345678901234567890123456789012345678901"
            })
    void namesThatRowsAndVariablesCannotBothCarryAreRefused(String name) {
        assertThatThrownBy(() -> new BackendName(name))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("use 1 to 40 of a-z and 0-9");
    }

    @Test
    void aDigestIsThatOfAllBytesThatPassed() {
        Digest digest = new Digest();
        digest.update(ByteBuffer.wrap("a".getBytes(java.nio.charset.StandardCharsets.UTF_8)));
        digest.update(ByteBuffer.wrap("bc".getBytes(java.nio.charset.StandardCharsets.UTF_8)));

        BlobContent content = digest.finish();

        assertThat(content.size()).isEqualTo(3);
        // FIPS 180-2, appendix C.1
        assertThat(content.sha512())
                .hasToString("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                        + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    }

    @Test
    void aDigestOfAnotherLengthIsRefused() {
        assertThatThrownBy(() -> new Sha512(new byte[32])).hasMessageContaining("64 bytes, not 32");
    }
}
