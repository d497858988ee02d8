package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckFinding.Kind;
import io.flynn.blobstore.decide.CheckReport.Figure;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.BucketListing;
import io.flynn.blobstore.store.BucketListing.StoredObject;
import io.flynn.blobstore.store.postgres.CheckedRows;
import io.flynn.blobstore.store.postgres.CheckedRows.KeyedRow;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.UUID;

/**
 * Compares one bucket with the rows, both ways. The rows are listed before the objects, so what seems orphaned may only be
 * young, and what seems missing may only be deleted by now: both are looked at again.
 */
final class BucketCheck implements BucketJoin.Pairs {

    private static final int ROWS_AT_ONCE = 1_000;

    /** Rows have no index by key, so each look reads all of them; so many keys take some megabytes. */
    private static final int KEYS_AT_ONCE = 50_000;

    private final String backend;
    private final BlobStore store;
    private final BucketListing listing;
    private final CheckedRows rows;
    private final RowCheck rowCheck;
    private final Writers writers;
    private final boolean isReading;
    private final int concurrency;
    private final CheckTally tally;

    private final List<UUID> suspectRows = new ArrayList<>();
    private final Map<UUID, Long> suspectObjects = new HashMap<>();

    /** @param isReading whether all rows' objects are read besides, so that rows are compared there */
    BucketCheck(
            String backend,
            BlobStore store,
            BucketListing listing,
            CheckedRows rows,
            RowCheck rowCheck,
            Writers writers,
            boolean isReading,
            int concurrency,
            CheckTally tally) {
        this.backend = backend;
        this.store = store;
        this.listing = listing;
        this.rows = rows;
        this.rowCheck = rowCheck;
        this.writers = writers;
        this.isReading = isReading;
        this.concurrency = concurrency;
        this.tally = tally;
    }

    /** Rows and objects. */
    void compare() {
        rows.byKey(backend, byKey -> BucketJoin.join(byKey, listing.objects(), this));
        confirmRows();
        confirmObjects();
    }

    @Override
    public void onlyRows(List<KeyedRow> named) {
        named.forEach(row -> compare(row, OptionalLong.empty()));
    }

    @Override
    public void both(List<KeyedRow> named, StoredObject object) {
        tally.count(backend, Figure.OBJECTS, 1);
        named.forEach(row -> compare(row, OptionalLong.of(object.size())));
        if (named.stream().noneMatch(KeyedRow::isLive)) {
            tally.count(backend, Figure.RETIRED_OBJECTS, 1);
            tally.count(backend, Figure.RETIRED_BYTES, object.size());
        }
    }

    @Override
    public void onlyObject(StoredObject object) {
        tally.count(backend, Figure.OBJECTS, 1);
        suspectObjects.put(UUID.fromString(object.key()), object.size());
        if (suspectObjects.size() == KEYS_AT_ONCE) {
            confirmObjects();
        }
    }

    @Override
    public void foreign(StoredObject object) {
        tally.count(backend, Figure.OBJECTS, 1);
        tally.count(backend, Figure.FOREIGN_OBJECTS, 1);
    }

    private void compare(KeyedRow row, OptionalLong found) {
        if (!row.isLive()) {
            return;
        }
        tally.count(backend, Figure.ROWS, 1);
        tally.count(backend, Figure.BYTES, row.size().orElse(0));
        if (row.key().isPresent() && row.size().isPresent() && row.size().equals(found)) {
            return;
        }
        suspectRows.add(row.id());
        if (suspectRows.size() == ROWS_AT_ONCE) {
            confirmRows();
        }
    }

    private void confirmRows() {
        if (!isReading) {
            rowCheck.confirm(suspectRows);
        }
        suspectRows.clear();
    }

    /** An object is orphaned if no row names it, all writes have ended that might, still none does, and it's still there. */
    private void confirmObjects() {
        Set<UUID> unnamed = unnamed(suspectObjects.keySet());
        if (!unnamed.isEmpty()) {
            Set<UUID> ofMoves = ofMoves(unnamed);
            boolean haveEnded = writers.awaitEnd();
            unnamed = unnamed(unnamed);
            try (InFlight looks = new InFlight(concurrency)) {
                for (UUID key : unnamed) {
                    looks.submit(() -> confirmObject(key, ofMoves.contains(key), haveEnded));
                }
            }
        }
        suspectObjects.clear();
    }

    private void confirmObject(UUID key, boolean isOfMove, boolean haveEnded) {
        OptionalLong size = store.sizeOf(new ObjectKey(key));
        if (size.isEmpty()) {
            return;
        }
        if (isOfMove) {
            found(Kind.OBJECT_NOT_FLIPPED, key, size, "");
        } else if (haveEnded) {
            tally.count(backend, Figure.ORPHANED_OBJECTS, 1);
            tally.count(backend, Figure.ORPHANED_BYTES, size.getAsLong());
            found(Kind.OBJECT_ORPHANED, key, size, "");
        } else {
            undecided(key, size);
        }
    }

    private void undecided(UUID key, OptionalLong size) {
        found(Kind.UNDECIDED, key, size, "a write that is under way for long may be about to name it: check again");
    }

    private void found(Kind kind, UUID key, OptionalLong size, String message) {
        tally.found(CheckFinding.ofKey(kind, backend, key.toString(), size, message));
    }

    private Set<UUID> unnamed(Set<UUID> keys) {
        Set<UUID> unnamed = new HashSet<>(keys);
        if (!unnamed.isEmpty()) {
            unnamed.removeAll(rows.named(keys));
        }
        return unnamed;
    }

    /** Keys of moves are UUIDs of version 5, those of uploads aren't. */
    private Set<UUID> ofMoves(Set<UUID> keys) {
        Set<UUID> ofMoves = new HashSet<>();
        if (keys.stream().anyMatch(key -> key.version() == 5)) {
            rows.keysOfMoves(backend, key -> {
                if (keys.contains(key)) {
                    ofMoves.add(key);
                }
            });
        }
        return ofMoves;
    }

    /** Multipart uploads that aren't finished. */
    void checkUploads() {
        Set<UUID> suspects = new HashSet<>();
        for (Iterator<String> uploads = listing.uploads(); uploads.hasNext(); ) {
            String key = uploads.next();
            tally.count(backend, Figure.UPLOADS, 1);
            if (BucketJoin.isOurs(key)) {
                suspects.add(UUID.fromString(key));
            }
            if (suspects.size() == KEYS_AT_ONCE) {
                confirmUploads(suspects);
                suspects.clear();
            }
        }
        confirmUploads(suspects);
    }

    private void confirmUploads(Set<UUID> suspects) {
        Set<UUID> unnamed = unnamed(suspects);
        if (unnamed.isEmpty()) {
            return;
        }
        Set<UUID> ofMoves = ofMoves(unnamed);
        boolean haveEnded = writers.awaitEnd();
        for (UUID key : unnamed(unnamed)) {
            if (!listing.hasUpload(new ObjectKey(key))) {
                continue;
            }
            if (ofMoves.contains(key)) {
                found(
                        Kind.UPLOAD_ORPHANED,
                        key,
                        OptionalLong.empty(),
                        "a migration is under way with a live row elsewhere, or broke off, and aborts it when it goes on");
            } else if (haveEnded) {
                found(Kind.UPLOAD_ORPHANED, key, OptionalLong.empty(), "");
            } else {
                undecided(key, OptionalLong.empty());
            }
        }
    }
}
