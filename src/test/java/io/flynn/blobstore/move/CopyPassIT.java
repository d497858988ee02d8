package io.flynn.blobstore.move;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.ReplayableBody;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class CopyPassIT extends MoveFixture {

    private static final Duration TIME_FOR_A_THIRD = Duration.ofMillis(300);

    private static final int STREAMED_BYTES = 1024 * 1024 + 1;

    /** Four may be in flight. */
    @Test
    void aBlobThatIsStreamedOutOfTheDatabaseCountsAsTwoInFlight() {
        for (int i = 0; i < 4; i++) {
            byte[] bytes = new byte[STREAMED_BYTES];
            bytes[0] = (byte) i;
            world.add("/" + i, bytes);
        }
        AtomicInteger inFlight = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();

        StageReport copied = world.copy(store -> new DecoratedStore(store) {
            @Override
            public void put(ObjectKey key, ReplayableBody body) {
                most.accumulateAndGet(inFlight.incrementAndGet(), Math::max);
                Pauses.sleep(TIME_FOR_A_THIRD);
                super.put(key, body);
                inFlight.decrementAndGet();
            }
        });

        assertThat(copied.reason()).isEqualTo(Reasons.DONE);
        assertThat(most).hasValue(2);
    }
}
