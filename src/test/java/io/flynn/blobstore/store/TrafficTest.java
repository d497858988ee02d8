package io.flynn.blobstore.store;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.store.Traffic.Wait;
import org.junit.jupiter.api.Test;

class TrafficTest {

    private final Traffic traffic = new Traffic();

    @Test
    void aRefusalHalvesWhatMayBeOnItsWayAndSuccessesBringItBack() {
        traffic.limitBlobs(8);
        traffic.refused();
        assertThat(traffic.shares()).isEqualTo(4 * Traffic.SHARES);
        // As one with it.
        traffic.refused();
        assertThat(traffic.shares()).isEqualTo(4 * Traffic.SHARES);

        int before = traffic.shares();
        for (int blob = 0; blob < 4 * Traffic.SHARES; blob++) {
            traffic.accepted();
        }
        assertThat(traffic.shares()).isBetween(before + Traffic.SHARES / 2, before + Traffic.SHARES);
        for (int blob = 0; blob < 10_000; blob++) {
            traffic.accepted();
        }
        assertThat(traffic.shares()).isEqualTo(8 * Traffic.SHARES);
    }

    @Test
    void aLimitThatIsLiftedDoesNotForgiveAStoreThatRefuses() {
        traffic.limitBlobs(8);
        traffic.refused();
        traffic.limitBlobs(16);
        assertThat(traffic.shares()).isEqualTo(4 * Traffic.SHARES);
        traffic.limitBlobs(2);
        assertThat(traffic.shares()).isEqualTo(2 * Traffic.SHARES);
    }

    @Test
    void aBlobCountsByItsSize() {
        assertThat(Traffic.sharesOf(0, 1 << 20)).isEqualTo(1);
        assertThat(Traffic.sharesOf(16 << 10, 1 << 20)).isEqualTo(1);
        assertThat(Traffic.sharesOf((32 << 10) + 1, 1 << 20)).isEqualTo(2);
        assertThat(Traffic.sharesOf(1 << 20, 1 << 20)).isEqualTo(Traffic.SHARES);
    }

    @Test
    void theBottleneckIsWhoWasWaitedForMostSinceItWasAskedForLast() {
        assertThat(traffic.bottleneck()).isEmpty();
        traffic.waited(Wait.SOURCE, 100);
        traffic.waited(Wait.STORE, 10);
        assertThat(traffic.bottleneck()).contains(Wait.SOURCE);
        traffic.waited(Wait.STORE, 20);
        assertThat(traffic.bottleneck()).contains(Wait.STORE);
        assertThat(traffic.bottleneck()).isEmpty();
    }
}
