package io.flynn.blobstore.decide;

import static io.flynn.blobstore.decide.MigrationTurn.before;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.decide.MigrationTurn.Contender;
import java.util.List;
import org.junit.jupiter.api.Test;

class MigrationTurnTest {

    private static final String EARLY = "2026-01-01T00:00:00Z";
    private static final String LATE = "2026-01-01T00:00:01Z";

    @Test
    void oldestGoesFirst() {
        assertThat(before(willing("new", LATE), List.of(willing("old", EARLY)))).contains("old");
        assertThat(before(willing("old", EARLY), List.of(willing("new", LATE)))).isEmpty();
    }

    @Test
    void nameDecidesWithinASecond() {
        assertThat(before(willing("b", EARLY), List.of(willing("a", EARLY), willing("c", EARLY))))
                .contains("a");
        assertThat(before(willing("a", EARLY), List.of(willing("b", EARLY)))).isEmpty();
    }

    @Test
    void whoRestsIsNotWaitedFor() {
        assertThat(before(willing("new", LATE), List.of(new Contender("old", EARLY, false, false))))
                .isEmpty();
    }

    @Test
    void whoRunsIsNotOvertaken() {
        Contender running = new Contender("new", LATE, true, true);

        assertThat(before(willing("old", EARLY), List.of(running))).contains("new");
        assertThat(before(running, List.of(willing("old", EARLY)))).isEmpty();
    }

    @Test
    void whoIsBeingStoppedIsWaitedForToo() {
        assertThat(before(willing("old", EARLY), List.of(new Contender("new", LATE, false, true))))
                .contains("new");
    }

    @Test
    void ofTwoThatRunTheOlderOneStays() {
        Contender older = new Contender("old", EARLY, true, true);
        Contender newer = new Contender("new", LATE, true, true);

        assertThat(before(newer, List.of(older))).contains("old");
        assertThat(before(older, List.of(newer))).isEmpty();
    }

    @Test
    void itselfIsNoRival() {
        assertThat(before(willing("a", EARLY), List.of(willing("a", EARLY)))).isEmpty();
    }

    private static Contender willing(String name, String created) {
        return new Contender(name, created, true, false);
    }
}
