package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.ObjectKey;
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
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.UploadPartResponse;

/**
 * Stores objects in a store that checks a checksum only if it is told it before the bytes: these are gathered in memory, a part at a time,
 * and what fits into one is an object at once. A body is read once, in order, so that what it finds at its end is true of what was sent.
 *
 * <p>An upload begins when there is room for one part of it, which it keeps until it ends, and takes more while nobody waits for it.
 * Thread-safe; blocks, and throws {@link StorageFailure} when the store fails.
 */
final class GatheredUploads {

    private static final Logger LOG = LoggerFactory.getLogger(GatheredUploads.class);

    private final S3Calls calls;
    private final TransferSizes sizes;
    private final Traffic traffic;
    private final PartMemory memory;
    private final Lazily<PartedChecks> checks;

    /** @param traffic limits what is sent, and is told of it */
    GatheredUploads(S3Calls calls, TransferSizes sizes, Traffic traffic, PartMemory memory) {
        this.calls = calls;
        this.sizes = sizes;
        this.traffic = traffic;
        this.memory = memory;
        checks = new Lazily<>(this::probed);
    }

    private PartedChecks probed() {
        try {
            PartedChecks seen = new StoreProofProbe(calls).askGathered();
            LOG.info("of objects whose parts come with a checksum {} checks {}", calls.place(), seen);
            return seen;
        } catch (StorageFailure.Denied e) {
            // Who may store objects whole, and nothing else, stores them so.
            LOG.warn("objects are sent whole, and read back: {}", e.getMessage());
            return PartedChecks.NONE;
        }
    }

    /** Whether the store was seen to refuse what isn't such a body's. The first of more than a part asks it. */
    boolean isFor(long bytes) {
        return bytes <= sizes.gathered() || (bytes <= sizes.gatheredMax() && checks.get() != PartedChecks.NONE);
    }

    /** Stores {@code body}, which it {@link #isFor}, under {@code key}, which nobody else uses. */
    void put(ObjectKey key, ReplayableBody body) {
        long own = Math.min(body.size(), sizes.gathered());
        memory.reserve(own);
        try {
            if (body.size() <= sizes.gathered()) {
                putWhole(key, body);
            } else {
                putParts(key, body);
            }
        } finally {
            memory.free(own);
        }
    }

    private void putWhole(ObjectKey key, ReplayableBody body) {
        try (SummedPart whole = new SummedPart(memory, (int) body.size(), () -> {})) {
            read(body, bytes -> add(whole, bytes));
            PutObjectRequest request = PutObjectRequest.builder()
                    .bucket(calls.bucket())
                    .key(key.toString())
                    .contentType(ObjectType.of(body.type()))
                    .contentLength(body.size())
                    .checksumCRC64NVME(Crc64Nvme.base64(whole.crc64Nvme()))
                    .build();
            long start = System.nanoTime();
            calls.await("store object " + key, client -> client.putObject(request, whole.body()));
            sent(whole, start);
        }
    }

    private void putParts(ObjectKey key, ReplayableBody body) {
        PartedObject object = new PartedObject(calls, checks.get(), key, body.type());
        try {
            object.complete(new Upload(key, object, body).send());
        } catch (RuntimeException e) {
            object.abort(e);
            throw e;
        }
    }

    /** To its end, as fast as may be. */
    private void read(ReplayableBody body, Consumer<ByteBuffer> taker) {
        Reading reading = new Reading(taker);
        body.open().subscribe(reading);
        calls.join("read what is sent", reading.ended);
    }

    private void add(SummedPart part, ByteBuffer bytes) {
        long start = System.nanoTime();
        part.add(bytes);
        traffic.waited(Traffic.Wait.DIGEST, System.nanoTime() - start);
    }

    /** @param start since when nothing else was done than to wait for it */
    private void sent(SummedPart part, long start) {
        traffic.accepted();
        long now = System.nanoTime();
        long onItsWay = Math.clamp(part.lastTaken() - start, 0, now - start);
        traffic.waited(Traffic.Wait.NETWORK, onItsWay);
        traffic.waited(Traffic.Wait.STORE, now - start - onItsWay);
    }

    /** The parts of one upload; for one thread at a time. */
    private final class Upload {

        private final ObjectKey key;
        private final PartedObject object;
        private final ReplayableBody body;
        private final Semaphore own = new Semaphore(1);
        private final Queue<Sending> sending = new ArrayDeque<>();
        private final List<SentPart> sent = new ArrayList<>();
        private Optional<SummedPart> gathering = Optional.empty();
        private long begun;

        Upload(ObjectKey key, PartedObject object, ReplayableBody body) {
            this.key = key;
            this.object = object;
            this.body = body;
        }

        private record Sending(SummedPart part, CompletableFuture<SentPart> answer) {}

        /** Returns, or throws, when none is on its way any more: it would outlive an abort. */
        List<SentPart> send() {
            try {
                read(body, this::take);
                while (!sending.isEmpty()) {
                    await();
                }
            } finally {
                gathering.ifPresent(SummedPart::close);
                sending.forEach(
                        part -> part.answer().handle((stored, failure) -> key).join());
            }
            return sent;
        }

        private void take(ByteBuffer bytes) {
            while (bytes.hasRemaining()) {
                SummedPart part = gathering.orElseGet(this::begin);
                gathering = Optional.of(part);
                add(part, bytes);
                if (part.isFull()) {
                    gathering = Optional.empty();
                    send(part);
                }
            }
        }

        private SummedPart begin() {
            int length = (int) Math.min(sizes.gathered(), body.size() - begun);
            Runnable freed = room();
            begun += length;
            return new SummedPart(memory, length, freed);
        }

        private Runnable room() {
            while (true) {
                if (own.tryAcquire()) {
                    return own::release;
                }
                if (memory.reserveIfFree(sizes.gathered())) {
                    return () -> memory.free(sizes.gathered());
                }
                await();
            }
        }

        private void await() {
            Sending oldest = sending.remove();
            long start = System.nanoTime();
            sent.add(calls.join("store a part of object " + key, oldest.answer()));
            sent(oldest.part(), start);
        }

        private void send(SummedPart part) {
            int number = sent.size() + sending.size() + 1;
            long crc = part.crc64Nvme();
            CompletableFuture<UploadPartResponse> answer;
            try {
                answer = calls.start(client -> client.uploadPart(
                                object.part(number, part.length())
                                        .checksumCRC64NVME(Crc64Nvme.base64(crc))
                                        .build(),
                                part.body()))
                        .answer();
            } catch (RuntimeException | Error e) {
                part.close();
                throw e;
            }
            sending.add(new Sending(
                    part,
                    answer.whenComplete((stored, failure) -> part.close())
                            .thenApply(stored -> new SentPart(number, stored.eTag(), part.length(), crc))));
        }
    }

    /** Hands bytes on as they come, on the thread by which they come. */
    private final class Reading implements Flow.Subscriber<ByteBuffer> {

        private final Consumer<ByteBuffer> taker;
        private final CompletableFuture<Boolean> ended = new CompletableFuture<>();
        private Flow.@Nullable Subscription subscription;

        Reading(Consumer<ByteBuffer> taker) {
            this.taker = taker;
        }

        @Override
        public void onSubscribe(Flow.Subscription started) {
            subscription = started;
            started.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(ByteBuffer bytes) {
            if (ended.isDone()) {
                return;
            }
            try {
                traffic.pass(bytes.remaining());
                taker.accept(bytes.duplicate());
            } catch (RuntimeException | Error e) {
                if (subscription != null) {
                    subscription.cancel();
                }
                ended.completeExceptionally(e);
            }
        }

        @Override
        public void onError(Throwable failure) {
            ended.completeExceptionally(failure);
        }

        @Override
        public void onComplete() {
            ended.complete(true);
        }
    }
}
