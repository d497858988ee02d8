package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.time.Duration;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/** The memory that all uploads of this process together may hold. Thread-safe. */
public final class PartBuffers {

    /** With 10,000 parts, the most that S3 takes, the largest upload is 78 GiB; S3 wants at least 5 MiB. */
    static final int PART_BYTES = 8 * 1024 * 1024;

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final Semaphore free;
    private final Queue<byte[]> unused = new ConcurrentLinkedQueue<>();

    /** @param bytesMax held at most; one buffer is always allowed */
    public PartBuffers(long bytesMax) {
        free = new Semaphore(Math.clamp(bytesMax / PART_BYTES, 1, 1_000));
    }

    /** @throws StorageFailure.Busy if none becomes free in time */
    byte[] take() {
        try {
            if (free.tryAcquire(PATIENCE.toMillis(), TimeUnit.MILLISECONDS)) {
                return unusedOrNew();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        throw new StorageFailure.Busy(
                Reasons.STORE_BUSY, "could not start an upload: as many run as memory allows", null);
    }

    Optional<byte[]> takeIfFree() {
        return free.tryAcquire() ? Optional.of(unusedOrNew()) : Optional.empty();
    }

    void giveBack(byte[] buffer) {
        unused.add(buffer);
        free.release();
    }

    private byte[] unusedOrNew() {
        byte[] buffer = unused.poll();
        return buffer != null ? buffer : new byte[PART_BYTES];
    }
}
