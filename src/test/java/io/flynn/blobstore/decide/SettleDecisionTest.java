package io.flynn.blobstore.decide;

import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static io.flynn.blobstore.testkit.Blobs.contentOf;
import static io.flynn.blobstore.testkit.Blobs.movedTo;
import static io.flynn.blobstore.testkit.Blobs.row;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.testkit.Blobs;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

class SettleDecisionTest {

    record Case(
            String given,
            BlobRow row,
            Optional<BlobContent> largeObject,
            Optional<BlobContent> object,
            SettleDecision expected) {
        @Override
        public String toString() {
            return given;
        }
    }

    private static final BlobRow ROW = movedTo(S3MAIN, row("slug"));
    private static final Optional<BlobContent> RIGHT = Optional.of(contentOf("slug"));
    private static final Optional<BlobContent> WRONG = Optional.of(contentOf("slud"));
    private static final BlobRow NO_DIGEST = Blobs.withoutDigest(ROW);
    private static final Optional<BlobContent> LONGER = Optional.of(contentOf("slugs"));
    private static final Optional<BlobContent> GONE = Optional.empty();

    static final List<Case> CASES = List.of(
            new Case("both are the blob", ROW, RIGHT, RIGHT, SettleDecision.KEEP),
            new Case("cleaned", ROW, GONE, RIGHT, SettleDecision.KEEP),
            new Case("an old server appended to the object", ROW, WRONG, RIGHT, SettleDecision.KEEP),
            new Case("an old server appended to the large object", ROW, RIGHT, WRONG, SettleDecision.PUT_BACK),
            new Case("an old overwrite deleted the object and broke off", ROW, RIGHT, GONE, SettleDecision.PUT_BACK),
            new Case("neither is the blob", ROW, WRONG, WRONG, SettleDecision.QUARANTINE),
            new Case("nothing is left of it", ROW, GONE, GONE, SettleDecision.QUARANTINE),
            new Case("never had a digest, cleaned", NO_DIGEST, GONE, WRONG, SettleDecision.KEEP),
            new Case("never had a digest, both alike", NO_DIGEST, RIGHT, RIGHT, SettleDecision.KEEP),
            new Case("never had a digest, both as long", NO_DIGEST, RIGHT, WRONG, SettleDecision.QUARANTINE),
            new Case("never had a digest, large object longer", NO_DIGEST, LONGER, RIGHT, SettleDecision.KEEP),
            new Case("never had a digest, object longer", NO_DIGEST, RIGHT, LONGER, SettleDecision.PUT_BACK));

    @ParameterizedTest
    @FieldSource("CASES")
    void theSideThatMatchesTheRowWins(Case c) {
        assertThat(SettleDecision.decide(c.row(), c.largeObject(), c.object())).isEqualTo(c.expected());
    }
}
