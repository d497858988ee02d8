package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.store.Proof;
import io.flynn.blobstore.store.ReplayableBody;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Flow;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.services.s3.model.S3Exception;

/**
 * Finds out which checksums a store checks: it must refuse an object whose checksum is wrong on purpose, and take the same object when
 * it is right. Who doesn't know a checksum takes both, or refuses both.
 *
 * <p>Seen: versitygw refuses a wrong SHA-512, MinIO takes it, S3Proxy answers 501 to any.
 */
final class StoreProofProbe {

    static final String SHA512_HEADER = "x-amz-checksum-sha512";

    private static final Logger LOG = LoggerFactory.getLogger(StoreProofProbe.class);

    private static final byte[] CONTENT = "blobstore checksum probe\n".getBytes(StandardCharsets.UTF_8);
    private static final byte[] OTHER_CONTENT = new byte[0];

    /** The right one is another; that of eight zeros says it clearly in a log. */
    private static final String WRONG_CRC = Base64.getEncoder().encodeToString(new byte[Long.BYTES]);

    private final ObjectClient client;

    /** Under a key of its own, so that two probes don't meet. */
    private final String key = UUID.randomUUID().toString();

    StoreProofProbe(ObjectClient client) {
        this.client = client;
    }

    private interface Attempt {
        void put();
    }

    /** @throws S3Exception, or what the client throws otherwise, if the store doesn't take objects at all */
    Proof ask() {
        try {
            if (checks(
                    () -> client.put(key, new Content(), digestHeader(digest(OTHER_CONTENT))),
                    () -> client.put(key, new Content(), digestHeader(digest(CONTENT))))) {
                return Proof.DIGEST;
            }
            if (checks(
                    () -> client.putWithTrailer(key, new Content(), Optional.of(WRONG_CRC)),
                    () -> client.putWithTrailer(key, new Content()))) {
                return Proof.TRANSFER;
            }
            return Proof.NONE;
        } finally {
            tidyUp();
        }
    }

    static Map<String, String> digestHeader(Sha512 digest) {
        return Map.of(SHA512_HEADER, Base64.getEncoder().encodeToString(digest.bytes()));
    }

    private static boolean checks(Attempt wrong, Attempt right) {
        return !isTaken(wrong) && isTaken(right);
    }

    /** @throws S3Exception if it is refused for a reason that has nothing to do with a checksum */
    private static boolean isTaken(Attempt attempt) {
        try {
            attempt.put();
            return true;
        } catch (S3Exception e) {
            if (e.statusCode() == 400 || e.statusCode() == 501) {
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
            client.delete(key);
        } catch (RuntimeException e) {
            // Who may not delete may still move; what is left is 25 bytes, and listed by a check.
            LOG.info("object {} of a checksum probe may be left", key, e);
        }
    }

    private static final class Content implements ReplayableBody {
        @Override
        public long size() {
            return CONTENT.length;
        }

        @Override
        public String type() {
            return "";
        }

        @Override
        public Flow.Publisher<ByteBuffer> open() {
            return subscriber -> subscriber.onSubscribe(new Flow.Subscription() {
                private boolean isOver;

                @Override
                public void request(long items) {
                    if (!isOver) {
                        isOver = true;
                        subscriber.onNext(ByteBuffer.wrap(CONTENT));
                        subscriber.onComplete();
                    }
                }

                @Override
                public void cancel() {
                    isOver = true;
                }
            });
        }
    }
}
