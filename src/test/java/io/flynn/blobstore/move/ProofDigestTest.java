package io.flynn.blobstore.move;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.testkit.Blobs;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;

class ProofDigestTest {

    private static final int ROWS = 1_000;

    private static final int AHEAD = 16_384;

    private static BlobRow row(int i) {
        return new BlobRow(
                new UUID(i, i),
                OptionalLong.empty(),
                Optional.empty(),
                new BackendName("s3main"),
                "",
                i * 3L,
                i % 10 == 0 ? Optional.empty() : Optional.of(Blobs.sha512(new byte[i])),
                false);
    }

    @Test
    void isOverProvenRowsInTheirOrderWhateverTheOrderOfTheProofs() {
        ByteBuffer all = ByteBuffer.allocate(ROWS * 88);
        ProofDigest digest = new ProofDigest();
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < ROWS; i++) {
            assertThat(digest.place(() -> false)).isEqualTo(i);
            order.add(i);
            if (i % 7 != 0) {
                BlobRow row = row(i);
                all.putLong(i)
                        .putLong(i)
                        .putLong(row.size())
                        .put(row.sha512().map(Sha512::bytes).orElse(new byte[64]));
            }
        }
        Collections.shuffle(order, new Random(1));
        order.forEach(i -> digest.ended(i, i % 7 == 0 ? Optional.empty() : Optional.of(row(i))));

        byte[] expected = new byte[all.flip().remaining()];
        all.get(expected);
        assertThat(digest.finish()).isEqualTo(Blobs.sha512(expected));
    }

    @Test
    void rowsWaitForTheSlowestProofUnlessAllIsOver() throws Exception {
        ProofDigest digest = new ProofDigest();
        for (int i = 0; i < AHEAD; i++) {
            digest.place(() -> false);
        }
        for (int i = 1; i < AHEAD; i++) {
            digest.ended(i, Optional.empty());
        }
        CompletableFuture<Long> waiting = CompletableFuture.supplyAsync(() -> digest.place(() -> false));
        assertThatThrownBy(() -> waiting.get(300, TimeUnit.MILLISECONDS)).isInstanceOf(TimeoutException.class);

        digest.ended(0, Optional.empty());

        assertThat(waiting.get(30, TimeUnit.SECONDS)).isEqualTo(AHEAD);
        ProofDigest over = new ProofDigest();
        for (int i = 0; i < AHEAD + 2; i++) {
            over.place(() -> true);
        }
        assertThatThrownBy(over::finish).isInstanceOf(IllegalStateException.class);
    }
}
