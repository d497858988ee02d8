package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.CheckedRow;
import io.flynn.blobstore.decide.CheckDecision;
import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckFinding.Kind;
import io.flynn.blobstore.decide.CheckReport.Figure;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.postgres.CheckedRows;
import io.flynn.blobstore.store.postgres.LargeObjects;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Compares live rows with the bytes that they name, wherever these are by then. Rows, objects and large objects change
 * meanwhile, so nothing is found before it was seen twice, alike, with all writes ended that were under way in between.
 */
final class RowCheck {

    private static final int PAGE = 1000;

    /** A row that changes from look to look is given up. */
    private static final int LOOKS = 5;

    private final CheckedRows rows;
    private final LargeObjects largeObjects;
    private final Map<String, BlobStore> stores;
    private final Writers writers;
    private final boolean isReading;
    private final int concurrency;
    private final CheckTally tally;

    /**
     * @param stores by the backend's name; rows elsewhere are left out
     * @param isReading whether every byte is read, not only their number looked at
     * @param concurrency bytes of so many blobs are looked at at once
     */
    RowCheck(
            CheckedRows rows,
            LargeObjects largeObjects,
            Map<String, BlobStore> stores,
            Writers writers,
            boolean isReading,
            int concurrency,
            CheckTally tally) {
        this.rows = rows;
        this.largeObjects = largeObjects;
        this.stores = stores;
        this.writers = writers;
        this.isReading = isReading;
        this.concurrency = concurrency;
        this.tally = tally;
    }

    /** What was seen of a row that is not as it should be. */
    private record Wrong(CheckedRow row, Kind kind, OptionalLong found) {}

    /** Looks at all live rows at {@code backend}. */
    void all(String backend) {
        Optional<UUID> after = Optional.empty();
        List<CheckedRow> page;
        do {
            page = rows.page(backend, after, PAGE);
            confirm(look(page, true).keySet());
            after = page.isEmpty() ? after : Optional.of(page.getLast().id());
        } while (page.size() == PAGE);
    }

    /** Looks at rows again that seemed wrong, and reports those that are. */
    void confirm(Collection<UUID> suspects) {
        Map<UUID, Wrong> before = Map.of();
        Collection<UUID> left = Set.copyOf(suspects);
        for (int look = 1; look <= LOOKS && !left.isEmpty(); look++) {
            Map<UUID, Wrong> wrong = new HashMap<>(look(rows.rows(left), false));
            for (Wrong seenBefore : before.values()) {
                if (wrong.remove(seenBefore.row().id(), seenBefore)) {
                    tally.found(CheckFinding.ofRow(seenBefore.kind(), seenBefore.row(), seenBefore.found(), ""));
                }
            }
            before = wrong;
            left = wrong.keySet();
            if (!left.isEmpty() && !writers.awaitEnd()) {
                undecided(before, "a write that is under way for long may be about to change the row: check again");
                return;
            }
        }
        undecided(before, "the row changed whenever it was looked at: check again");
    }

    private void undecided(Map<UUID, Wrong> wrong, String why) {
        wrong.values().forEach(seen -> tally.found(CheckFinding.ofRow(Kind.UNDECIDED, seen.row(), seen.found(), why)));
    }

    private Map<UUID, Wrong> look(List<CheckedRow> looked, boolean isCounted) {
        Map<UUID, Wrong> wrong = new ConcurrentHashMap<>();
        try (InFlight blobs = new InFlight(concurrency)) {
            for (CheckedRow row : looked) {
                blobs.submit(() -> {
                    look(row).ifPresent(seen -> wrong.put(row.id(), seen));
                    if (isCounted) {
                        count(row);
                    }
                });
            }
        }
        return wrong;
    }

    /** Rows at buckets are counted where they are compared with the listing. */
    private void count(CheckedRow row) {
        long size = row.size().orElse(0);
        if (isReading) {
            tally.count(row.backend(), Figure.READ_ROWS, 1);
            tally.count(row.backend(), Figure.READ_BYTES, size);
        }
        if (row.isInPostgres()) {
            tally.count(row.backend(), Figure.ROWS, 1);
            tally.count(row.backend(), Figure.BYTES, size);
        }
    }

    private Optional<Wrong> look(CheckedRow row) {
        if (!row.isLive()) {
            return Optional.empty();
        }
        if (row.isInPostgres()) {
            return inPostgres(row);
        }
        BlobStore store = stores.get(row.backend());
        return store == null ? Optional.empty() : in(store, row);
    }

    private Optional<Wrong> inPostgres(CheckedRow row) {
        OptionalLong length = row.largeObjectSize();
        Optional<Kind> wrong = CheckDecision.byLength(row, length);
        if (wrong.isEmpty() && isReading) {
            wrong = CheckDecision.byContent(
                    row, largeObjects.digest(row.oid().orElseThrow(), row.size().orElseThrow()));
        }
        return wrong.map(kind -> new Wrong(row, kind, length));
    }

    private Optional<Wrong> in(BlobStore store, CheckedRow row) {
        if (!isReading) {
            OptionalLong length = row.key().map(store::sizeOf).orElse(OptionalLong.empty());
            return CheckDecision.byLength(row, length).map(kind -> new Wrong(row, kind, length));
        }
        Optional<BlobContent> content =
                row.key().flatMap(key -> store.readBack(key, row.size().orElse(0)));
        OptionalLong length = content.map(read -> OptionalLong.of(read.size())).orElse(OptionalLong.empty());
        return CheckDecision.byContent(row, content).map(kind -> new Wrong(row, kind, length));
    }
}
