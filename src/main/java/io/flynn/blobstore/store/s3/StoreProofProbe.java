package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.store.Proof;
import io.flynn.blobstore.store.StorageFailure;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.http.HttpStatusCode;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.S3Exception;

/**
 * Finds out which checksums a store checks: it must refuse an object whose checksum is wrong on purpose, and take the same object when
 * it is right. Who doesn't know a checksum takes both, or refuses both.
 *
 * <p>Seen: versitygw refuses a wrong SHA-512, MinIO takes it, S3Proxy answers 501 to any. All refuse a wrong CRC of an object that is
 * sent whole, of a part that comes with one, and of an object of parts; MinIO wants to know that of each part before the part.
 */
final class StoreProofProbe {

    private static final Logger LOG = LoggerFactory.getLogger(StoreProofProbe.class);

    private static final byte[] CONTENT = "blobstore checksum probe\n".getBytes(StandardCharsets.UTF_8);
    private static final long CONTENT_CRC = Crc64Nvme.of(ByteBuffer.wrap(CONTENT));
    private static final byte[] OTHER_CONTENT = new byte[0];

    /** The right one is another; that of eight zeros says it clearly in a log. */
    private static final String WRONG_CRC = Crc64Nvme.base64(0);

    private static final int NOT_ALLOWED = 405;
    private static final int NOT_IMPLEMENTED = 501;

    private final S3Calls calls;
    private final S3AsyncClient client;
    private final String bucket;

    /** Under a key of its own, so that two probes don't meet. */
    private final ObjectKey key = new ObjectKey(UUID.randomUUID());

    StoreProofProbe(S3Calls calls) {
        this.calls = calls;
        client = calls.client();
        bucket = calls.bucket();
    }

    /**
     * What a store proves of an object that is sent whole.
     *
     * @throws io.flynn.blobstore.store.StorageFailure if it doesn't take objects at all
     */
    Proof ask() {
        try {
            if (checks(
                    put -> put.checksumSHA512(base64(digest(OTHER_CONTENT))),
                    put -> put.checksumSHA512(base64(digest(CONTENT))))) {
                return Proof.DIGEST;
            }
            if (checks(
                    put -> put.checksumCRC64NVME(WRONG_CRC),
                    put -> put.checksumCRC64NVME(crc64Nvme(ByteBuffer.wrap(CONTENT))))) {
                return Proof.CONTENT;
            }
            return Proof.NONE;
        } catch (CompletionException e) {
            throw failed(e);
        } finally {
            tidyUp();
        }
    }

    /**
     * What it compares an object with, as a whole, that is sent by parts.
     *
     * @throws io.flynn.blobstore.store.StorageFailure if it doesn't take parts at all
     */
    PartedChecks askParted() {
        return askParted(
                checks -> !isMade(Optional.empty(), 0, checks) && isMade(Optional.empty(), CONTENT_CRC, checks));
    }

    /**
     * The same of parts that come with a checksum each: a store might believe what it is told of the parts, and compare nothing but that.
     * So one lie agrees with itself.
     *
     * @throws io.flynn.blobstore.store.StorageFailure if it doesn't take parts at all
     */
    PartedChecks askGathered() {
        Optional<Long> right = Optional.of(CONTENT_CRC);
        return askParted(checks ->
                !isMade(Optional.of(0L), 0, checks) && !isMade(right, 0, checks) && isMade(right, CONTENT_CRC, checks));
    }

    private PartedChecks askParted(Predicate<PartedChecks> areMade) {
        try {
            return Stream.of(PartedChecks.CHECKSUM_AND_SIZE, PartedChecks.CHECKSUM)
                    .filter(areMade)
                    .findFirst()
                    .orElse(PartedChecks.NONE);
        } catch (CompletionException e) {
            throw failed(e);
        } finally {
            abortUploads();
            tidyUp();
        }
    }

    private StorageFailure failed(CompletionException failure) {
        return S3Failures.translate("see which checksums are checked in " + calls.place(), failure);
    }

    static String base64(Sha512 digest) {
        return Base64.getEncoder().encodeToString(digest.bytes());
    }

    static String crc64Nvme(ByteBuffer bytes) {
        return Crc64Nvme.base64(Crc64Nvme.of(bytes));
    }

    private boolean checks(Consumer<PutObjectRequest.Builder> wrong, Consumer<PutObjectRequest.Builder> right) {
        return !isTaken(wrong) && isTaken(right);
    }

    private boolean isTaken(Consumer<PutObjectRequest.Builder> checksum) {
        return isDone(() -> client.putObject(
                        put -> {
                            put.bucket(bucket).key(key.toString());
                            checksum.accept(put);
                        },
                        AsyncRequestBody.fromBytes(CONTENT))
                .join());
    }

    /** @param ofPart what the part comes with */
    private boolean isMade(Optional<Long> ofPart, long crc, PartedChecks checks) {
        return isDone(() -> {
            String upload = client.createMultipartUpload(
                            r -> checks.atBegin(r.bucket(bucket).key(key.toString())))
                    .join()
                    .uploadId();
            String etag = client.uploadPart(
                            r -> r.bucket(bucket)
                                    .key(key.toString())
                                    .uploadId(upload)
                                    .partNumber(1)
                                    .checksumCRC64NVME(
                                            ofPart.map(Crc64Nvme::base64).orElse(null)),
                            AsyncRequestBody.fromBytes(CONTENT))
                    .join()
                    .eTag();
            SentPart part = new SentPart(1, etag, CONTENT.length, ofPart.orElse(CONTENT_CRC));
            client.completeMultipartUpload(r ->
                            checks.atEnd(r.bucket(bucket).key(key.toString()).uploadId(upload), List.of(part), crc))
                    .join();
        });
    }

    /** @throws CompletionException if it is refused for a reason that has nothing to do with a checksum */
    private static boolean isDone(Runnable request) {
        try {
            request.run();
            return true;
        } catch (CompletionException e) {
            if (e.getCause() instanceof S3Exception refusal
                    && (refusal.statusCode() == HttpStatusCode.BAD_REQUEST
                            || refusal.statusCode() == NOT_ALLOWED
                            || refusal.statusCode() == NOT_IMPLEMENTED)) {
                return false;
            }
            throw e;
        }
    }

    private static Sha512 digest(byte[] bytes) {
        Digest digest = new Digest();
        digest.update(ByteBuffer.wrap(bytes));
        return digest.finish().sha512();
    }

    private void abortUploads() {
        try {
            new MultipartUploads(client, bucket, calls.place()).abort(key, Optional.empty());
        } catch (StorageFailure e) {
            LOG.info("an upload of object {} of a checksum probe may be left", key, e);
        }
    }

    private void tidyUp() {
        try {
            client.deleteObject(d -> d.bucket(bucket).key(key.toString())).join();
        } catch (CompletionException e) {
            // Who may not delete may still move; what is left is 25 bytes, and listed by a check.
            LOG.info("object {} of a checksum probe may be left", key, e);
        }
    }
}
