package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.SettleDecision;
import io.flynn.blobstore.store.postgres.LargeObjects;
import io.flynn.blobstore.store.postgres.MigrationFence;
import io.flynn.blobstore.store.postgres.MoveCatalog;
import io.flynn.blobstore.store.postgres.RetainedObjects;
import io.flynn.blobstore.store.postgres.RetainedObjects.Retained;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/**
 * Settles moved rows whose bytes at the target are not what the row says (ARCHITECTURE, "The life of one move"): what was last
 * acknowledged is on the side that matches the row. Thread-safe; blocks.
 */
final class Settler {

    private static final int PAGE = 1000;

    /** A row that changes while it is looked at is looked at again, this often. */
    private static final int LOOKS = 5;

    private final MigrationFence fence;
    private final Route route;
    private final MoveCatalog catalog;
    private final RetainedObjects retained;
    private final LargeObjects largeObjects;
    private final Stores stores;

    enum Outcome {
        /** The target has the blob. */
        PROVEN,
        /** The row is back where it came from, to be copied again. */
        PUT_BACK,
        /** Deleted, or no longer at the target. */
        GONE,
        /** It changes faster than it can be read: whoever writes it is not finished. */
        BUSY,
        /** Neither side is the blob. */
        LOST
    }

    Settler(StageContext context, Route route, Stores stores) {
        fence = context.fence();
        this.route = route;
        catalog = new MoveCatalog(context.database());
        retained = new RetainedObjects(context.database());
        largeObjects = new LargeObjects(context.database());
        this.stores = stores;
    }

    /**
     * Whether a write that began before the row's flip may have ended after it: the digest changed, and with it the key that the row
     * should have, or it names an object although it is in the database.
     */
    static boolean isWrittenSinceItsFlip(BlobRow row) {
        return row.backend().isExternal()
                ? !row.externalId().equals(row.sha512().map(digest -> ObjectKey.of(row.id(), digest)))
                : row.externalId().isPresent();
    }

    /**
     * Settles every row at the target that a write may have changed since its flip.
     *
     * @return how many were put back
     */
    long settleLateWrites() {
        long putBack = 0;
        Optional<UUID> after = Optional.empty();
        if (route.to().isExternal()) {
            List<BlobRow> page;
            do {
                page = catalog.pageUncleaned(route.to(), route.filter(), after, PAGE);
                putBack += page.stream().filter(this::isPutBack).count();
                after = page.isEmpty() ? after : Optional.of(page.getLast().id());
            } while (page.size() == PAGE);
        }
        if (route.from().isExternal()) {
            after = Optional.empty();
            List<Retained> page;
            do {
                page = retained.page(route.from(), route.filter(), after, PAGE);
                putBack += page.stream()
                        .flatMap(left -> left.blobOf(route.from()).stream())
                        .filter(this::isPutBack)
                        .count();
                after = page.isEmpty() ? after : Optional.of(page.getLast().id());
            } while (page.size() == PAGE);
        }
        return putBack;
    }

    private boolean isPutBack(BlobRow row) {
        return row.backend().equals(route.to()) && isWrittenSinceItsFlip(row) && settle(row) == Outcome.PUT_BACK;
    }

    /** @param seen a live row at the target, as it was read some time ago */
    Outcome settle(BlobRow seen) {
        UUID id = seen.id();
        for (int look = 1; ; look++) {
            Optional<BlobRow> present = catalog.row(id)
                    .filter(row -> !row.isDeleted() && row.backend().equals(seen.backend()));
            if (present.isEmpty()) {
                return Outcome.GONE;
            }
            BlobRow row = present.get();
            // The target first: where it came from is only read if it may be needed.
            Optional<BlobContent> target = atTarget(row);
            if (SettleDecision.isProvenBy(row, target)) {
                return Outcome.PROVEN;
            }
            SettleDecision decision = SettleDecision.decide(row, Optional.empty(), target);
            for (Origin origin : origins(row)) {
                decision = SettleDecision.decide(row, origin.content().get(), target);
                if (decision == SettleDecision.PUT_BACK) {
                    if (origin.putBack().getAsBoolean()) {
                        return Outcome.PUT_BACK;
                    }
                    break;
                }
            }
            if (decision == SettleDecision.KEEP) {
                return Outcome.PROVEN;
            }
            if (decision == SettleDecision.QUARANTINE
                    && !catalog.isHeld(id)
                    && catalog.row(id).equals(Optional.of(row))) {
                return Outcome.LOST;
            }
            if (look == LOOKS) {
                return Outcome.BUSY;
            }
        }
    }

    private Optional<BlobContent> atTarget(BlobRow row) {
        return row.backend().isExternal()
                ? row.externalId().flatMap(key -> stores.at(row.backend()).readBack(key, row.size()))
                : largeObject(row);
    }

    private Optional<BlobContent> largeObject(BlobRow row) {
        return row.oid().isPresent() ? largeObjects.digest(row.oid().getAsLong(), row.size()) : Optional.empty();
    }

    /** A place that a row's blob may have come from, and how the row is pointed back at it. */
    private record Origin(Supplier<Optional<BlobContent>> content, BooleanSupplier putBack) {}

    private List<Origin> origins(BlobRow row) {
        List<Origin> origins = new ArrayList<>();
        if (row.backend().isExternal() && row.oid().isPresent()) {
            origins.add(new Origin(() -> largeObject(row), () -> catalog.putBackOnLargeObject(fence, row)));
        }
        BackendName from = route.from();
        // Where only a digest tells whose bytes they are: every row that was flipped has one.
        if (from.isExternal() && row.sha512().isPresent()) {
            retained.of(row.id(), from)
                    .ifPresent(key -> origins.add(new Origin(
                            () -> stores.at(from).readBack(key, row.size()),
                            () -> catalog.putBackOnRetained(fence, row, from, key))));
            row.externalId()
                    .ifPresent(key -> origins.add(new Origin(
                            () -> stores.at(from).readBack(key, row.size()),
                            () -> catalog.putBackWithItsKey(fence, row, from))));
        }
        return origins;
    }
}
