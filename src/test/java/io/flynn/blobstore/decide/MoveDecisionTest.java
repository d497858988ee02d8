package io.flynn.blobstore.decide;

import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static io.flynn.blobstore.testkit.Blobs.contentOf;
import static io.flynn.blobstore.testkit.Blobs.row;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.MoveDecision.Copy;
import io.flynn.blobstore.decide.MoveDecision.Facts;
import io.flynn.blobstore.decide.MoveDecision.Fault;
import io.flynn.blobstore.decide.MoveDecision.Flip;
import io.flynn.blobstore.decide.MoveDecision.Leave;
import io.flynn.blobstore.decide.MoveDecision.Quarantine;
import io.flynn.blobstore.testkit.Blobs;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

class MoveDecisionTest {

    record Case(String given, Facts seen, MoveDecision expected) {
        @Override
        public String toString() {
            return given;
        }
    }

    static final ObjectKey KEY =
            ObjectKey.of(row("slug").id(), contentOf("slug").sha512());

    static final List<Case> CASES = List.of(
            new Case("nothing at the target yet", seen("slug", "slug", null), new Copy(KEY)),
            new Case(
                    "target holds the same bytes, left by a run that died",
                    seen("slug", "slug", "slug"),
                    new Flip(KEY, contentOf("slug").sha512())),
            new Case("target holds half of it", seen("slug", "slug", "sl"), new Copy(KEY)),
            new Case("large object is gone", seen("slug", null, null), new Quarantine(Fault.SOURCE_MISSING)),
            new Case(
                    "large object is longer than the row says",
                    seen("slug", "slugs", null),
                    new Quarantine(Fault.SIZE_DIFFERS)),
            new Case("a bit flipped on disk", seen("slug", "slud", null), new Quarantine(Fault.DIGEST_DIFFERS)),
            new Case(
                    "row without a digest",
                    new Facts(Blobs.withoutDigest(row("slug")), Optional.of(contentOf("slug")), Optional.empty()),
                    new Copy(KEY)),
            new Case(
                    "moved by another worker",
                    new Facts(Blobs.movedTo(S3MAIN, row("slug")), Optional.of(contentOf("slug")), Optional.empty()),
                    new Leave("already at s3main")),
            new Case(
                    "deleted meanwhile",
                    new Facts(Blobs.deleted(row("slug")), Optional.empty(), Optional.empty()),
                    new Leave("deleted")));

    @ParameterizedTest
    @FieldSource("CASES")
    void decides(Case c) {
        assertThat(MoveDecision.decide(c.seen(), S3MAIN)).isEqualTo(c.expected());
    }

    private static Facts seen(String rowContent, String source, String object) {
        return new Facts(
                row(rowContent),
                Optional.ofNullable(source).map(Blobs::contentOf),
                Optional.ofNullable(object).map(Blobs::contentOf));
    }
}
