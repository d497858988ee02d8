package io.flynn.blobstore.serve;

import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.RetiredObjects;
import io.flynn.blobstore.store.postgres.RetiredObjects.Found;
import io.flynn.blobstore.store.postgres.RetiredObjects.Retired;
import io.flynn.blobstore.store.s3.ServedBucket;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Deletes the objects of replaced and deleted blobs in the background, once nobody can have a working link to them any more,
 * and what uploads left behind that never ended. Any number of servers may do so at once. What fails is tried again in the
 * next round; one backend's failure keeps no other back.
 */
public final class ObjectCollector implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(ObjectCollector.class);

    private static final Duration ROUND = Duration.ofMinutes(1);

    /** Rows are held, in a transaction, while their objects are deleted: not for long. */
    private static final int BATCH_MAX = 20;

    /** Each look reads the table from end to end; and what was seen is used for a minute, as long as a store is as fast as it may be. */
    private static final int LOOK_MAX = 10_000;

    /** More than a few objects that can't be deleted: it is the store, or a right that is missing. */
    private static final int FAILURES_MAX = 3;

    private static final UUID LEAST = new UUID(0, 0);

    /** What a store that hangs may cost a server that stops. */
    private static final Duration END = Duration.ofSeconds(2);

    private final RetiredObjects retired;
    private final Map<String, ServedBucket> buckets;
    private final Duration age;
    private final int look;
    private final int batch;
    private final Duration pause;
    private final Map<String, Batch> batches = new HashMap<>();
    private final Map<String, LongAdder> deleted = new HashMap<>();
    private final Map<String, LongAdder> failed = new HashMap<>();
    private final CountDownLatch closing = new CountDownLatch(1);
    private @Nullable Thread thread;

    /**
     * @param age how long ago a blob must have been replaced or deleted
     * @param perSecond how many objects are deleted in a second, at most
     */
    public ObjectCollector(RetiredObjects retired, Backends backends, Duration age, int perSecond) {
        this.retired = retired;
        this.buckets = backends.buckets();
        this.age = age;
        look = Math.toIntExact(Math.min(ROUND.toSeconds() * perSecond, LOOK_MAX));
        batch = Math.min(perSecond, BATCH_MAX);
        pause = Duration.ofSeconds(1).multipliedBy(batch).dividedBy(perSecond);
        buckets.keySet().forEach(name -> {
            deleted.put(name, new LongAdder());
            failed.put(name, new LongAdder());
        });
    }

    /** Tells {@code registry} from now on how many objects went, and how many could not. Once only. */
    public void observe(MeterRegistry registry) {
        deleted.forEach((name, count) -> FunctionCounter.builder("blobstore.objects.deleted", count, LongAdder::sum)
                .description(
                        "Objects of replaced and deleted blobs, and of uploads that never ended, that were deleted")
                .tag("backend", name)
                .register(registry));
        failed.forEach((name, count) -> FunctionCounter.builder("blobstore.objects.failures", count, LongAdder::sum)
                .description("Times at which such objects could not be deleted, or not be looked for")
                .tag("backend", name)
                .register(registry));
    }

    /** Starts with a round at once. */
    public void start() {
        thread = Thread.ofVirtual().name("collect-objects").start(this::run);
    }

    private void run() {
        do {
            round();
        } while (!isClosedWithin(ROUND));
    }

    /** Goes through all backends once. Failures of the world are logged. */
    void round() {
        buckets.forEach((name, bucket) -> {
            try {
                collect(name, batches.computeIfAbsent(name, first -> new Batch(name, bucket)));
            } catch (StorageFailure e) {
                failed(name, e);
            }
        });
    }

    private void collect(String backend, Batch rows) {
        rows.failures = 0;
        boolean isMore = true;
        while (isMore && rows.failures < FAILURES_MAX && !isClosing()) {
            isMore = collectNext(backend, rows);
        }
        if (!isMore) {
            rows.last = LEAST;
        }
    }

    /** @return whether there may be more */
    private boolean collectNext(String backend, Batch rows) {
        int failures = rows.failures;
        Found found = retired.find(backend, age, rows.last, look);
        for (List<UUID> ids : found.batches(batch)) {
            boolean isClosing = retired.collect(backend, age, ids, rows) && isClosedWithin(pause);
            if (isClosing || rows.failures > failures) {
                return true;
            }
            rows.last = ids.getLast();
        }
        found.last().ifPresent(last -> rows.last = last);
        return found.last().isPresent();
    }

    private void failed(String backend, StorageFailure failure) {
        Objects.requireNonNull(failed.get(backend)).increment();
        LOG.atWarn()
                .addKeyValue("backend", backend)
                .addKeyValue("problem", failure.getMessage())
                .log("objects of deleted blobs stay until the next round");
    }

    /** One backend's next rows; a round that was given up is gone on with behind what failed. */
    private final class Batch implements RetiredObjects.Deletion {

        private final String backend;
        private final ServedBucket bucket;
        private UUID last = LEAST;
        private int failures;

        Batch(String backend, ServedBucket bucket) {
            this.backend = backend;
            this.bucket = bucket;
        }

        /** A failure may have taken long, and the rows are held: it ends the batch, and the next one goes on behind it. */
        @Override
        public List<Retired> of(List<Retired> objects) {
            List<Retired> gone = new ArrayList<>(objects.size());
            for (Retired object : objects) {
                last = object.id();
                try {
                    if (object.isUnfinished()) {
                        bucket.abortUploads(object.key());
                    }
                    bucket.delete(object.key());
                } catch (StorageFailure e) {
                    failures++;
                    failed(backend, e);
                    return gone;
                }
                gone.add(object);
                Objects.requireNonNull(deleted.get(backend)).increment();
                if (isClosing()) {
                    return gone;
                }
            }
            return gone;
        }
    }

    private boolean isClosing() {
        return closing.getCount() == 0;
    }

    private boolean isClosedWithin(Duration patience) {
        try {
            return closing.await(patience.toNanos(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return true;
        }
    }

    /** Ends the round that runs, if any, within the time that one object takes. */
    @Override
    public void close() {
        closing.countDown();
        if (thread != null) {
            try {
                thread.join(END);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
