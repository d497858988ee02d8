package io.flynn.blobstore.store.s3;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Secret;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.store.BytesBody;
import io.flynn.blobstore.store.Traffic;
import io.flynn.blobstore.testkit.Blobs;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.SdkPublisher;
import software.amazon.awssdk.http.SdkHttpRequest;
import software.amazon.awssdk.http.SdkHttpResponse;
import software.amazon.awssdk.http.async.AsyncExecuteRequest;
import software.amazon.awssdk.http.async.SdkAsyncHttpClient;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.utils.BinaryUtils;

/** What goes to the store, and what is made of its answer; without a store. */
class DirectPutsTest {

    private static final String KEY_ID = "AKIDDIRECT";
    private static final String SECRET = "direct+secret/access=key";
    private static final ObjectKey KEY = new ObjectKey(UUID.fromString("6f1b2c3d-0000-4000-8000-000000000001"));
    private static final byte[] BYTES = "what is stored".getBytes(StandardCharsets.UTF_8);

    record Place(String name, String region, String bucket, Optional<String> endpoint, boolean pathStyle) {
        BackendSettings settings() {
            return new BackendSettings(
                    Blobs.S3MAIN,
                    BackendSettings.Kind.S3,
                    region,
                    bucket,
                    endpoint.map(URI::create),
                    pathStyle,
                    new Secret(KEY_ID),
                    new Secret(SECRET));
        }

        @Override
        public String toString() {
            return name;
        }
    }

    static final List<Place> PLACES = List.of(
            new Place("AWS", "eu-central-1", "blobs", Optional.empty(), false),
            new Place("AWS' first region", "us-east-1", "blobs", Optional.empty(), false),
            new Place("AWS in China", "cn-north-1", "blobs", Optional.empty(), false),
            new Place("AWS by path", "eu-central-1", "blobs", Optional.empty(), true),
            new Place("a bucket whose name has dots", "eu-central-1", "blobs.example.com", Optional.empty(), false),
            new Place("an endpoint", "us-east-1", "blobs", Optional.of("http://minio.example:9000"), true),
            new Place("an endpoint by https", "us-east-1", "blobs", Optional.of("https://minio.example"), true),
            new Place("an endpoint by host", "us-east-1", "blobs", Optional.of("https://s3.example:8443"), false),
            new Place("an endpoint with a path", "us-east-1", "blobs", Optional.of("http://s3.example/store/"), true));

    /** Takes every request, and answers it. */
    private static final class Recorder implements SdkAsyncHttpClient {

        private final List<SdkHttpRequest> requests = new ArrayList<>();
        private final List<byte[]> bodies = new ArrayList<>();
        private final int status;

        Recorder(int status) {
            this.status = status;
        }

        @Override
        public CompletableFuture<Void> execute(AsyncExecuteRequest request) {
            requests.add(request.request());
            List<ByteBuffer> body = new ArrayList<>();
            SdkPublisher.adapt(request.requestContentPublisher())
                    .subscribe(body::add)
                    .join();
            bodies.add(BinaryUtils.copyAllBytesFrom(body.getFirst()));
            if (status == 0) {
                IOException cut = new IOException("cut");
                request.responseHandler().onError(cut);
                return CompletableFuture.failedFuture(cut);
            }
            request.responseHandler()
                    .onHeaders(SdkHttpResponse.builder().statusCode(status).build());
            request.responseHandler().onStream(AsyncRequestBody.empty());
            return CompletableFuture.completedFuture(null);
        }

        @Override
        public void close() {}
    }

    private static PutObjectRequest.Builder request(Place place) {
        return PutObjectRequest.builder()
                .bucket(place.bucket())
                .key(KEY.toString())
                .contentType("text/plain; charset=utf-8")
                .contentLength((long) BYTES.length);
    }

    private static SentBytes body() {
        return SentBytes.all(new BytesBody(ByteBuffer.wrap(BYTES), "", Optional.empty()), new Traffic());
    }

    private static DirectPuts.Outcome put(Place place, SdkAsyncHttpClient http, PutObjectRequest request) {
        Refusals refusals = new Refusals(new Traffic());
        try (S3AsyncClient s3 = S3Clients.open(place.settings(), http, List.of())) {
            return new DirectPuts(http, s3, place.bucket(), refusals)
                    .put(KEY, request, body())
                    .join();
        }
    }

    /** What is signed, besides the time and what tells the client's attempts apart. */
    private static Map<String, List<String>> meaning(SdkHttpRequest request) {
        Map<String, List<String>> headers = new TreeMap<>();
        request.forEachHeader((name, values) -> headers.put(name.toLowerCase(Locale.ROOT), values));
        headers.keySet()
                .removeIf(name -> name.startsWith("amz-sdk-")
                        || List.of("authorization", "user-agent", "x-amz-date").contains(name));
        return headers;
    }

    private static String scope(SdkHttpRequest request) {
        return request.firstMatchingHeader("Authorization")
                .orElseThrow()
                .replaceAll(", SignedHeaders.*", "")
                .replaceAll("/\\d{8}/", "/day/");
    }

    @ParameterizedTest
    @FieldSource("PLACES")
    void theStoreIsToldWhatTheClientWouldTellIt(Place place) {
        for (PutObjectRequest request : List.of(
                request(place).build(),
                request(place)
                        .checksumSHA512(StoreProofProbe.base64(Blobs.sha512(BYTES)))
                        .build(),
                request(place)
                        .checksumCRC64NVME(StoreProofProbe.crc64Nvme(ByteBuffer.wrap(BYTES)))
                        .build())) {
            Recorder http = new Recorder(200);
            assertThat(put(place, http, request)).isEqualTo(DirectPuts.Outcome.STORED);
            try (S3AsyncClient s3 = S3Clients.open(place.settings(), http, List.of())) {
                s3.putObject(request, body()).join();
            }

            SdkHttpRequest ours = http.requests.getFirst();
            SdkHttpRequest clients = http.requests.getLast();
            assertThat(ours.method()).isEqualTo(clients.method());
            assertThat(ours.getUri()).isEqualTo(clients.getUri());
            assertThat(meaning(ours)).isEqualTo(meaning(clients));
            assertThat(scope(ours)).isEqualTo(scope(clients)).contains(KEY_ID);
            assertThat(http.bodies).containsExactly(BYTES, BYTES);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 100, 301, 307, 400, 403, 404, 500, 501})
    void whatIsNotSeenStoredIsTheClients(int status) {
        Place place = PLACES.getFirst();
        assertThat(put(place, new Recorder(status), request(place).build())).isEqualTo(DirectPuts.Outcome.FAILED);
    }

    @ParameterizedTest
    @ValueSource(ints = {429, 503})
    void aStoreThatHasTooMuchToDoGetsLess(int status) {
        Place place = PLACES.getFirst();
        Traffic traffic = new Traffic();
        traffic.limitBlobs(8);
        int before = traffic.shares();
        Recorder http = new Recorder(status);
        try (S3AsyncClient s3 = S3Clients.open(place.settings(), http, List.of())) {
            DirectPuts puts = new DirectPuts(http, s3, place.bucket(), new Refusals(traffic));

            assertThat(puts.put(KEY, request(place).build(), body()).join()).isEqualTo(DirectPuts.Outcome.REFUSED);
            assertThat(traffic.shares()).isEqualTo(before / 2);
        }
    }

    @Test
    void whatFailsIsNotTriedWithTheNextHundred() {
        Place place = PLACES.getFirst();
        Recorder http = new Recorder(403);
        try (S3AsyncClient s3 = S3Clients.open(place.settings(), http, List.of())) {
            DirectPuts puts = new DirectPuts(http, s3, place.bucket(), new Refusals(new Traffic()));
            for (int object = 0; object < 1_000; object++) {
                if (puts.isNext()) {
                    puts.put(KEY, request(place).build(), body()).join();
                }
            }
        }
        assertThat(http.requests).hasSize(10);
    }

    @Test
    void theSecretIsInNoLogHoweverMuchIsLogged() {
        Logger sdk = (Logger) LoggerFactory.getLogger("software.amazon.awssdk");
        ListAppender<ILoggingEvent> log = new ListAppender<>();
        log.start();
        sdk.addAppender(log);
        sdk.setAdditive(false);
        sdk.setLevel(Level.TRACE);
        try {
            for (int status : new int[] {0, 200, 403}) {
                put(
                        PLACES.getFirst(),
                        new Recorder(status),
                        request(PLACES.getFirst()).build());
            }
        } finally {
            sdk.setLevel(null);
            sdk.setAdditive(true);
            sdk.detachAppender(log);
        }
        assertThat(log.list)
                .isNotEmpty()
                .extracting(ILoggingEvent::getFormattedMessage)
                .noneMatch(message -> message.contains(SECRET));
    }
}
