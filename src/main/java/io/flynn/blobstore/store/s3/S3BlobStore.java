package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Verification;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.Proof;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.S3Exception;

/** The bucket of one backend. Thread-safe. */
public final class S3BlobStore implements BlobStore, AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(S3BlobStore.class);

    private final Lazily<S3AsyncClient> client;
    private final Lazily<Proof> proof;
    private final ObjectClient objects;
    private final String bucket;
    private final String place;
    private final Lazily<ObjectReader> reader;

    /** One that reads back. */
    public S3BlobStore(BackendSettings backend, int connections) {
        this(backend, connections, Verification.READ_BACK, new Traffic());
    }

    /**
     * @param connections of the SDK, at most this many at once
     * @param traffic limits what is stored, and is told of it
     */
    public S3BlobStore(BackendSettings backend, int connections, Verification verification, Traffic traffic) {
        client = new Lazily<>(() -> S3Clients.open(backend, connections));
        objects = new ObjectClient(backend, traffic);
        bucket = backend.bucket();
        place = S3Clients.describe(backend);
        reader = new Lazily<>(() -> new ObjectReader(client.get(), bucket, place));
        proof = new Lazily<>(() -> switch (verification) {
            case READ_BACK -> Proof.NONE;
            case STORE_CHECKSUM -> probed();
        });
    }

    @Override
    public Proof proof() {
        return proof.get();
    }

    private Proof probed() {
        Proof seen = translating("see which checksums are checked", new StoreProofProbe(objects)::ask);
        LOG.info("{} proves {}", place, seen);
        return seen;
    }

    /** Lists, since HEAD's answer has no body that says what is missing. */
    @Override
    public void requireBucket() {
        try {
            await(
                    "list the bucket",
                    client.get().listObjectsV2(r -> r.bucket(bucket).maxKeys(1)));
        } catch (StorageFailure.Missing e) {
            throw new StorageFailure.Missing(
                    e.reason(), e.getMessage() + "; create bucket " + bucket + ", or correct s3.bucket", e);
        }
    }

    @Override
    public void put(ObjectKey key, ReplayableBody body) {
        translating("store object " + key, () -> {
            if (proof.get() == Proof.TRANSFER) {
                objects.putWithTrailer(key.toString(), body);
            } else {
                objects.put(
                        key.toString(),
                        body,
                        proof.get() == Proof.DIGEST
                                ? body.sha512()
                                        .map(StoreProofProbe::digestHeader)
                                        .orElse(Map.of())
                                : Map.of());
            }
            return key;
        });
    }

    @Override
    public OptionalLong sizeOf(ObjectKey key) {
        return ifThere(() -> await(
                        "look at object " + key,
                        client.get().headObject(r -> r.bucket(bucket).key(key.toString()))))
                .map(response -> OptionalLong.of(response.contentLength()))
                .orElse(OptionalLong.empty());
    }

    @Override
    public InputStream open(ObjectKey key, long size) {
        return reader.get().open(key, size);
    }

    @Override
    public Optional<BlobContent> readBack(ObjectKey key) {
        return ifThere(() -> await(
                "read object " + key,
                client.get().getObject(r -> r.bucket(bucket).key(key.toString()), new DigestingTransformer<>())));
    }

    @Override
    public void close() {
        objects.close();
        client.ifThere(S3AsyncClient::close);
    }

    private <T> T translating(String tried, Supplier<T> call) {
        try {
            return call.get();
        } catch (S3Exception | UncheckedIOException e) {
            throw S3Failures.translate(tried + " in " + place, e);
        }
    }

    private <T> T await(String tried, CompletableFuture<T> call) {
        try {
            return call.join();
        } catch (CompletionException e) {
            throw S3Failures.translate(tried + " in " + place, e);
        }
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
