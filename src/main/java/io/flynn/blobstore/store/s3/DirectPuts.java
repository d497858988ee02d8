package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.ObjectKey;
import java.net.URI;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.core.SdkField;
import software.amazon.awssdk.core.protocol.MarshallLocation;
import software.amazon.awssdk.core.util.SdkAutoConstructMap;
import software.amazon.awssdk.http.SdkHttpMethod;
import software.amazon.awssdk.http.SdkHttpRequest;
import software.amazon.awssdk.http.SdkHttpResponse;
import software.amazon.awssdk.http.async.AsyncExecuteRequest;
import software.amazon.awssdk.http.async.SdkAsyncHttpClient;
import software.amazon.awssdk.http.async.SdkAsyncHttpResponseHandler;
import software.amazon.awssdk.http.auth.aws.signer.AwsV4HttpSigner;
import software.amazon.awssdk.identity.spi.AwsCredentialsIdentity;
import software.amazon.awssdk.identity.spi.IdentityProvider;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3ServiceClientConfiguration;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;

/**
 * Stores small objects past the request pipeline of the S3 client, which costs more CPU than all else that is done for a small blob: signed by the SDK's
 * signer, sent by the S3 client's own HTTP client. It knows success alone: what it didn't see stored is the S3 client's to store, which tries
 * again, backs off, and says what is wrong. Thread-safe.
 */
final class DirectPuts {

    /**
     * So many objects are left to the S3 client after each that failed: a store that refuses what is sent here, or everything, gets a
     * hundredth more requests for it.
     */
    private static final int LEFT_AFTER_FAILURE = 100;

    private static final String SERVICE = "s3";

    private static final List<SdkField<?>> HEADERS = PutObjectRequest.builder().build().sdkFields().stream()
            .filter(field -> field.location() == MarshallLocation.HEADER)
            .toList();

    private final SdkAsyncHttpClient http;
    private final Refusals refusals;
    private final URI anyObject;
    private final String pathToKey;
    private final String region;
    private final IdentityProvider<? extends AwsCredentialsIdentity> credentials;
    private final AwsV4HttpSigner signer = AwsV4HttpSigner.create();
    private final AtomicInteger leftToClient = new AtomicInteger();

    /**
     * @param http sends what {@code s3} sends, too
     * @param s3 says where the bucket is, and who asks
     */
    DirectPuts(SdkAsyncHttpClient http, S3AsyncClient s3, String bucket, Refusals refusals) {
        this.http = http;
        this.refusals = refusals;
        String key = "any";
        anyObject = URI.create(
                s3.utilities().getUrl(url -> url.bucket(bucket).key(key)).toString());
        String path = anyObject.getRawPath();
        pathToKey = path.substring(0, path.length() - key.length());
        S3ServiceClientConfiguration client = s3.serviceClientConfiguration();
        region = client.region().id();
        credentials = client.credentialsProvider();
    }

    /** Whether the next object is to be tried here. */
    boolean isNext() {
        return leftToClient.get() == 0 || leftToClient.getAndUpdate(left -> Math.max(left - 1, 0)) == 0;
    }

    /** How an object fared here. */
    enum Outcome {
        STORED,
        /** Nobody knows whether it is stored. */
        FAILED,
        /** The store said that it is too much: whoever asks again waits first. */
        REFUSED
    }

    /**
     * Sends one object, once.
     *
     * @param request whose headers are sent, as the S3 client would
     * @return never fails
     */
    CompletableFuture<Outcome> put(ObjectKey key, PutObjectRequest request, SentBytes bytes) {
        SdkHttpRequest unsigned = unsigned(key, request);
        Answer answer = new Answer();
        return credentials
                .resolveIdentity()
                .thenCompose(identity -> http.execute(AsyncExecuteRequest.builder()
                        .request(signed(unsigned, identity))
                        .requestContentPublisher(bytes)
                        .responseHandler(answer)
                        .build()))
                .handle((done, failure) -> {
                    Outcome outcome = failure == null ? answer.outcome(refusals) : Outcome.FAILED;
                    if (outcome != Outcome.STORED) {
                        leftToClient.set(LEFT_AFTER_FAILURE);
                    }
                    return outcome;
                });
    }

    /** A key is a UUID: nothing in it needs escaping. */
    private SdkHttpRequest unsigned(ObjectKey key, PutObjectRequest request) {
        SdkHttpRequest.Builder http = SdkHttpRequest.builder()
                .method(SdkHttpMethod.PUT)
                .protocol(anyObject.getScheme())
                .host(anyObject.getHost())
                .port(anyObject.getPort() < 0 ? null : anyObject.getPort())
                .encodedPath(pathToKey + key);
        for (SdkField<?> header : HEADERS) {
            Object value = header.getValueOrDefault(request);
            if (value instanceof String || value instanceof Long) {
                http.putHeader(header.locationName(), value.toString());
            } else if (value != null && !(value instanceof SdkAutoConstructMap)) {
                throw new IllegalStateException("header " + header.locationName() + " is a "
                        + value.getClass().getSimpleName() + ", which isn't sent here as the S3 client would");
            }
        }
        return http.build();
    }

    /** The signer isn't shown the body: over plain http it would digest it, which the asynchronous S3 client doesn't let it do either. */
    private SdkHttpRequest signed(SdkHttpRequest request, AwsCredentialsIdentity identity) {
        return signer.sign(sign -> sign.identity(identity)
                        .request(request)
                        .putProperty(AwsV4HttpSigner.REGION_NAME, region)
                        .putProperty(AwsV4HttpSigner.SERVICE_SIGNING_NAME, SERVICE)
                        .putProperty(AwsV4HttpSigner.DOUBLE_URL_ENCODE, false)
                        .putProperty(AwsV4HttpSigner.NORMALIZE_PATH, false)
                        .putProperty(AwsV4HttpSigner.PAYLOAD_SIGNING_ENABLED, false))
                .request();
    }

    /** Its status; a body is read, so that the connection can be used again, and forgotten. */
    private static final class Answer implements SdkAsyncHttpResponseHandler, Subscriber<ByteBuffer> {

        private volatile SdkHttpResponse head = SdkHttpResponse.builder().build();

        Outcome outcome(Refusals refusals) {
            if (head.isSuccessful()) {
                return Outcome.STORED;
            }
            return refusals.look(head) ? Outcome.REFUSED : Outcome.FAILED;
        }

        @Override
        public void onHeaders(SdkHttpResponse headers) {
            head = headers;
        }

        @Override
        public void onStream(Publisher<ByteBuffer> body) {
            body.subscribe(this);
        }

        @Override
        public void onSubscribe(Subscription body) {
            body.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(ByteBuffer bytes) {}

        /** The call itself fails, too. */
        @Override
        public void onError(Throwable failure) {}

        @Override
        public void onComplete() {}
    }
}
