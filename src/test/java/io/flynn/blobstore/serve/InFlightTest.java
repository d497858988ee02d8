package io.flynn.blobstore.serve;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class InFlightTest {

    private static final Duration QUIET = Duration.ofMillis(300);

    private final InFlight requests = new InFlight();

    @Test
    void aRequestThatIsSeenLateIsWaitedForToo() throws Exception {
        requests.enter();
        CompletableFuture<Integer> left = CompletableFuture.supplyAsync(this::await);
        requests.leave();
        requests.enter();

        Thread.sleep(QUIET.multipliedBy(2));
        assertThat(left).as("the second one runs").isNotDone();

        requests.leave();
        assertThat(left).succeedsWithin(Duration.ofSeconds(10)).isEqualTo(0);
    }

    @Test
    void whoeverStillRunsWhenThePatienceIsOverIsCounted() throws Exception {
        requests.enter();
        requests.enter();

        assertThat(requests.awaitQuiet(Duration.ofMillis(10), QUIET)).isEqualTo(2);
    }

    private int await() {
        try {
            return requests.awaitQuiet(Duration.ofSeconds(30), QUIET);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
