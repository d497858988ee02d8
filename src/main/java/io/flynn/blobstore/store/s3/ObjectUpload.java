package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.S3Exception;

/**
 * Makes one object, under a key that nobody else uses: of a stream, of another object, or of both. Nothing can be read under
 * the key before all of it is there. What is sent and fits into a part goes as one request, more as parts: every request's body
 * is gathered whole before it is sent and carries its MD5, so the SDK can repeat it and the store can refuse it if it was
 * damaged on the way. One part is sent while the next is gathered.
 *
 * <p>A client's stream can't be read twice: sending it as it comes would leave every hiccup of the store to the client.
 *
 * <p>For one thread, and for one object. Methods block and throw {@link StorageFailure} when the store fails; after any
 * exception, {@link #discard}. Closing it gives the room back that its parts take.
 */
public final class ObjectUpload implements AutoCloseable {

    /** Amazon S3 User Guide, "Amazon S3 multipart upload limits". */
    private static final int PARTS_MAX = 10_000;

    /** The smallest part but the last (same place); smaller objects can't be copied as one either. */
    private static final int PART_MIN_BYTES = 5 * 1024 * 1024;

    /** What is wrong with a request that a store doesn't know, or doesn't allow (RFC 9110, section 15.6.2). */
    private static final int NOT_IMPLEMENTED = 501;

    private static final int NOT_FOUND = 404;

    private static final int WINDOW_BYTES = 16 * 1024;

    private final S3AsyncClient client;
    private final ObjectReader reader;
    private final MultipartUploads uploads;
    private final String bucket;
    private final String place;
    private final ObjectKey key;
    private final String type;
    private final PartRoom room;
    private final long copyBytesMax;
    private final Digest digest = new Digest();
    private final List<CompletedPart> parts = new ArrayList<>();

    /** What a client sends passes through it: a client that sends nothing holds no more than this. */
    private final byte[] window = new byte[WINDOW_BYTES];

    private @Nullable GatheredPart gathering;
    private Optional<Sending> sending = Optional.empty();
    private Optional<String> multipart = Optional.empty();
    private boolean mayBeStored;

    /** Whether the store may know uploads under the key whose ids it told nobody. */
    private boolean mayBeMore;

    /** A part on its way, and the room that it needs until it has arrived. */
    private record Sending(GatheredPart bytes, CompletableFuture<CompletedPart> part) {}

    /**
     * @param place the bucket as people know it, for messages
     * @param copyBytesMax what the store is asked to copy by one request
     */
    ObjectUpload(
            S3AsyncClient client,
            String bucket,
            String place,
            ObjectKey key,
            String type,
            PartRoom room,
            long copyBytesMax) {
        this.client = client;
        this.bucket = bucket;
        this.place = place;
        this.key = key;
        this.type = ObjectType.of(type);
        this.room = room;
        this.copyBytesMax = copyBytesMax;
        reader = new ObjectReader(client, bucket, place);
        uploads = new MultipartUploads(client, bucket, place);
    }

    /**
     * Makes it of {@code body}, whose length need not be known.
     *
     * @throws IOException if {@code body} can't be read to its end
     * @throws StorageFailure.Busy if there is no room for it in memory or on disk
     */
    public BlobContent store(InputStream body) throws IOException {
        take(body);
        return finish();
    }

    /**
     * Makes it of another object of the bucket, inside the store.
     *
     * @param size the other object's, in bytes
     * @throws StorageFailure.Missing if there is no such object
     * @throws StorageFailure.Corrupt if it is not as long as {@code size}
     */
    public void copy(ObjectKey source, long size) {
        if (size > copyBytesMax) {
            begin();
            copyParts(source, size);
            complete(size);
            return;
        }
        mayBeStored = true;
        await(
                "copy object " + source + " to " + key,
                () -> client.copyObject(r -> r.sourceBucket(bucket)
                        .sourceKey(source.toString())
                        .destinationBucket(bucket)
                        .destinationKey(key.toString())));
        long copied = length();
        if (copied != size) {
            throw new StorageFailure.Corrupt(
                    Reasons.SIZE_DIFFERS,
                    "could not copy object %s in %s: it has %d bytes where the row says %d"
                            .formatted(source, place, copied, size),
                    null);
        }
    }

    private long length() {
        return await(
                        "look at object " + key,
                        () -> client.headObject(r -> r.bucket(bucket).key(key.toString())))
                .contentLength();
    }

    /**
     * Makes it of another object of the bucket and of {@code more} behind that. The other object is copied inside the store if
     * it is large enough and the store can; else it is sent once more. It is read in any case: the digest needs all bytes.
     *
     * @param size the other object's, in bytes
     * @param sha512 the other object's, if it is known
     * @throws IOException if {@code more} can't be read to its end
     * @throws StorageFailure.Missing if there is no such object
     * @throws StorageFailure.Corrupt if it is not as long as {@code size}, or has another digest
     * @throws StorageFailure.Busy if there is no room for it in memory or on disk
     */
    public BlobContent append(ObjectKey source, long size, Optional<Sha512> sha512, InputStream more)
            throws IOException {
        boolean isCopied = size >= PART_MIN_BYTES && isCopied(source, size);
        if (size > 0) {
            try (InputStream old = reader.open(source, size)) {
                if (isCopied) {
                    digest(old);
                } else {
                    take(old);
                }
            }
        }
        if (sha512.filter(recorded -> !recorded.equals(digest.soFar().sha512())).isPresent()) {
            throw new StorageFailure.Corrupt(
                    Reasons.DIGEST_DIFFERS,
                    "could not append to object %s in %s: it has another digest than its row".formatted(source, place),
                    null);
        }
        take(more);
        return finish();
    }

    /**
     * Leaves nothing in the store, because of {@code cause}; a failure to do so is added to it.
     *
     * @return whether nothing is left
     */
    public boolean discard(Exception cause) {
        try {
            abort();
            if (mayBeStored) {
                await(
                        "delete object " + key,
                        () -> client.deleteObject(r -> r.bucket(bucket).key(key.toString())));
            }
            return true;
        } catch (StorageFailure e) {
            cause.addSuppressed(e);
            return false;
        }
    }

    private void take(InputStream bytes) throws IOException {
        GatheredPart part = gathering();
        for (int read = read(bytes, part.left()); read > 0; read = read(bytes, part.left())) {
            ByteBuffer chunk = ByteBuffer.wrap(window, 0, read);
            digest.update(chunk.duplicate());
            part.add(chunk);
            if (part.left() == 0) {
                sendPart();
                part = gathering();
            }
        }
    }

    private int read(InputStream bytes, int max) throws IOException {
        return bytes.read(window, 0, Math.min(window.length, max));
    }

    private BlobContent finish() {
        BlobContent content = digest.finish();
        if (multipart.isPresent()) {
            if (gathering().size() > 0) {
                sendPart();
            }
            awaitPart();
            complete(content.size());
        } else {
            putWhole();
        }
        return content;
    }

    private void putWhole() {
        GatheredPart whole = gathering();
        String md5 = whole.md5();
        mayBeStored = true;
        await(
                "store object " + key,
                () -> client.putObject(
                        r -> r.bucket(bucket)
                                .key(key.toString())
                                .contentType(type)
                                .contentLength((long) whole.size())
                                .contentMD5(md5),
                        whole.body()));
    }

    private void begin() {
        if (multipart.isEmpty()) {
            MultipartUploads.Repetition repetition = new MultipartUploads.Repetition();
            mayBeMore = true;
            multipart = Optional.of(await(
                            "begin an upload of object " + key,
                            () -> client.createMultipartUpload(r -> r.bucket(bucket)
                                    .key(key.toString())
                                    .contentType(type)
                                    .overrideConfiguration(o -> o.addMetricPublisher(repetition))))
                    .uploadId());
            mayBeMore = repetition.mayBe();
        }
    }

    private String uploadId() {
        return multipart.orElseThrow();
    }

    private void complete(long size) {
        abortOthers();
        mayBeStored = true;
        try {
            await(
                    "complete object " + key,
                    () -> client.completeMultipartUpload(r -> r.bucket(bucket)
                            .key(key.toString())
                            .uploadId(uploadId())
                            .multipartUpload(m -> m.parts(parts))));
        } catch (StorageFailure e) {
            if (!isStored(size, e)) {
                throw e;
            }
        }
        multipart = Optional.empty();
    }

    /**
     * Whether the upload was completed all the same: if an answer is lost, its repetition is told that there is no such upload.
     * Nobody else uses the key, and parts become an object all at once: one of this size is the one that was sent.
     */
    private boolean isStored(long size, StorageFailure cause) {
        try {
            return length() == size;
        } catch (StorageFailure e) {
            cause.addSuppressed(e);
            return false;
        }
    }

    private void sendPart() {
        begin();
        int number = nextNumber();
        awaitPart();
        GatheredPart full = gathering();
        String md5 = full.md5();
        CompletableFuture<CompletedPart> part = client.uploadPart(
                        r -> r.bucket(bucket)
                                .key(key.toString())
                                .uploadId(uploadId())
                                .partNumber(number)
                                .contentLength((long) full.size())
                                .contentMD5(md5),
                        full.body())
                .thenApply(response -> completed(number, response.eTag()));
        sending = Optional.of(new Sending(full, part));
        gathering = null;
    }

    private int nextNumber() {
        int number = parts.size() + (sending.isPresent() ? 2 : 1);
        if (number > PARTS_MAX) {
            throw new StorageFailure.Full(
                    Reasons.BLOB_TOO_LARGE,
                    "an upload can't be longer than %d bytes".formatted((long) PARTS_MAX * GatheredPart.BYTES_MAX),
                    null);
        }
        return number;
    }

    private void awaitPart() {
        if (sending.isPresent()) {
            Sending last = sending.get();
            parts.add(await("store a part of object " + key, last::part));
            sending = Optional.empty();
            last.bytes().close();
        }
    }

    /** @return false, with nothing left of it, if the store doesn't copy parts */
    private boolean isCopied(ObjectKey source, long size) {
        begin();
        try {
            copyParts(source, size);
            return true;
        } catch (StorageFailure e) {
            if (!isRefused(e)) {
                throw e;
            }
            abort();
            parts.clear();
            return false;
        }
    }

    private static boolean isRefused(StorageFailure failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof S3Exception answer) {
                int status = answer.statusCode();
                return status == NOT_IMPLEMENTED || (status >= 400 && status < 500 && status != NOT_FOUND);
            }
        }
        return false;
    }

    /** Parts of equal length but for the last, so that none is too small. */
    private void copyParts(ObjectKey source, long size) {
        long count = (size + copyBytesMax - 1) / copyBytesMax;
        long length = (size + count - 1) / count;
        for (long first = 0; first < size; first += length) {
            // An object that is copied whole need not be as large as S3 wants it for a range.
            Optional<String> range = count == 1
                    ? Optional.empty()
                    : Optional.of("bytes=%d-%d".formatted(first, Math.min(first + length, size) - 1));
            int number = nextNumber();
            String etag = await(
                            "copy a part of object " + source + " to " + key,
                            () -> client.uploadPartCopy(r -> r.sourceBucket(bucket)
                                    .sourceKey(source.toString())
                                    .copySourceRange(range.orElse(null))
                                    .destinationBucket(bucket)
                                    .destinationKey(key.toString())
                                    .uploadId(uploadId())
                                    .partNumber(number)))
                    .copyPartResult()
                    .eTag();
            parts.add(completed(number, etag));
        }
    }

    /** A part that is still on its way would outlive the abort, so it is awaited first. */
    private void abort() {
        sending.ifPresent(last -> last.part().exceptionally(failure -> null).join());
        if (multipart.isPresent()) {
            uploads.abort(key, uploadId());
            multipart = Optional.empty();
        }
        abortOthers();
    }

    private void abortOthers() {
        if (mayBeMore) {
            uploads.abort(key, multipart);
            mayBeMore = false;
        }
    }

    private void digest(InputStream bytes) throws IOException {
        for (int read = bytes.read(window); read > 0; read = bytes.read(window)) {
            digest.update(ByteBuffer.wrap(window, 0, read));
        }
    }

    private GatheredPart gathering() {
        GatheredPart part = gathering;
        if (part == null) {
            part = new GatheredPart(room);
            gathering = part;
        }
        return part;
    }

    private static CompletedPart completed(int number, String etag) {
        return CompletedPart.builder().partNumber(number).eTag(etag).build();
    }

    private <T> T await(String tried, Supplier<CompletableFuture<T>> call) {
        try {
            return call.get().join();
        } catch (CompletionException e) {
            throw S3Failures.translate(tried + " in " + place, e);
        }
    }

    @Override
    public void close() {
        if (gathering != null) {
            gathering.close();
        }
        sending.ifPresent(last -> {
            // Its room is somebody else's afterwards.
            last.part().exceptionally(failure -> null).join();
            last.bytes().close();
        });
    }
}
