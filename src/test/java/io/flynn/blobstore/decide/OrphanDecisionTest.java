package io.flynn.blobstore.decide;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OrphanDecisionTest {

    @ParameterizedTest(name = "named {0}, of a row {1}, live elsewhere {2}, or perhaps of one without a digest {3}")
    @CsvSource({
        // named, of a row, live elsewhere, perhaps without digest, proven only, unproven too
        "true,  false, false, false, NAMED,    NAMED",
        "true,  true,  false, false, NAMED,    NAMED",
        "true,  true,  true,  true,  NAMED,    NAMED",
        "false, true,  true,  false, MOVABLE,  MOVABLE",
        "false, true,  true,  true,  MOVABLE,  MOVABLE",
        "false, true,  false, false, DELETE,   DELETE",
        "false, true,  false, true,  DELETE,   DELETE",
        "false, false, false, false, UNPROVEN, DELETE",
        "false, false, false, true,  UNPROVEN, MOVABLE",
    })
    void byItsKey(
            boolean isNamed,
            boolean isOfRow,
            boolean isLiveElsewhere,
            boolean mayBeWithoutDigest,
            OrphanDecision proven,
            OrphanDecision unproven) {
        OrphanDecision.Key key = new OrphanDecision.Key(isNamed, isOfRow, isLiveElsewhere, mayBeWithoutDigest);

        assertThat(OrphanDecision.of(key, false)).isEqualTo(proven);
        assertThat(OrphanDecision.of(key, true)).isEqualTo(unproven);
    }
}
