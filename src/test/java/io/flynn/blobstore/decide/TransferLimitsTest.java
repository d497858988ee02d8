package io.flynn.blobstore.decide;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TransferLimitsTest {

    private static final TransferLimits COMMAND_LINE = new TransferLimits(8, 0);

    private static TransferLimits parse(String text) {
        return TransferLimits.parse(text, COMMAND_LINE);
    }

    @Test
    void whatTheFileDoesNotSayIsAsTheCommandLineHasIt() {
        assertThat(parse("")).isEqualTo(COMMAND_LINE);
        assertThat(parse("# nothing yet\n\n")).isEqualTo(COMMAND_LINE);
        assertThat(parse("concurrency: 16")).isEqualTo(new TransferLimits(16, 0));
        assertThat(parse("  bytes-per-second : 50Mi  # at night\r\nconcurrency:1"))
                .isEqualTo(new TransferLimits(1, 50L << 20));
        assertThat(parse("bytes-per-second: 0")).isEqualTo(COMMAND_LINE);
        assertThat(parse("bytes-per-second: 999999999999")).isEqualTo(new TransferLimits(8, 999_999_999_999L));
    }

    @ParameterizedTest
    @CsvSource({
        "concurrency: 0, line 1: concurrency \"0\" is not a number from 1 to 64",
        "concurrency: 65, line 1: concurrency \"65\" is not a number from 1 to 64",
        "concurrency: many, line 1: concurrency \"many\" is not a number from 1 to 64",
        "concurrency, line 1: concurrency \"\" is not a number from 1 to 64",
        "bytes-per-second: -1, 'line 1: bytes-per-second \"-1\" is not a rate: write at least 1M'",
        "bytes-per-second: 999999, 'line 1: bytes-per-second \"999999\" is not a rate: write at least 1M'",
        "bytes-per-second: 999999999999Gi, 'line 1: bytes-per-second \"999999999999Gi\" is not a rate'",
        "speed: 5, 'line 1: \"speed\" is nothing that can be limited; write concurrency: 16'",
    })
    void whatCannotBeUsedIsNamed(String text, String message) {
        assertThatThrownBy(() -> parse(text))
                .isInstanceOf(InvalidSettingException.class)
                .hasMessageContaining(message);
    }

    @Test
    void aKeyThatIsThereTwiceIsNamed() {
        assertThatThrownBy(() -> parse("concurrency: 1\n\nconcurrency: 2")).hasMessageContaining("line 3: concurrency");
    }
}
