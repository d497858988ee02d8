package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.Stage;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads from the logs of pods how far their stages are: the last valid line of the last twenty. It never holds up who asks: a
 * read happens on a thread of its own, at most once in ten seconds for a pod that has spoken, and tells when it has something.
 *
 * <p>Thread-safe. What can't be read now is read the next time; nobody depends on it.
 */
final class ProgressReader implements AutoCloseable {

    /** What a worker said last. */
    record Heard(Progress progress, Instant at) {}

    /** Where to read. */
    record Source(String namespace, String pod, String container, Stage stage) {}

    private static final Logger LOG = LoggerFactory.getLogger(ProgressReader.class);

    private static final Duration PERIOD = Duration.ofSeconds(10);

    /** After which it is worth asking again a pod that had nothing to say yet; its stage speaks every two seconds. */
    static final Duration SILENCE = Duration.ofSeconds(2);

    private static final int LINES = 20;
    /** Twenty of our lines have a sixth of it. */
    private static final int BYTES_MAX = 64 * 1024;
    /** Logs are read over the connections that reconciling needs too. */
    private static final int READS_AT_ONCE = 4;

    private static final Duration FORGOTTEN = Duration.ofHours(1);

    private record Known(Instant asked, Optional<Heard> heard) {

        boolean isDue(Instant now) {
            return !now.isBefore(asked.plus(heard.isPresent() ? PERIOD : SILENCE));
        }
    }

    private final KubernetesClient client;
    private final InstantSource clock;
    private final Map<Source, Known> known = new ConcurrentHashMap<>();
    private final Semaphore reads = new Semaphore(READS_AT_ONCE);
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();

    ProgressReader(KubernetesClient client, InstantSource clock) {
        this.client = client;
        this.clock = clock;
    }

    /**
     * What was heard last of these pods, which share a stage, if anything; and listens again, if it is time to. Doesn't block.
     *
     * @param onNews run when the first of them was heard; what the others said is there at the next look, or each of many would cause
     *     one
     */
    Optional<Heard> latest(List<Source> sources, Runnable onNews) {
        List<Heard> heard = new ArrayList<>();
        for (Source source : sources) {
            latest(source, heard.isEmpty() ? onNews : () -> {}).ifPresent(heard::add);
        }
        return heard.isEmpty()
                ? Optional.empty()
                : Optional.of(new Heard(
                        Progress.together(heard.stream().map(Heard::progress).toList()),
                        heard.stream()
                                .map(Heard::at)
                                .max(Comparator.naturalOrder())
                                .orElseThrow()));
    }

    private Optional<Heard> latest(Source source, Runnable onNews) {
        Instant now = clock.instant();
        Known last = known.get(source);
        if ((last == null || last.isDue(now)) && reads.tryAcquire()) {
            known.values().removeIf(other -> other.asked().plus(FORGOTTEN).isBefore(now));
            known.put(source, new Known(now, last == null ? Optional.empty() : last.heard()));
            threads.execute(() -> read(source, onNews));
        }
        return last == null ? Optional.empty() : last.heard();
    }

    @Override
    public void close() {
        threads.shutdownNow();
    }

    private void read(Source source, Runnable onNews) {
        try {
            Optional<Heard> heard =
                    lastProgress(log(source), source.stage()).map(progress -> new Heard(progress, clock.instant()));
            if (heard.isPresent()) {
                known.computeIfPresent(source, (same, last) -> new Known(last.asked(), heard));
                onNews.run();
            }
        } catch (KubernetesClientException failure) {
            // Pods come and go, and one that is starting has no log: the next read, in two seconds, is the retry.
            LOG.debug("can't read the log of pod {}/{}", source.namespace(), source.pod(), failure);
        } finally {
            reads.release();
        }
    }

    /** By its path: the client's own way first lists and watches the pod until it is ready, for which there is no right. */
    private String log(Source source) {
        String log = client.raw("/api/v1/namespaces/%s/pods/%s/log?container=%s&tailLines=%d&limitBytes=%d"
                .formatted(source.namespace(), source.pod(), source.container(), LINES, BYTES_MAX));
        return log == null ? "" : log;
    }

    /** The last line that is progress; what else a log holds is not looked at. */
    static Optional<Progress> lastProgress(String log, Stage stage) {
        return log.lines()
                .map(line -> WorkerJson.progress(line, stage))
                .flatMap(Optional::stream)
                .reduce((earlier, later) -> later);
    }
}
