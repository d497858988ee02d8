package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.SettleDecision;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.postgres.LargeObjects;
import io.flynn.blobstore.store.postgres.MoveCatalog;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * Settles moved rows whose object is not what the row says (ARCHITECTURE, "Settling one row"): what was last acknowledged is
 * on the side that matches the row. Thread-safe; blocks.
 */
final class Settler {

    private static final int PAGE = 1000;

    /** A row that changes while it is looked at is looked at again, this often. */
    private static final int LOOKS = 5;

    private final MoveCatalog catalog;
    private final LargeObjects largeObjects;
    private final BlobStore store;

    enum Outcome {
        /** The object is the blob. */
        PROVEN,
        /** The row is back on its large object, to be copied again. */
        PUT_BACK,
        /** Deleted, or no longer at the target. */
        GONE,
        /** It changes faster than it can be read: whoever writes it is not finished. */
        BUSY,
        /** Neither side is the blob. */
        LOST
    }

    Settler(MoveCatalog catalog, LargeObjects largeObjects, BlobStore store) {
        this.catalog = catalog;
        this.largeObjects = largeObjects;
        this.store = store;
    }

    /** Whether a write that began before the row's flip ended after it: the digest changed, and with it the key it should have. */
    static boolean isWrittenSinceItsFlip(BlobRow row) {
        return !row.externalId().equals(row.sha512().map(digest -> ObjectKey.of(row.id(), digest)));
    }

    /**
     * Settles every row at {@code target} that still has its large object and was written since its flip.
     *
     * @return how many were put back
     */
    long settleLateWrites(BackendName target) {
        long putBack = 0;
        Optional<UUID> after = Optional.empty();
        List<BlobRow> page;
        do {
            page = catalog.pageUncleaned(target, after, PAGE);
            for (BlobRow row : page) {
                if (isWrittenSinceItsFlip(row) && settle(row) == Outcome.PUT_BACK) {
                    putBack++;
                }
            }
            after = page.isEmpty() ? after : Optional.of(page.getLast().id());
        } while (page.size() == PAGE);
        return putBack;
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
            Optional<BlobContent> object = row.externalId().flatMap(store::readBack);
            // The object first: the large object is only read if it may be needed.
            Optional<BlobContent> largeObject =
                    SettleDecision.isProvenBy(row, object) || row.oid().isEmpty()
                            ? Optional.empty()
                            : largeObjects.digest(row.oid().getAsLong(), row.size());
            switch (SettleDecision.decide(row, largeObject, object)) {
                case KEEP -> {
                    return Outcome.PROVEN;
                }
                case PUT_BACK -> {
                    if (catalog.unflip(row)) {
                        return Outcome.PUT_BACK;
                    }
                }
                case QUARANTINE -> {
                    if (!catalog.isHeld(id) && catalog.row(id).equals(Optional.of(row))) {
                        return Outcome.LOST;
                    }
                }
            }
            if (look == LOOKS) {
                return Outcome.BUSY;
            }
        }
    }
}
