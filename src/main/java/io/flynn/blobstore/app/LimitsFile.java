package io.flynn.blobstore.app;

import io.flynn.blobstore.decide.InvalidSettingException;
import io.flynn.blobstore.decide.TransferLimits;
import io.flynn.blobstore.store.Traffic;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A file of {@link TransferLimits} that is read again and again while a stage runs: in a pod, one of a mounted ConfigMap. What can't be
 * used is named once and changes nothing; without a file, the command line holds.
 */
final class LimitsFile implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(LimitsFile.class);

    private static final Duration PERIOD = Duration.ofSeconds(2);

    /** Whatever is longer is another file. */
    private static final int BYTES_MAX = 64 * 1024;

    private final Path file;
    private final TransferLimits otherwise;
    private final Traffic traffic;
    private final Thread thread;
    private String last = "";

    /** Reads it for the first time before it returns. */
    LimitsFile(Path file, TransferLimits otherwise, Traffic traffic) {
        this.file = file;
        this.otherwise = otherwise;
        this.traffic = traffic;
        look();
        thread = Thread.ofPlatform().daemon().name("limits").start(this::watch);
    }

    private void watch() {
        try {
            while (true) {
                Thread.sleep(PERIOD);
                look();
            }
        } catch (InterruptedException e) {
            // Closed.
            Thread.currentThread().interrupt();
        }
    }

    /** Never throws: whoever mistypes a limit must not stop what runs. */
    synchronized void look() {
        String text = text();
        if (text.equals(last)) {
            return;
        }
        last = text;
        try {
            TransferLimits limits = TransferLimits.parse(text, otherwise);
            traffic.limitBlobs(limits.concurrency());
            traffic.limitBytes(limits.bytesPerSecond());
            LOG.info("{}: {} blobs at once, {} bytes/s", file, limits.concurrency(), limits.bytesPerSecond());
        } catch (InvalidSettingException e) {
            LOG.warn("{}: {}; the limits stay as they are", file, e.getMessage());
        }
    }

    private String text() {
        try {
            if (Files.size(file) > BYTES_MAX) {
                return "# more than " + BYTES_MAX + " bytes\n?";
            }
            return Files.readString(file);
        } catch (NoSuchFileException e) {
            return "";
        } catch (IOException e) {
            LOG.debug("can't read {}", file, e);
            return last;
        }
    }

    @Override
    public void close() {
        thread.interrupt();
    }
}
