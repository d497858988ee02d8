package io.flynn.blobstore.store.s3;

import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.LocalS3;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ServedBucketIT {

    private static final String BUCKET = "blobs";

    private final LocalS3 s3 = LocalS3.start();
    private final PartBuffers buffers = new PartBuffers(4L * PartBuffers.PART_BYTES);
    private final ServedBucket bucket;
    private final ObjectKey key = new ObjectKey(UUID.randomUUID());

    ServedBucketIT() {
        s3.createBucket(BUCKET);
        bucket = new ServedBucket(s3.backend(S3MAIN, BUCKET), 4, buffers);
    }

    @AfterEach
    void close() {
        bucket.close();
        s3.close();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "text/pläin", "text/plain\r\nX-Evil: 1", "text/\u0001plain"})
    void aTypeThatCantBeSentDoesNotKeepABlobOut(String type) throws Exception {
        store(type, new ByteArrayInputStream(new byte[100]));

        assertThat(s3.type(BUCKET, key.toString())).isEqualTo("binary/octet-stream");
    }

    @Test
    void aCompletionWhoseAnswerIsLostIsSeenAtTheObject() throws Exception {
        byte[] body = new byte[PartBuffers.PART_BYTES + 1];
        s3.loseNextCompletion();

        BlobContent stored = store("", new ByteArrayInputStream(body));

        assertThat(stored).isEqualTo(new BlobContent(body.length, Blobs.sha512(body)));
        assertThat(s3.bytes(BUCKET, key.toString())).isEqualTo(body);
        assertThat(s3.unfinishedUploads(BUCKET)).isEmpty();
    }

    @Test
    void theTypeIsTheObjects() throws Exception {
        store("text/css", new ByteArrayInputStream(new byte[100]));

        assertThat(s3.type(BUCKET, key.toString())).isEqualTo("text/css");
    }

    @Test
    void whatIsTooLargeForOneRequestIsCopiedByParts() throws Exception {
        byte[] body = new byte[17_000_001];
        new Random(1).nextBytes(body);
        store("", new ByteArrayInputStream(body));
        ObjectKey copy = new ObjectKey(UUID.randomUUID());
        ObjectKey longer = new ObjectKey(UUID.randomUUID());
        try (ServedBucket byParts = new ServedBucket(s3.backend(S3MAIN, BUCKET), 4, buffers, 6_000_000);
                ObjectUpload copied = byParts.upload(copy, "text/css");
                ObjectUpload appended = byParts.upload(longer, "")) {
            copied.copy(key, body.length);
            appended.append(key, body.length, Optional.empty(), new ByteArrayInputStream(new byte[] {1}));
        }

        assertThat(s3.bytes(BUCKET, copy.toString())).isEqualTo(body);
        assertThat(s3.bytes(BUCKET, longer.toString())).startsWith(body).hasSize(body.length + 1);
        assertThat(s3.count(LocalS3.Operation.COPY_PART)).isEqualTo(6);
    }

    private BlobContent store(String type, InputStream body) throws IOException {
        try (ObjectUpload upload = bucket.upload(key, type)) {
            return upload.store(body);
        }
    }
}
