package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobVersion;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.time.Duration;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/**
 * The bucket of one backend, as the HTTP blobstore uses it: objects go in through this process and out past it, by links.
 * Opening it connects to nothing, so a store that is away or a wrong key hurts only those who use it.
 *
 * <p>Thread-safe; storing and discarding block and throw {@link StorageFailure} when the store fails.
 */
public final class ServedBucket implements AutoCloseable {

    private final S3AsyncClient client;
    private final S3Presigner presigner;
    private final PartBuffers buffers;
    private final String bucket;
    private final String place;

    /**
     * @param connections at most this many at once
     * @param buffers shared with other buckets of this process
     */
    public ServedBucket(BackendSettings backend, int connections, PartBuffers buffers) {
        client = S3Clients.open(backend, connections);
        presigner = S3Clients.presigner(backend);
        bucket = backend.bucket();
        place = S3Clients.describe(backend);
        this.buffers = buffers;
    }

    /**
     * Stores {@code body} under a key that nobody else uses, whole or not at all; its length need not be known.
     *
     * @throws IOException if {@code body} can't be read to its end; nothing is left in the store then
     * @throws StorageFailure.Busy if as many uploads run as memory allows
     * @throws StorageFailure if the store fails; an object is left only if it can't be deleted either
     */
    public BlobContent store(ObjectKey key, String type, InputStream body) throws IOException {
        try (ObjectUpload upload = new ObjectUpload(client, bucket, key, type, buffers)) {
            return upload.store(body);
        } catch (CompletionException e) {
            StorageFailure failure = S3Failures.translate("store object " + key + " in " + place, e);
            // Perhaps only the answer was lost: even a refusal may be that of a repetition.
            discard(key, failure);
            throw failure;
        }
    }

    /** Deletes an object that no row names, because of {@code cause}; a failure to do so is added to it. */
    public void discard(ObjectKey key, RuntimeException cause) {
        try {
            discard(key);
        } catch (StorageFailure e) {
            cause.addSuppressed(e);
        }
    }

    private void discard(ObjectKey key) {
        try {
            client.deleteObject(r -> r.bucket(bucket).key(key.toString())).join();
        } catch (CompletionException e) {
            throw S3Failures.translate("delete object " + key + " in " + place, e);
        }
    }

    /**
     * A URL that anybody who has it can read the version's bytes from, as its content type. Signed here, without asking the
     * store.
     *
     * @throws StorageFailure.Missing if the version's row names no object
     */
    public URI link(BlobVersion version, Duration lifetime) {
        ObjectKey key = version.externalId()
                .orElseThrow(() -> new StorageFailure.Missing(
                        Reasons.OBJECT_MISSING, "the blob's row names no object in " + place, null));
        GetObjectRequest.Builder request =
                GetObjectRequest.builder().bucket(bucket).key(key.toString());
        // A type that no header carries is refused by the store; the object then has one that can be.
        ObjectType.sendable(version.type()).ifPresent(request::responseContentType);
        return URI.create(presigner
                .presignGetObject(r -> r.signatureDuration(lifetime).getObjectRequest(request.build()))
                .url()
                .toString());
    }

    @Override
    public void close() {
        presigner.close();
        client.close();
    }
}
