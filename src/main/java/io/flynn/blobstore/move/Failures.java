package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.Shards;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Collectors;

/**
 * The blobs that a run could not deal with: tried again up to a limit, then quarantined. Bounded: a run with more than {@value
 * #QUARANTINE_MAX} such blobs has another problem than its blobs. Thread-safe.
 */
final class Failures {

    private static final int QUARANTINE_MAX = 10_000;

    /** A report holds no more; the others are in the file. */
    private static final int FINDINGS_MAX = 20;

    private final int retries;
    private final int most;
    private final FailureFile file;
    private final ProgressMeter progress;
    private final Map<UUID, Integer> attempts = new HashMap<>();
    private final Map<UUID, Finding> quarantined = new LinkedHashMap<>();

    Failures(int retries, ProgressMeter progress) {
        this(retries, QUARANTINE_MAX, FailureFile.NONE, progress);
    }

    /**
     * @param most so many may fail; one more ends the run
     * @param file is told of each
     */
    Failures(int retries, int most, FailureFile file, ProgressMeter progress) {
        this.retries = retries;
        this.most = Math.min(most, QUARANTINE_MAX);
        this.file = file;
        this.progress = progress;
    }

    /** No retry can help this blob. */
    synchronized void quarantine(BlobRow row, String reason, String message) {
        attempts.remove(row.id());
        if (quarantined.put(row.id(), new Finding(Level.FAILURE, row.id().toString(), reason, message)) == null) {
            progress.failed();
            file.add(row.id(), reason, message);
        }
        if (quarantined.size() > most) {
            throw new StorageFailure.Corrupt(
                    Reasons.BLOBS_FAILED, "more than " + most + " blobs failed; the last: " + message, null);
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

    /** How many of them are in each {@link Shards shard}. */
    synchronized Map<Integer, Long> countByShard() {
        return quarantined.keySet().stream().collect(Collectors.groupingBy(Shards::of, Collectors.counting()));
    }

    /** The first of them. */
    synchronized List<Finding> findings() {
        return quarantined.values().stream().limit(FINDINGS_MAX).toList();
    }
}
