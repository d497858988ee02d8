package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.store.StorageFailure;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * The blobs that a run could not deal with: tried again up to a limit, then quarantined. Bounded: a run with more than {@value
 * #QUARANTINE_MAX} such blobs has another problem than its blobs. Thread-safe.
 */
final class Failures {

    private static final int QUARANTINE_MAX = 10_000;

    private final int retries;
    private final ProgressMeter progress;
    private final Map<UUID, Integer> attempts = new HashMap<>();
    private final Map<UUID, Finding> quarantined = new LinkedHashMap<>();

    Failures(int retries, ProgressMeter progress) {
        this.retries = retries;
        this.progress = progress;
    }

    /** No retry can help this blob. */
    synchronized void quarantine(BlobRow row, String reason, String message) {
        if (quarantined.size() == QUARANTINE_MAX) {
            throw new StorageFailure.Corrupt(
                    Reasons.BLOBS_FAILED, "more than " + QUARANTINE_MAX + " blobs failed; the last: " + message, null);
        }
        attempts.remove(row.id());
        if (quarantined.put(row.id(), new Finding(Level.FAILURE, row.id().toString(), reason, message)) == null) {
            progress.failed();
        }
    }

    /** A retry may help; once there were too many, the blob is quarantined. */
    synchronized void failed(BlobRow row, StorageFailure failure) {
        if (attempts.merge(row.id(), 1, Integer::sum) > retries) {
            quarantine(row, failure.reason(), String.valueOf(failure.getMessage()));
        }
    }

    synchronized void succeeded(UUID id) {
        attempts.remove(id);
    }

    synchronized boolean isQuarantined(UUID id) {
        return quarantined.containsKey(id);
    }

    synchronized int count() {
        return quarantined.size();
    }

    synchronized List<Finding> findings() {
        return List.copyOf(quarantined.values());
    }
}
