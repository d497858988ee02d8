package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.CompletedPart;

/**
 * Sends one stream to one object. What fits into a part goes as one request, more as parts: every request's body lies in
 * memory and carries its MD5, so the SDK can repeat it and the store can refuse it if it was damaged on the way. One part is
 * sent while the next is read, if memory allows.
 *
 * <p>A client's stream can't be read twice: sending it as it comes would leave every hiccup of the store to the client.
 *
 * <p>For one thread. Closing it gives the memory back; failures of the store come as {@link CompletionException}s.
 */
final class ObjectUpload implements AutoCloseable {

    /** Amazon S3 User Guide, "Amazon S3 multipart upload limits". */
    private static final int PARTS_MAX = 10_000;

    private final S3AsyncClient client;
    private final String bucket;
    private final ObjectKey key;
    private final String type;
    private final PartBuffers buffers;
    private final Digest digest = new Digest();
    private final List<CompletedPart> parts = new ArrayList<>();

    private byte[] filling;
    private Optional<Sending> sending = Optional.empty();

    /** A part on its way, and the memory that it needs until it has arrived. */
    private record Sending(ByteBuffer bytes, CompletableFuture<CompletedPart> part) {}

    ObjectUpload(S3AsyncClient client, String bucket, ObjectKey key, String type, PartBuffers buffers) {
        this.client = client;
        this.bucket = bucket;
        this.key = key;
        this.type = ObjectType.of(type);
        this.buffers = buffers;
        filling = buffers.take();
    }

    BlobContent store(InputStream body) throws IOException {
        int length = fill(body);
        if (length < filling.length) {
            ByteBuffer whole = ByteBuffer.wrap(filling, 0, length);
            client.putObject(
                            r -> r.bucket(bucket)
                                    .key(key.toString())
                                    .contentType(type)
                                    .contentLength((long) length)
                                    .contentMD5(md5(whole)),
                            AsyncRequestBody.fromByteBufferUnsafe(whole))
                    .join();
            return digest.finish();
        }
        return storeParts(body, length);
    }

    private BlobContent storeParts(InputStream body, int firstLength) throws IOException {
        String id = client.createMultipartUpload(
                        r -> r.bucket(bucket).key(key.toString()).contentType(type))
                .join()
                .uploadId();
        try {
            int number = 1;
            for (int length = firstLength; length > 0; length = fill(body)) {
                send(id, number++, length);
            }
            awaitPart();
            BlobContent content = digest.finish();
            complete(id, content.size());
            return content;
        } catch (IOException | RuntimeException e) {
            abort(id, e);
            throw e;
        }
    }

    private void complete(String id, long size) {
        try {
            client.completeMultipartUpload(r ->
                            r.bucket(bucket).key(key.toString()).uploadId(id).multipartUpload(m -> m.parts(parts)))
                    .join();
        } catch (CompletionException e) {
            if (!isStored(size, e)) {
                throw e;
            }
        }
    }

    /**
     * Whether the upload was completed all the same: if an answer is lost, its repetition is told that there is no such upload.
     * Nobody else uses the key, and parts become an object all at once: one of this size is the one that was sent.
     */
    private boolean isStored(long size, CompletionException cause) {
        try {
            return client.headObject(r -> r.bucket(bucket).key(key.toString()))
                            .join()
                            .contentLength()
                    == size;
        } catch (CompletionException e) {
            cause.addSuppressed(e);
            return false;
        }
    }

    private void send(String id, int number, int length) {
        if (number > PARTS_MAX) {
            throw new StorageFailure.Full(
                    Reasons.BLOB_TOO_LARGE,
                    "an upload can't be longer than %d bytes".formatted((long) PARTS_MAX * PartBuffers.PART_BYTES),
                    null);
        }
        awaitPart();
        ByteBuffer bytes = ByteBuffer.wrap(filling, 0, length);
        CompletableFuture<CompletedPart> part = client.uploadPart(
                        r -> r.bucket(bucket)
                                .key(key.toString())
                                .uploadId(id)
                                .partNumber(number)
                                .contentLength((long) length)
                                .contentMD5(md5(bytes)),
                        AsyncRequestBody.fromByteBufferUnsafe(bytes))
                .thenApply(response -> CompletedPart.builder()
                        .partNumber(number)
                        .eTag(response.eTag())
                        .build());
        Optional<byte[]> other = buffers.takeIfFree();
        if (other.isPresent()) {
            sending = Optional.of(new Sending(bytes, part));
            filling = other.get();
        } else {
            parts.add(part.join());
        }
    }

    private void awaitPart() {
        if (sending.isPresent()) {
            Sending last = sending.get();
            parts.add(last.part().join());
            sending = Optional.empty();
            buffers.giveBack(last.bytes().array());
        }
    }

    /** A part that is still on its way would outlive the abort, so it is awaited first. */
    private void abort(String id, Exception cause) {
        try {
            sending.ifPresent(last -> last.part().exceptionally(failure -> null).join());
            client.abortMultipartUpload(
                            r -> r.bucket(bucket).key(key.toString()).uploadId(id))
                    .join();
        } catch (CompletionException e) {
            cause.addSuppressed(e);
        }
    }

    private int fill(InputStream body) throws IOException {
        int length = body.readNBytes(filling, 0, filling.length);
        digest.update(ByteBuffer.wrap(filling, 0, length));
        return length;
    }

    private static String md5(ByteBuffer bytes) {
        try {
            MessageDigest md5 = MessageDigest.getInstance("MD5");
            md5.update(bytes.duplicate());
            return Base64.getEncoder().encodeToString(md5.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has MD5", e);
        }
    }

    @Override
    public void close() {
        buffers.giveBack(filling);
        sending.ifPresent(last -> buffers.giveBack(last.bytes().array()));
    }
}
