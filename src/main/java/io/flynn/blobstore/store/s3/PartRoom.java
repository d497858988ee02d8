package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * Where all uploads of this process gather their parts: in memory, of which they hold together no more than a bound, and only
 * for bytes that are there; beyond that in files without a name. So no number of slow clients keeps another one waiting.
 * Thread-safe.
 */
public final class PartRoom {

    /** What is taken of the memory at once. */
    static final int PIECE_BYTES = 64 * 1024;

    private static final Set<StandardOpenOption> OPEN = Set.of(
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE,
            StandardOpenOption.DELETE_ON_CLOSE);

    private static final FileAttribute<?> OURS_ALONE =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final Semaphore free;
    private final Queue<byte[]> unused = new ConcurrentLinkedQueue<>();
    private final Optional<Path> directory;
    private final Duration patience;

    /**
     * @param memoryBytesMax held at most; one piece is always allowed
     * @param directory for files; empty = uploads wait for memory
     */
    public PartRoom(long memoryBytesMax, Optional<Path> directory) {
        this(memoryBytesMax, directory, PATIENCE);
    }

    /** @param patience how long to wait for memory where no file can be written */
    PartRoom(long memoryBytesMax, Optional<Path> directory, Duration patience) {
        free = new Semaphore(Math.clamp(memoryBytesMax / PIECE_BYTES, 1, 1 << 20), true);
        this.directory = directory;
        this.patience = patience;
    }

    Optional<byte[]> pieceIfFree() {
        return free.tryAcquire() ? Optional.of(unusedOrNew()) : Optional.empty();
    }

    /** @throws StorageFailure.Busy if none becomes free in time */
    byte[] piece() {
        try {
            if (free.tryAcquire(patience.toMillis(), TimeUnit.MILLISECONDS)) {
                return unusedOrNew();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        throw new StorageFailure.Busy(
                Reasons.STORE_BUSY, "could not take an upload in: as many run as memory allows", null);
    }

    void giveBack(byte[] piece) {
        unused.add(piece);
        free.release();
    }

    /**
     * A file that is gone with its channel, or with this process, since it loses its name as soon as it is open; one call does both, so
     * there is nothing but an instant in which a process that is killed leaves it, and then empty. No file if there can't be one.
     */
    Optional<FileChannel> file() {
        return directory.flatMap(place -> {
            try {
                return Optional.of(FileChannel.open(place.resolve("upload-" + UUID.randomUUID()), OPEN, OURS_ALONE));
            } catch (IOException e) {
                return Optional.empty();
            }
        });
    }

    private byte[] unusedOrNew() {
        byte[] piece = unused.poll();
        return piece != null ? piece : new byte[PIECE_BYTES];
    }
}
