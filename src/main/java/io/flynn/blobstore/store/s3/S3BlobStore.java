package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Verification;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.Proof;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.http.async.SdkAsyncHttpClient;
import software.amazon.awssdk.retries.api.BackoffStrategy;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;

/** The bucket of one backend. Thread-safe. */
public final class S3BlobStore implements BlobStore, AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(S3BlobStore.class);

    /** How often bodies are read at once besides once for each that is put. */
    public static final int PARTS_BESIDE = PartedUploads.BESIDE;

    private static final int DIGESTED_BYTES = 64 * 1024;

    /** What the SDK waits before its first retry of what is too much for a store, at most. */
    private static final BackoffStrategy AFTER_REFUSAL =
            BackoffStrategy.exponentialDelay(Duration.ofSeconds(1), Duration.ofSeconds(1));

    private final Lazily<SdkAsyncHttpClient> http;
    private final Lazily<S3AsyncClient> client;
    private final Lazily<DirectPuts> direct;
    private final S3Calls calls;
    private final TransferSizes sizes;
    private final Traffic traffic;
    private final boolean isAsked;
    private final Lazily<Proof> ofWhole;
    private final Lazily<GatheredUploads> gathered;
    private final Lazily<PartedUploads> parted;
    private final Lazily<ObjectReader> reader;
    private final RangedReads ranged;

    /** One that reads back. */
    public S3BlobStore(BackendSettings backend, int connections) {
        this(backend, connections, Verification.READ_BACK, new Traffic());
    }

    /**
     * @param connections at most this many at once
     * @param traffic limits what is stored, and is told of it
     */
    public S3BlobStore(BackendSettings backend, int connections, Verification verification, Traffic traffic) {
        this(backend, connections, verification, traffic, TransferSizes.S3);
    }

    /** @param sizes by which objects are cut */
    public S3BlobStore(
            BackendSettings backend, int connections, Verification verification, Traffic traffic, TransferSizes sizes) {
        this(backend, connections, verification, traffic, sizes, PartMemory.OF_THIS_PROCESS);
    }

    /** @param memory where parts are gathered: at least one of them */
    S3BlobStore(
            BackendSettings backend,
            int connections,
            Verification verification,
            Traffic traffic,
            TransferSizes sizes,
            PartMemory memory) {
        this.traffic = traffic;
        this.sizes = sizes;
        Refusals refusals = new Refusals(traffic);
        http = new Lazily<>(() -> S3Clients.http(connections));
        client = new Lazily<>(() -> S3Clients.open(backend, http.get(), List.of(refusals)));
        direct = new Lazily<>(() -> new DirectPuts(http.get(), client.get(), backend.bucket(), refusals));
        calls = new S3Calls(client, connections, backend.bucket(), S3Clients.describe(backend));
        isAsked = switch (verification) {
            case READ_BACK -> false;
            case STORE_CHECKSUM -> true;
        };
        ofWhole = new Lazily<>(this::probed);
        gathered = new Lazily<>(() -> new GatheredUploads(calls, sizes, traffic, memory));
        parted = new Lazily<>(() -> new PartedUploads(calls, sizes, traffic));
        reader = new Lazily<>(() -> new ObjectReader(client.get(), calls.bucket(), calls.place()));
        ranged = new RangedReads(calls, sizes);
    }

    /** How objects are sent. */
    private enum Way {
        /** By one request, as their bytes come. */
        WHOLE,
        /** Summed up before, a part at a time. */
        GATHERED,
        /** By parts, as their bytes come. */
        PARTED
    }

    private Way way(long bytes) {
        if (isAsked && ofWhole.get() == Proof.CONTENT && gathered.get().isFor(bytes)) {
            return Way.GATHERED;
        }
        return bytes <= sizes.wholeMax() ? Way.WHOLE : Way.PARTED;
    }

    @Override
    public Proof proof(long bytes) {
        if (!isAsked) {
            return Proof.NONE;
        }
        return switch (way(bytes)) {
            // Nobody can sum up beforehand what is sent as it comes.
            case WHOLE -> ofWhole.get() == Proof.DIGEST ? Proof.DIGEST : Proof.NONE;
            case GATHERED -> Proof.CONTENT;
            case PARTED -> parted.get().isChecked() ? Proof.CONTENT : Proof.NONE;
        };
    }

    private Proof probed() {
        Proof seen = new StoreProofProbe(calls).ask();
        LOG.info("{} proves {}", calls.place(), seen);
        return seen;
    }

    /** Lists, since HEAD's answer has no body that says what is missing. */
    @Override
    public void requireBucket() {
        try {
            calls.await(
                    "list the bucket",
                    s3 -> s3.listObjectsV2(r -> r.bucket(calls.bucket()).maxKeys(1)));
        } catch (StorageFailure.Missing e) {
            throw new StorageFailure.Missing(
                    e.reason(), e.getMessage() + "; create bucket " + calls.bucket() + ", or correct s3.bucket", e);
        }
    }

    @Override
    public void put(ObjectKey key, ReplayableBody body) {
        switch (way(body.size())) {
            case PARTED -> parted.get().put(key, body, proof(body.size()) == Proof.CONTENT);
            case WHOLE -> {
                PutObjectRequest.Builder request = request(key, body);
                if (proof(body.size()) == Proof.DIGEST) {
                    body.sha512().ifPresent(digest -> request.checksumSHA512(StoreProofProbe.base64(digest)));
                }
                putWhole(key, body, request.build());
            }
            case GATHERED -> {
                Optional<ByteBuffer> small = body.held().filter(bytes -> bytes.remaining() <= sizes.gathered());
                if (small.isPresent()) {
                    putWhole(
                            key,
                            body,
                            request(key, body)
                                    .checksumCRC64NVME(StoreProofProbe.crc64Nvme(small.get()))
                                    .build());
                } else {
                    gathered.get().put(key, body);
                }
            }
        }
    }

    private PutObjectRequest.Builder request(ObjectKey key, ReplayableBody body) {
        return PutObjectRequest.builder()
                .bucket(calls.bucket())
                .key(key.toString())
                .contentType(ObjectType.of(body.type()))
                .contentLength(body.size());
    }

    private void putWhole(ObjectKey key, ReplayableBody body, PutObjectRequest request) {
        body.held().ifPresent(bytes -> traffic.pass(bytes.remaining()));
        SentBytes sent = SentBytes.all(body, traffic);
        if (body.held().isEmpty() || !isStoredDirectly(key, request, sent)) {
            calls.await("store object " + key, s3 -> s3.putObject(request, sent));
        }
        traffic.accepted();
        sent.tellWaiting();
    }

    private boolean isStoredDirectly(ObjectKey key, PutObjectRequest request, SentBytes bytes) {
        DirectPuts puts = direct.get();
        if (!puts.isNext()) {
            return false;
        }
        return switch (calls.await("store object " + key, s3 -> puts.put(key, request, bytes))) {
            case STORED -> true;
            case FAILED -> false;
            case REFUSED -> {
                Pauses.sleep(AFTER_REFUSAL.computeDelay(1));
                yield false;
            }
        };
    }

    @Override
    public OptionalLong sizeOf(ObjectKey key) {
        return ifThere(() -> calls.await(
                        "look at object " + key,
                        s3 -> s3.headObject(r -> r.bucket(calls.bucket()).key(key.toString()))))
                .map(response -> OptionalLong.of(response.contentLength()))
                .orElse(OptionalLong.empty());
    }

    @Override
    public InputStream open(ObjectKey key, long size) {
        return ranged.open(key, size, 0, size).orElseGet(() -> reader.get().open(key, size));
    }

    @Override
    public InputStream open(ObjectKey key, long size, long first, long length) {
        return ranged.open(key, size, first, length)
                .orElseGet(() -> reader.get().open(key, size, first, length));
    }

    @Override
    public Optional<BlobContent> readBack(ObjectKey key, long expected) {
        return ranged.isWorthIt(expected)
                ? readBackByRanges(key)
                : ifThere(() -> calls.await(
                        "read object " + key,
                        s3 -> s3.getObject(
                                r -> r.bucket(calls.bucket()).key(key.toString()), new DigestingTransformer<>())));
    }

    /** Also where there is no room for ranges: what breaks off is then read on. */
    private Optional<BlobContent> readBackByRanges(ObjectKey key) {
        OptionalLong size = sizeOf(key);
        if (size.isEmpty()) {
            return Optional.empty();
        }
        return ifThere(() -> {
            Digest digest = new Digest();
            byte[] buffer = new byte[DIGESTED_BYTES];
            try (InputStream bytes = open(key, size.getAsLong())) {
                for (int read = bytes.read(buffer); read > 0; read = bytes.read(buffer)) {
                    digest.update(ByteBuffer.wrap(buffer, 0, read));
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } catch (StorageFailure.Corrupt e) {
                throw new StorageFailure.OutcomeUnknown(
                        Reasons.STORE_FAULTY, "object " + key + " changed while it was read", e);
            }
            return digest.finish();
        });
    }

    @Override
    public void close() {
        client.ifThere(S3AsyncClient::close);
        http.ifThere(SdkAsyncHttpClient::close);
    }

    /** An object that is missing is an answer; a bucket that is missing is a failure. */
    private static <T> Optional<T> ifThere(Supplier<T> look) {
        try {
            return Optional.of(look.get());
        } catch (StorageFailure.Missing e) {
            if (e.reason().equals(Reasons.OBJECT_MISSING)) {
                return Optional.empty();
            }
            throw e;
        }
    }
}
