package io.flynn.blobstore.decide;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.Installation;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OwnershipDecisionTest {

    private static final Installation HERE = new Installation("here");

    @ParameterizedTest
    @CsvSource(
            nullValues = "-",
            value = {
                "-,     -,     UNMARKED",
                "-,     there, UNMARKED",
                "here,  -,     OWN",
                "here,  there, OWN",
                "here,  here,  OWN",
                "there, -,     FOREIGN",
                "there, here,  FOREIGN",
                "there, other, FOREIGN",
                "there, there, ADOPTED",
                "'',    -,     FOREIGN",
                "HERE,  -,     FOREIGN",
            })
    void byTheMarkAndWhatIsAdopted(String mark, String adopted, OwnershipDecision decision) {
        assertThat(OwnershipDecision.of(
                        Optional.ofNullable(mark),
                        HERE,
                        Optional.ofNullable(adopted).map(Installation::new)))
                .isEqualTo(decision);
    }

    @Test
    void nameThatNoMarkCanHoldIsRefused() {
        for (String name : new String[] {"", " ", "a b", "a\nb", "-a", "$(A)", "a".repeat(254), "ä"}) {
            assertThat(Installation.isName(name)).as(name).isFalse();
        }
        assertThat(Installation.isName("5cd5c4c7-0c3e-4b6a-a9c4-6f1f4a7a3d10/blobstore"))
                .isTrue();
        assertThat(Installation.isName("postgresql/7331984610283746123/16384")).isTrue();
    }
}
