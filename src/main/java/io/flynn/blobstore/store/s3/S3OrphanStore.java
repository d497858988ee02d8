package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.OrphanStore;
import io.flynn.blobstore.store.StorageFailure;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.HeadObjectResponse;
import software.amazon.awssdk.services.s3.model.MultipartUpload;

/** What no row names in one backend's bucket. Thread-safe. */
public final class S3OrphanStore implements OrphanStore, AutoCloseable {

    private final S3AsyncClient client;
    private final String bucket;
    private final String place;

    /** @param connections at most this many at once */
    public S3OrphanStore(BackendSettings backend, int connections) {
        client = S3Clients.open(backend, connections);
        bucket = backend.bucket();
        place = S3Clients.describe(backend);
    }

    /** The same bytes stored once more have another time, to the second, if not another ETag. */
    @Override
    public Optional<String> version(ObjectKey key) {
        try {
            HeadObjectResponse head = await(
                    "look at object " + key,
                    client.headObject(r -> r.bucket(bucket).key(key.toString())));
            return Optional.of(head.eTag() + " " + head.lastModified() + " " + head.contentLength());
        } catch (StorageFailure.Missing e) {
            if (e.reason().equals(Reasons.OBJECT_MISSING)) {
                return Optional.empty();
            }
            throw e;
        }
    }

    @Override
    public void delete(ObjectKey key) {
        await("delete object " + key, client.deleteObject(r -> r.bucket(bucket).key(key.toString())));
    }

    @Override
    public void abortUploads(ObjectKey key) {
        String tried = "abort uploads to " + key;
        for (MultipartUpload upload : await(
                        tried, client.listMultipartUploads(r -> r.bucket(bucket).prefix(key.toString())))
                .uploads()) {
            if (upload.key().equals(key.toString())) {
                await(
                        tried,
                        client.abortMultipartUpload(
                                r -> r.bucket(bucket).key(upload.key()).uploadId(upload.uploadId())));
            }
        }
    }

    @Override
    public void close() {
        client.close();
    }

    private <T> T await(String tried, CompletableFuture<T> call) {
        try {
            return call.join();
        } catch (CompletionException e) {
            throw S3Failures.translate(tried + " in " + place, e);
        }
    }
}
