package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Stores what one request can't carry: by parts, some of them on their way at once, each read anew for every attempt, none kept in
 * memory. Thread-safe; blocks, and throws {@link StorageFailure} when the store fails.
 */
final class PartedUploads {

    private static final Logger LOG = LoggerFactory.getLogger(PartedUploads.class);

    /** How much is read from sources beside one part of each upload, for all uploads together: each takes a connection there. */
    static final int BESIDE = 3;

    private final S3Calls calls;
    private final TransferSizes sizes;
    private final Traffic traffic;
    private final Semaphore beside = new Semaphore(BESIDE);
    private final Lazily<PartedChecks> checks;

    /** @param traffic limits what is sent, and is told of it */
    PartedUploads(S3Calls calls, TransferSizes sizes, Traffic traffic) {
        this.calls = calls;
        this.sizes = sizes;
        this.traffic = traffic;
        checks = new Lazily<>(() -> {
            PartedChecks seen = new StoreProofProbe(calls).askParted();
            LOG.info("of objects that are sent by parts {} checks {}", calls.place(), seen);
            return seen;
        });
    }

    /** Whether the store was seen to refuse an object of parts whose checksum was wrong. The first call asks it. */
    boolean isChecked() {
        return checks.get() != PartedChecks.NONE;
    }

    /**
     * Stores {@code body} under {@code key}, which nobody else uses.
     *
     * @param isProven whether to read it whole besides, and to have the store compare with that what it has got; only where it {@link
     *     #isChecked}
     */
    void put(ObjectKey key, ReplayableBody body, boolean isProven) {
        PartedObject object = new PartedObject(calls, checks.get(), key, body.type());
        Optional<Whole> whole = Optional.empty();
        try {
            whole = isProven ? Optional.of(readWhole(body)) : Optional.empty();
            List<SentPart> parts = new Upload(key, object, body).send();
            if (whole.isPresent() && crc64Nvme(whole.get()) != SentPart.crc64Nvme(parts)) {
                throw new StorageFailure.OutcomeUnknown(
                        Reasons.TARGET_DIFFERS, "what was sent for object " + key + " changed while it was read", null);
            }
            object.complete(parts);
        } catch (RuntimeException e) {
            object.abort(e);
            throw e;
        } finally {
            whole.ifPresent(Whole::cancel);
        }
    }

    /** Beside the parts if there is room; else first, in the place of one. */
    private Whole readWhole(ReplayableBody body) {
        boolean isBeside = beside.tryAcquire();
        Whole whole = new Whole(isBeside ? beside::release : () -> {});
        body.open().subscribe(whole);
        if (!isBeside) {
            crc64Nvme(whole);
        }
        return whole;
    }

    /** Waits for its end, and throws what that was. */
    private long crc64Nvme(Whole whole) {
        return calls.join("read what is sent", whole.crc);
    }

    /** The parts of one upload; for one thread. */
    private final class Upload {

        private final ObjectKey key;
        private final PartedObject object;
        private final ReplayableBody body;
        private final Semaphore own = new Semaphore(1);
        private final Queue<CompletableFuture<SentPart>> sending = new ArrayDeque<>();
        private final List<SentPart> sent = new ArrayList<>();

        Upload(ObjectKey key, PartedObject object, ReplayableBody body) {
            this.key = key;
            this.object = object;
            this.body = body;
        }

        /** Returns, or throws, when none is on its way any more: it would outlive an abort. */
        List<SentPart> send() {
            long partBytes = sizes.part(body.size());
            try {
                int number = 1;
                for (long first = 0; first < body.size(); first += partBytes) {
                    sending.add(send(number, first, Math.min(partBytes, body.size() - first), place()));
                    number++;
                }
                while (!sending.isEmpty()) {
                    await();
                }
            } finally {
                sending.forEach(part -> part.handle((stored, failure) -> key).join());
            }
            return sent;
        }

        private Semaphore place() {
            while (true) {
                if (own.tryAcquire()) {
                    return own;
                }
                if (beside.tryAcquire()) {
                    return beside;
                }
                await();
            }
        }

        private void await() {
            sent.add(calls.join("store a part of object " + key, sending.remove()));
            traffic.accepted();
        }

        private CompletableFuture<SentPart> send(int number, long first, long length, Semaphore place) {
            SentBytes bytes = SentBytes.part(body, first, length, isChecked(), traffic);
            return calls.start(client ->
                            client.uploadPart(object.part(number, length).build(), bytes))
                    .answer()
                    .whenComplete((stored, failure) -> place.release())
                    .thenApply(stored -> {
                        bytes.tellWaiting();
                        return new SentPart(number, stored.eTag(), length, bytes.crc64Nvme());
                    });
        }
    }

    /** Reads a body to its end, which is where it is found to be what it should be. */
    private static final class Whole implements Flow.Subscriber<ByteBuffer> {

        private final Crc64Nvme taken = new Crc64Nvme();
        private final CompletableFuture<Long> crc = new CompletableFuture<>();
        private final AtomicReference<Runnable> ended;
        private volatile Flow.@Nullable Subscription subscription;

        /** @param ended is run once, when nothing is read any more */
        Whole(Runnable ended) {
            this.ended = new AtomicReference<>(ended);
        }

        @Override
        public void onSubscribe(Flow.Subscription started) {
            subscription = started;
            started.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(ByteBuffer bytes) {
            taken.update(bytes);
        }

        @Override
        public void onError(Throwable failure) {
            end();
            crc.completeExceptionally(failure);
        }

        @Override
        public void onComplete() {
            end();
            crc.complete(taken.value());
        }

        void cancel() {
            Flow.Subscription running = subscription;
            if (running != null) {
                running.cancel();
            }
            end();
        }

        private void end() {
            ended.getAndSet(() -> {}).run();
        }
    }
}
