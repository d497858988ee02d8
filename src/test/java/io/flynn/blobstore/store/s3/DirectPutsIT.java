package io.flynn.blobstore.store.s3;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Secret;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Verification;
import io.flynn.blobstore.store.BytesBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.StoreFault;
import io.flynn.blobstore.testkit.TcpLink;
import io.flynn.blobstore.testkit.TcpLink.Direction;
import java.io.InputStream;
import java.net.URI;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import software.amazon.awssdk.http.async.SdkAsyncHttpClient;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;

/** A body in memory is stored right, and once, whatever goes wrong with its first sending. The store checks signatures. */
class DirectPutsIT {

    private static final String BUCKET = "bucket";
    private static final int CONNECTIONS = 2;

    private static LocalS3 s3;
    private final ObjectKey key = new ObjectKey(UUID.randomUUID());
    private final byte[] bytes = new byte[20_000];
    private TcpLink link;

    @BeforeAll
    static void start() {
        s3 = LocalS3.start();
        s3.createBucket(BUCKET);
    }

    @AfterAll
    static void stop() {
        s3.close();
    }

    @BeforeEach
    void open() {
        new Random(1).nextBytes(bytes);
        link = TcpLink.to("127.0.0.1", s3.endpoint().getPort());
    }

    @AfterEach
    void close() {
        s3.fail(0, StoreFault.NONE);
        s3.deny();
        link.close();
    }

    /** What happens to the first request. */
    enum Mishap {
        CUT,
        CUT_IN_REQUEST,
        ANSWER_LOST,
        ANSWER_CUT,
        STATUS_500,
        STATUS_503,
        STATUS_403,
        STATUS_404
    }

    private StoreFault fault(Mishap mishap) {
        return switch (mishap) {
            case CUT ->
                new StoreFault() {
                    @Override
                    public void before() {
                        link.cutNext(Direction.DOWN);
                        throw StoreFault.failure(500, "InternalError");
                    }
                };
            case CUT_IN_REQUEST ->
                new StoreFault() {
                    @Override
                    public InputStream stored(InputStream sent) {
                        link.cutNext(Direction.UP);
                        return sent;
                    }
                };
            case ANSWER_LOST ->
                new StoreFault() {
                    @Override
                    public void after() {
                        link.cutNext(Direction.DOWN);
                    }
                };
            case ANSWER_CUT ->
                new StoreFault() {
                    @Override
                    public void after() {
                        link.cutAfter(Direction.DOWN, 50, false);
                    }
                };
            case STATUS_500 -> StoreFault.status(500, "InternalError");
            case STATUS_503 -> StoreFault.status(503, "SlowDown");
            case STATUS_403 -> StoreFault.status(403, "RequestTimeTooSkewed");
            case STATUS_404 -> StoreFault.status(404, "NoSuchBucket");
        };
    }

    private BackendSettings settings() {
        return s3.backend(Blobs.S3MAIN, BUCKET, URI.create("http://127.0.0.1:" + link.port()));
    }

    private BytesBody body() {
        return new BytesBody(ByteBuffer.wrap(bytes), "text/plain", Optional.empty());
    }

    @ParameterizedTest
    @EnumSource
    void whateverGoesWrongOnceTheObjectIsStoredRight(Mishap mishap) {
        try (S3BlobStore store = new S3BlobStore(settings(), CONNECTIONS)) {
            // The connection is there: what goes wrong goes wrong with a request.
            store.put(new ObjectKey(UUID.randomUUID()), body());
            s3.fail(1, fault(mishap));

            store.put(key, body());

            assertThat(s3.bytes(BUCKET, key.toString())).isEqualTo(bytes);
            assertThat(s3.type(BUCKET, key.toString())).isEqualTo("text/plain");
            // It was the first that went wrong, and something else that made it right.
            assertThat(s3.exchanges()).isGreaterThanOrEqualTo(mishap == Mishap.CUT_IN_REQUEST ? 1 : 2);
        }
    }

    @Test
    void aStoreThatIsWellIsAskedOnceForEach() {
        long before = s3.count(LocalS3.Operation.PUT);
        try (S3BlobStore store = new S3BlobStore(settings(), CONNECTIONS)) {
            for (int object = 0; object < 10; object++) {
                store.put(new ObjectKey(UUID.randomUUID()), body());
            }
        }
        assertThat(s3.count(LocalS3.Operation.PUT) - before).isEqualTo(10);
    }

    @Test
    void aStoreThatRefusesEverythingSaysWhyAndIsNotAskedTwiceForEach() {
        s3.deny(LocalS3.Operation.PUT);
        long before = s3.count(LocalS3.Operation.PUT);
        try (S3BlobStore store = new S3BlobStore(settings(), CONNECTIONS)) {
            for (int object = 0; object < 50; object++) {
                assertThatThrownBy(() -> store.put(key, body()))
                        .isInstanceOfSatisfying(
                                StorageFailure.Denied.class,
                                denied -> assertThat(denied.reason()).isEqualTo(Reasons.ACCESS_DENIED));
            }
        }
        assertThat(s3.count(LocalS3.Operation.PUT) - before).isEqualTo(51);
    }

    @Test
    void aStoreThatIsAwayIsUnreachable() {
        link.cutAfter(Direction.UP, 0);
        try (S3BlobStore store = new S3BlobStore(settings(), CONNECTIONS)) {
            assertThatThrownBy(() -> store.put(key, body())).isInstanceOf(StorageFailure.Unreachable.class);

            link.mend();
            store.put(key, body());

            assertThat(s3.bytes(BUCKET, key.toString())).isEqualTo(bytes);
        }
    }

    @Test
    void refusedPutsLeaveNoConnectionTaken() throws Exception {
        BackendSettings right = settings();
        BackendSettings wrong = new BackendSettings(
                right.name(),
                right.kind(),
                right.region(),
                right.bucket(),
                right.endpoint(),
                right.pathStyle(),
                right.accessKeyId(),
                new Secret("another"));
        PutObjectRequest request = PutObjectRequest.builder()
                .bucket(BUCKET)
                .key(key.toString())
                .contentLength((long) bytes.length)
                .build();
        Refusals refusals = new Refusals(new Traffic());
        try (SdkAsyncHttpClient http = S3Clients.http(CONNECTIONS);
                S3AsyncClient refused = S3Clients.open(wrong, http, List.of());
                S3AsyncClient taken = S3Clients.open(right, http, List.of())) {
            DirectPuts puts = new DirectPuts(http, refused, BUCKET, refusals);
            for (int put = 0; put < 3 * CONNECTIONS; put++) {
                assertThat(puts.put(key, request, SentBytes.all(body(), new Traffic()))
                                .get(1, TimeUnit.MINUTES))
                        .isEqualTo(DirectPuts.Outcome.FAILED);
            }

            assertThat(new DirectPuts(http, taken, BUCKET, refusals)
                            .put(key, request, SentBytes.all(body(), new Traffic()))
                            .get(1, TimeUnit.MINUTES))
                    .isEqualTo(DirectPuts.Outcome.STORED);
        }
    }

    @Test
    void bytesInMemoryWaitForTheLimit() {
        Traffic traffic = new Traffic();
        // Ten objects a second: the first passes at once, the second waits for it.
        traffic.limitBytes(10L * bytes.length);
        try (S3BlobStore store = new S3BlobStore(settings(), CONNECTIONS, Verification.READ_BACK, traffic)) {
            store.put(key, body());
            store.put(key, body());
        }
        assertThat(traffic.bottleneck()).contains(Traffic.Wait.THROTTLE);
    }
}
