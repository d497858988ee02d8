package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.BlobVersion;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/**
 * The bucket of one backend, as the HTTP blobstore uses it: objects go in through this process, and out by links or through it.
 * Opening it connects to nothing, so a store that is away or a wrong key hurts only those who use it.
 *
 * <p>Thread-safe; all that asks the store blocks and throws {@link StorageFailure} when it fails.
 */
public final class ServedBucket implements AutoCloseable {

    /**
     * S3 copies 5 GiB by one request, but says nothing while it does, and whoever says nothing for long is taken for dead; 10,000
     * parts of this size are as much as an object may have.
     */
    static final long COPY_BYTES_MAX = 512L * 1024 * 1024;

    private static final int COPY_BUFFER_BYTES = 16 * 1024;

    private final S3AsyncClient client;
    private final S3Presigner presigner;
    private final ObjectReader reader;
    private final PartRoom room;
    private final long copyBytesMax;
    private final String bucket;
    private final String place;

    /**
     * @param connections at most this many at once
     * @param room shared with other buckets of this process
     */
    public ServedBucket(BackendSettings backend, int connections, PartRoom room) {
        this(backend, connections, room, COPY_BYTES_MAX);
    }

    /** @param copyBytesMax what the store is asked to copy by one request */
    ServedBucket(BackendSettings backend, int connections, PartRoom room, long copyBytesMax) {
        client = S3Clients.open(backend, connections);
        presigner = S3Clients.presigner(backend);
        bucket = backend.bucket();
        place = S3Clients.describe(backend);
        reader = new ObjectReader(client, bucket, place);
        this.room = room;
        this.copyBytesMax = copyBytesMax;
    }

    /** Begins an object under a key that nobody else uses; the caller's to close. Asks nothing of the store yet. */
    public ObjectUpload upload(ObjectKey key, String type) {
        return new ObjectUpload(client, bucket, place, key, type, room, copyBytesMax);
    }

    /**
     * Reads the version's object whole and digests it.
     *
     * @throws StorageFailure.Corrupt if it is not as long as the row says
     */
    public Sha512 digest(BlobVersion version) {
        Digest digest = new Digest();
        if (version.size() > 0) {
            try (InputStream bytes = reader.open(key(version), version.size())) {
                byte[] buffer = new byte[COPY_BUFFER_BYTES];
                for (int read = bytes.read(buffer); read > 0; read = bytes.read(buffer)) {
                    digest.update(ByteBuffer.wrap(buffer, 0, read));
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        return digest.finish().sha512();
    }

    /**
     * Writes {@code length} bytes of the version's object from {@code first} on, as fast as {@code target} takes them. Whether
     * they are those that were stored is not known before the last.
     *
     * @throws StorageFailure.Missing if there is no object; nothing was written then
     * @throws StorageFailure.Corrupt if it is not as long as the row says; what was found until then was written
     * @throws IOException if {@code target} does
     */
    public void copyTo(OutputStream target, BlobVersion version, long first, long length) throws IOException {
        if (length == 0) {
            return;
        }
        boolean isWhole = length == version.size();
        try (InputStream bytes = isWhole
                ? reader.open(key(version), length)
                : reader.open(key(version), version.size(), first, length)) {
            byte[] buffer = new byte[COPY_BUFFER_BYTES];
            for (int read = bytes.read(buffer); read > 0; read = bytes.read(buffer)) {
                target.write(buffer, 0, read);
            }
        }
    }

    /** Deletes an object that no live row names, or finds it gone. */
    public void delete(ObjectKey key) {
        try {
            client.deleteObject(r -> r.bucket(bucket).key(key.toString())).join();
        } catch (CompletionException e) {
            throw S3Failures.translate("delete object " + key + " in " + place, e);
        }
    }

    /** Aborts what uploads of parts under this key there are. */
    public void abortUploads(ObjectKey key) {
        new MultipartUploads(client, bucket, place).abort(key, Optional.empty());
    }

    /**
     * A URL that anybody who has it can read the version's bytes from, as its content type. Signed here, without asking the
     * store.
     *
     * @throws StorageFailure.Missing if the version's row names no object
     */
    public URI link(BlobVersion version, Duration lifetime) {
        GetObjectRequest.Builder request =
                GetObjectRequest.builder().bucket(bucket).key(key(version).toString());
        // A type that no header carries is refused by the store; the object then has one that can be.
        ObjectType.sendable(version.type()).ifPresent(request::responseContentType);
        try {
            return URI.create(presigner
                    .presignGetObject(r -> r.signatureDuration(lifetime).getObjectRequest(request.build()))
                    .url()
                    .toString());
        } catch (SdkException e) {
            throw S3Failures.translate("sign a link to an object in " + place, e);
        }
    }

    /**
     * Where the version's bytes are.
     *
     * @throws StorageFailure.Missing if the version's row names no object
     */
    public ObjectKey key(BlobVersion version) {
        return version.externalId()
                .orElseThrow(() -> new StorageFailure.Missing(
                        Reasons.OBJECT_MISSING, "the blob's row names no object in " + place, null));
    }

    @Override
    public void close() {
        presigner.close();
        client.close();
    }
}
