package io.flynn.blobstore.store.s3;

import static io.flynn.blobstore.testkit.Blobs.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobVersion;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.TcpLink;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ServedBucketIT {

    private static final String BUCKET = "blobs";

    @TempDir
    private static Path spool;

    private final LocalS3 s3 = LocalS3.start();
    private final PartRoom room = new PartRoom(1 << 20, Optional.of(spool));
    private final ServedBucket bucket;
    private final ObjectKey key = new ObjectKey(UUID.randomUUID());

    ServedBucketIT() {
        s3.createBucket(BUCKET);
        bucket = new ServedBucket(s3.backend(S3MAIN, BUCKET), 4, room);
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
        byte[] body = new byte[GatheredPart.BYTES_MAX + 1];
        s3.loseNextCompletion();

        BlobContent stored = store("", new ByteArrayInputStream(body));

        assertThat(stored).isEqualTo(new BlobContent(body.length, Blobs.sha512(body)));
        assertThat(s3.bytes(BUCKET, key.toString())).isEqualTo(body);
        assertThat(s3.unfinishedUploads(BUCKET)).isEmpty();
    }

    /** Each has sent less than a part, and all of them more than there is memory. */
    @Test
    void slowUploadsKeepNoOtherWaiting() throws Exception {
        byte[] whole = new byte[9_000_000];
        new Random(2).nextBytes(whole);
        List<SlowClient> clients = new ArrayList<>();
        try (ServedBucket many = new ServedBucket(s3.backend(S3MAIN, BUCKET), 32, room);
                var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<BlobContent>> uploads = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                SlowClient client = new SlowClient(whole, 200_000 + i);
                clients.add(client);
                uploads.add(threads.submit(() -> {
                    try (ObjectUpload upload = many.upload(new ObjectKey(UUID.randomUUID()), "")) {
                        return upload.store(client);
                    }
                }));
                assertThat(client.isWaitedFor.await(20, TimeUnit.SECONDS)).isTrue();
            }

            store("", new ByteArrayInputStream(whole));
            assertThat(s3.bytes(BUCKET, key.toString())).isEqualTo(whole);

            clients.forEach(client -> client.goesOn.countDown());
            for (Future<BlobContent> upload : uploads) {
                assertThat(upload.get(60, TimeUnit.SECONDS))
                        .isEqualTo(new BlobContent(whole.length, Blobs.sha512(whole)));
            }
        }
        assertThat(s3.sizes(BUCKET)).hasSize(21);
        s3.sizes(BUCKET)
                .keySet()
                .forEach(stored -> assertThat(s3.bytes(BUCKET, stored)).isEqualTo(whole));
        try (Stream<Path> left = Files.list(spool)) {
            assertThat(left).isEmpty();
        }
    }

    /** The same file, not what is left of it. */
    @Test
    void partsThatWereGatheredInAFileAreSentAgain() throws Exception {
        byte[] whole = new byte[9_000_000];
        new Random(3).nextBytes(whole);
        s3.failNext(LocalS3.Operation.UPLOAD_PART, 1);

        store("", new ByteArrayInputStream(whole));

        assertThat(s3.count(LocalS3.Operation.UPLOAD_PART)).isEqualTo(3);
        assertThat(s3.bytes(BUCKET, key.toString())).isEqualTo(whole);
    }

    @Test
    void uploadWithoutRoomInMemoryOrOnDiskIsToldToComeAgain() throws Exception {
        PartRoom little = new PartRoom(1 << 20, Optional.of(spool.resolve("missing")), Duration.ofMillis(10));
        try (ServedBucket narrow = new ServedBucket(s3.backend(S3MAIN, BUCKET), 4, little);
                ObjectUpload upload = narrow.upload(key, "")) {
            assertThatThrownBy(() -> upload.store(new ByteArrayInputStream(new byte[2 << 20])))
                    .isInstanceOf(StorageFailure.Busy.class)
                    .hasMessageContaining("memory");
        }
        try (ServedBucket narrow = new ServedBucket(s3.backend(S3MAIN, BUCKET), 4, little);
                ObjectUpload upload = narrow.upload(key, "")) {
            upload.store(new ByteArrayInputStream(new byte[1 << 20]));
        }
    }

    /** As where the store or the SDK has lost patience with a client that paused. */
    @ParameterizedTest
    @ValueSource(ints = {1_000, 300_000, 8_000_000})
    void downloadWhoseConnectionBreaksIsReadOn(int cut) throws Exception {
        byte[] whole = new byte[9_000_000];
        new Random(4).nextBytes(whole);
        s3.overwrite(BUCKET, key.toString(), whole);
        BlobVersion version = new BlobVersion(
                UUID.randomUUID(),
                "s3main",
                OptionalLong.empty(),
                Optional.of(key),
                "",
                whole.length,
                Optional.empty(),
                Instant.EPOCH);
        try (TcpLink link = TcpLink.to("127.0.0.1", s3.endpoint().getPort());
                ServedBucket linked = linked(link)) {
            for (long[] range : new long[][] {{0, whole.length}, {100, whole.length - 200}}) {
                ByteArrayOutputStream read = new ByteArrayOutputStream();
                link.cutAfter(TcpLink.Direction.DOWN, cut, false);
                linked.copyTo(read, version, range[0], range[1]);

                assertThat(read.toByteArray())
                        .isEqualTo(Arrays.copyOfRange(whole, (int) range[0], (int) (range[0] + range[1])));
            }
        }
        assertThat(s3.count(LocalS3.Operation.GET)).isEqualTo(4);
    }

    /** The SDK then asks again, and has another. */
    @Test
    void anUploadWhoseBeginningIsNeverAnsweredDoesNotStay() throws Exception {
        byte[] whole = new byte[9_000_000];
        try (TcpLink link = TcpLink.to("127.0.0.1", s3.endpoint().getPort());
                ServedBucket linked = linked(link);
                ObjectUpload upload = linked.upload(key, "")) {
            link.cutAfter(TcpLink.Direction.DOWN, 0, false);
            upload.store(new ByteArrayInputStream(whole));
        }

        assertThat(s3.count(LocalS3.Operation.CREATE_MULTIPART)).isEqualTo(2);
        assertThat(s3.count(LocalS3.Operation.ABORT_MULTIPART)).isOne();
        assertThat(s3.unfinishedUploads(BUCKET)).isEmpty();
        assertThat(s3.bytes(BUCKET, key.toString())).isEqualTo(whole);
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
        try (ServedBucket byParts = new ServedBucket(s3.backend(S3MAIN, BUCKET), 4, room, 6_000_000);
                ObjectUpload copied = byParts.upload(copy, "text/css");
                ObjectUpload appended = byParts.upload(longer, "")) {
            copied.copy(key, body.length);
            appended.append(key, body.length, Optional.empty(), new ByteArrayInputStream(new byte[] {1}));
        }

        assertThat(s3.bytes(BUCKET, copy.toString())).isEqualTo(body);
        assertThat(s3.bytes(BUCKET, longer.toString())).startsWith(body).hasSize(body.length + 1);
        assertThat(s3.count(LocalS3.Operation.COPY_PART)).isEqualTo(6);
    }

    /** Sends some bytes, and the others once it goes on. */
    private static final class SlowClient extends InputStream {

        final CountDownLatch isWaitedFor = new CountDownLatch(1);
        final CountDownLatch goesOn = new CountDownLatch(1);
        private final ByteArrayInputStream bytes;
        private final int sentAtOnce;

        SlowClient(byte[] bytes, int sentAtOnce) {
            this.bytes = new ByteArrayInputStream(bytes);
            this.sentAtOnce = bytes.length - sentAtOnce;
        }

        @Override
        public int read() {
            throw new UnsupportedOperationException("nobody reads single bytes");
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            int left = bytes.available() - sentAtOnce;
            if (left > 0) {
                return bytes.read(target, offset, Math.min(left, length));
            }
            isWaitedFor.countDown();
            try {
                assertThat(goesOn.await(60, TimeUnit.SECONDS)).isTrue();
            } catch (InterruptedException e) {
                throw new InterruptedIOException();
            }
            return bytes.read(target, offset, length);
        }
    }

    private ServedBucket linked(TcpLink link) {
        return new ServedBucket(s3.backend(S3MAIN, BUCKET, URI.create("http://127.0.0.1:" + link.port())), 4, room);
    }

    private BlobContent store(String type, InputStream body) throws IOException {
        try (ObjectUpload upload = bucket.upload(key, type)) {
            return upload.store(body);
        }
    }
}
