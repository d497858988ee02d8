package io.flynn.blobstore.move;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.BucketListing.StoredObject;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.CheckedRows.KeyedRow;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Goes through rows and objects side by side, both in the order of their keys, with one of each in memory. Keys that no row can
 * have are set aside before, whatever order a store gives them: S3Proxy's is not that of S3 for some characters. For one thread.
 */
final class BucketJoin {

    /** Takes what belongs together. */
    interface Pairs {

        /** Rows without a key, or without an object under it. */
        void onlyRows(List<KeyedRow> rows);

        /** @param rows all that name the object */
        void both(List<KeyedRow> rows, StoredObject object);

        void onlyObject(StoredObject object);

        /** An object whose key is none of ours. */
        void foreign(StoredObject object);
    }

    /** As rows write it. */
    private static final Pattern OURS = Pattern.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");

    private final Iterator<KeyedRow> rows;
    private final Iterator<StoredObject> objects;
    private final Pairs pairs;
    private @Nullable KeyedRow nextRow;
    private @Nullable StoredObject nextObject;

    private BucketJoin(Iterator<KeyedRow> rows, Iterator<StoredObject> objects, Pairs pairs) {
        this.rows = rows;
        this.objects = objects;
        this.pairs = pairs;
        advanceRow();
        advanceObject();
    }

    /**
     * @param rows those without a key first, then in the order of the keys
     * @throws StorageFailure.Denied if the objects come in another order
     */
    static void join(Iterator<KeyedRow> rows, Iterator<StoredObject> objects, Pairs pairs) {
        new BucketJoin(rows, objects, pairs).join();
    }

    private void join() {
        while (nextRow != null || nextObject != null) {
            int order = compare(nextRow, nextObject);
            StoredObject object = nextObject;
            if (order > 0 && object != null) {
                pairs.onlyObject(object);
                advanceObject();
                continue;
            }
            List<KeyedRow> sameKey = takeRowsOfOneKey();
            if (order == 0 && object != null) {
                pairs.both(sameKey, object);
                advanceObject();
            } else {
                pairs.onlyRows(sameKey);
            }
        }
    }

    /** What has come to its end is behind everything; a row without a key before. */
    private static int compare(@Nullable KeyedRow row, @Nullable StoredObject object) {
        if (row == null) {
            return 1;
        }
        if (object == null || row.key().isEmpty()) {
            return -1;
        }
        return row.key().get().toString().compareTo(object.key());
    }

    private List<KeyedRow> takeRowsOfOneKey() {
        List<KeyedRow> taken = new ArrayList<>();
        for (KeyedRow row = nextRow; row != null; row = nextRow) {
            if (!taken.isEmpty()
                    && (row.key().isEmpty()
                            || !row.key().equals(taken.getFirst().key()))) {
                break;
            }
            taken.add(row);
            advanceRow();
        }
        return taken;
    }

    private void advanceRow() {
        nextRow = rows.hasNext() ? rows.next() : null;
    }

    private void advanceObject() {
        StoredObject last = nextObject;
        nextObject = nextOfOurs();
        if (last != null && nextObject != null && last.key().compareTo(nextObject.key()) >= 0) {
            throw new StorageFailure.Denied(
                    Reasons.STORE_FAULTY,
                    "the store lists its objects in another order than that of their keys, %s after %s: they can't be compared"
                            .formatted(nextObject.key(), last.key()),
                    null);
        }
    }

    private @Nullable StoredObject nextOfOurs() {
        while (objects.hasNext()) {
            StoredObject object = objects.next();
            if (isOurs(object.key())) {
                return object;
            }
            pairs.foreign(object);
        }
        return null;
    }

    /** Whether a row can have it. */
    static boolean isOurs(String key) {
        return OURS.matcher(key).matches();
    }
}
