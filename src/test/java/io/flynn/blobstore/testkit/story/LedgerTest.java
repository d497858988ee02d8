package io.flynn.blobstore.testkit.story;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import org.junit.jupiter.api.Test;

class LedgerTest {

    private static final Optional<Fingerprint> ABSENT = Optional.empty();
    private static final Optional<Fingerprint> OLD = Optional.of(Fingerprint.of(new byte[] {1}));
    private static final Optional<Fingerprint> NEW = Optional.of(Fingerprint.of(new byte[] {2}));

    private final Ledger ledger = new Ledger();

    @Test
    void nothingWasThereBeforeTheFirstWrite() {
        assertThat(ledger.read("/a").possible()).containsExactly(ABSENT);
    }

    @Test
    void anAcknowledgedWriteIsAllThatALaterReaderMaySee() {
        ledger.begin("/a", OLD).orElseThrow().acknowledged();

        assertThat(ledger.read("/a").possible()).containsExactly(OLD);
    }

    @Test
    void aReaderMaySeeEitherSideOfWhatBeginsWhileItReads() {
        ledger.begin("/a", OLD).orElseThrow().acknowledged();
        Ledger.Reading reading = ledger.read("/a");

        ledger.begin("/a", NEW).orElseThrow().acknowledged();

        assertThat(reading.possible()).containsExactlyInAnyOrder(OLD, NEW);
        assertThat(ledger.read("/a").possible()).containsExactly(NEW);
    }

    @Test
    void aLostAnswerLeavesTwoStatesUntilTheNextAcknowledgedOne() {
        ledger.begin("/a", OLD).orElseThrow().acknowledged();
        ledger.begin("/a", NEW).orElseThrow().unknown();

        assertThat(ledger.read("/a").possible()).containsExactlyInAnyOrder(OLD, NEW);

        ledger.begin("/a", ABSENT).orElseThrow().acknowledged();

        assertThat(ledger.read("/a").possible()).containsExactly(ABSENT);
    }

    @Test
    void oneChangeAtATimePerName() {
        Ledger.Change first = ledger.begin("/a", OLD).orElseThrow();

        assertThat(ledger.begin("/a", NEW)).isEmpty();
        assertThat(ledger.begin("/b", NEW)).isPresent();

        first.acknowledged();

        assertThat(ledger.begin("/a", NEW)).isPresent();
    }
}
