package io.flynn.blobstore.move;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.MoveCatalog.Flip;
import io.flynn.blobstore.testkit.Blobs;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class FlipperTest {

    private final Set<UUID> database = ConcurrentHashMap.newKeySet();
    private final Set<UUID> told = new HashSet<>();

    @Test
    void flipsWhoseAnswerWasLostAreToldAfterAll() {
        AtomicBoolean isLost = new AtomicBoolean(true);
        try (Flipper flipper = new Flipper(
                batch -> {
                    Set<UUID> flipped = flipOnce(batch);
                    if (isLost.compareAndSet(true, false)) {
                        throw new StorageFailure.OutcomeUnknown(Reasons.DATABASE_UNREACHABLE, "cut", null);
                    }
                    return flipped;
                },
                flip -> database.contains(flip.row().id()),
                (batch, flipped) -> told.addAll(flipped))) {
            flipper.add(flip());
        }

        assertThat(told).hasSize(1).isEqualTo(database);
    }

    @Test
    void rowsThatSomebodyElseChangedAreNotTold() {
        try (Flipper flipper = new Flipper(batch -> Set.of(), flip -> true, (batch, flipped) -> told.addAll(flipped))) {
            flipper.add(flip());
        }

        assertThat(told).isEmpty();
    }

    @Test
    void whatCannotPassEndsItAndTakesNothingMore() {
        Flipper flipper = new Flipper(
                batch -> {
                    throw new StorageFailure.Denied(Reasons.DATABASE_DENIED, "no", null);
                },
                flip -> false,
                (batch, flipped) -> told.addAll(flipped));
        flipper.add(flip());

        assertThatThrownBy(flipper::close).isInstanceOf(StorageFailure.Denied.class);
        assertThat(flipper.hasFailed()).isTrue();
        assertThat(told).isEmpty();
    }

    private Set<UUID> flipOnce(List<Flip> batch) {
        Set<UUID> flipped = new HashSet<>();
        batch.forEach(flip -> {
            if (database.add(flip.row().id())) {
                flipped.add(flip.row().id());
            }
        });
        return flipped;
    }

    private static Flip flip() {
        BlobRow row = Blobs.row("text");
        Sha512 digest = row.sha512().orElseThrow();
        return Flip.toObject(row, ObjectKey.of(row.id(), digest), digest);
    }
}
