package io.flynn.blobstore.testkit.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExpansionTest {

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "plain | plain",
                "$(A) | 1",
                "x$(A)y$(B)z | x1y2z",
                "$(UNKNOWN) | $(UNKNOWN)",
                "$$(A) | $(A)",
                "$$$(A) | $1",
                "$$ | $",
                "$A | $A",
                "$(A | $(A",
                "$ | $",
            })
    void expandsAsTheKubeletDoes(String text, String expected) {
        assertThat(Expansion.expand(text, Map.of("A", "1", "B", "2"))).isEqualTo(expected);
    }
}
