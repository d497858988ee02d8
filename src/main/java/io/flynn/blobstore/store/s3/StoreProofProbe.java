package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.store.Proof;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.UUID;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;
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
 * <p>Seen: versitygw refuses a wrong SHA-512, MinIO takes it, S3Proxy answers 501 to any.
 */
final class StoreProofProbe {

    private static final Logger LOG = LoggerFactory.getLogger(StoreProofProbe.class);

    private static final byte[] CONTENT = "blobstore checksum probe\n".getBytes(StandardCharsets.UTF_8);
    private static final byte[] OTHER_CONTENT = new byte[0];

    /** The right one is another; that of eight zeros says it clearly in a log. */
    private static final String WRONG_CRC = Base64.getEncoder().encodeToString(new byte[Long.BYTES]);

    private static final int NOT_IMPLEMENTED = 501;

    private final S3AsyncClient client;
    private final String bucket;

    /** Under a key of its own, so that two probes don't meet. */
    private final String key = UUID.randomUUID().toString();

    StoreProofProbe(S3AsyncClient client, String bucket) {
        this.client = client;
        this.bucket = bucket;
    }

    /** @throws CompletionException with what the SDK throws, if the store doesn't take objects at all */
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
                return Proof.TRANSFER;
            }
            return Proof.NONE;
        } finally {
            tidyUp();
        }
    }

    static String base64(Sha512 digest) {
        return Base64.getEncoder().encodeToString(digest.bytes());
    }

    static String crc64Nvme(ByteBuffer bytes) {
        Crc64Nvme crc = new Crc64Nvme();
        crc.update(bytes);
        return crc.base64();
    }

    private boolean checks(Consumer<PutObjectRequest.Builder> wrong, Consumer<PutObjectRequest.Builder> right) {
        return !isTaken(wrong) && isTaken(right);
    }

    /** @throws CompletionException if it is refused for a reason that has nothing to do with a checksum */
    private boolean isTaken(Consumer<PutObjectRequest.Builder> checksum) {
        try {
            client.putObject(
                            put -> {
                                put.bucket(bucket).key(key);
                                checksum.accept(put);
                            },
                            AsyncRequestBody.fromBytes(CONTENT))
                    .join();
            return true;
        } catch (CompletionException e) {
            if (e.getCause() instanceof S3Exception refusal
                    && (refusal.statusCode() == HttpStatusCode.BAD_REQUEST
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

    private void tidyUp() {
        try {
            client.deleteObject(d -> d.bucket(bucket).key(key)).join();
        } catch (CompletionException e) {
            // Who may not delete may still move; what is left is 25 bytes, and listed by a check.
            LOG.info("object {} of a checksum probe may be left", key, e);
        }
    }
}
