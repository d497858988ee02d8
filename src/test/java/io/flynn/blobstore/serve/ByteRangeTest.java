package io.flynn.blobstore.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ByteRangeTest {

    @ParameterizedTest
    @CsvSource({
        "bytes=0-9223372036854775807, 0, 10",
        "bytes=3-99999999999999999999999999, 3, 7",
        "bytes=000000000000000000000003-5, 3, 3",
        "bytes=-99999999999999999999999999, 0, 10",
        "bytes=4-, 4, 6",
        "bytes=-4, 6, 4"
    })
    void aRangeEndsWithTheBlobHoweverFarItReaches(String header, long first, long length) {
        assertThat(ByteRange.parse(header, 10)).containsExactly(new ByteRange(first, length));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "bytes=10-",
                "bytes=9223372036854775807-",
                "bytes=99999999999999999999999999-",
                "bytes=-0",
                "bytes=-"
            })
    void aRangePastTheEndIsUnsatisfiable(String header) {
        assertThatThrownBy(() -> ByteRange.parse(header, 10))
                .isInstanceOfSatisfying(
                        Refusal.class, refusal -> assertThat(refusal.status()).isEqualTo(416));
    }
}
