package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.decide.BackendSettings;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.retry.AwsRetryStrategy;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.checksums.ResponseChecksumValidation;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.http.async.SdkAsyncHttpClient;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.http.nio.netty.SdkEventLoopGroup;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3AsyncClientBuilder;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/** Opens the SDK's clients for one backend. Every wait is bounded by progress, not by the size of a transfer. */
public final class S3Clients {

    private static final Duration CONNECT = Duration.ofSeconds(5);

    /** No byte for this long ends an attempt; a slow transfer that goes on doesn't end. */
    private static final Duration STALL = Duration.ofSeconds(30);

    /** The SDK was seen to lose the answer to a connection that is refused; the attempt then ends with this. */
    private static final Duration ACQUIRE = Duration.ofSeconds(5);

    private static final int ATTEMPTS = 4;

    /** What the old program and MinIO take where no region is given. */
    private static final String REGION_IF_NONE = "us-east-1";

    private S3Clients() {}

    /** One for the whole process: its threads are daemons, and closing a loop takes the SDK two seconds. */
    private static final class Loop {
        static final SdkEventLoopGroup SHARED = SdkEventLoopGroup.builder().build();
    }

    /**
     * An asynchronous client: over plain http only these send a body unsigned instead of digesting it once more.
     *
     * @param connections at most this many at once; further calls wait five seconds for one
     */
    public static S3AsyncClient open(BackendSettings backend, int connections) {
        return builder(backend, List.of())
                .httpClientBuilder(httpBuilder(connections))
                .build();
    }

    /**
     * @param http the caller's to close, after the client
     * @param interceptors see every attempt
     */
    static S3AsyncClient open(
            BackendSettings backend, SdkAsyncHttpClient http, List<ExecutionInterceptor> interceptors) {
        return builder(backend, interceptors).httpClient(http).build();
    }

    /** What an S3 client sends by, for who sends by it, too. */
    static SdkAsyncHttpClient http(int connections) {
        return httpBuilder(connections).build();
    }

    private static NettyNioAsyncHttpClient.Builder httpBuilder(int connections) {
        return NettyNioAsyncHttpClient.builder()
                .eventLoopGroup(Loop.SHARED)
                .maxConcurrency(connections)
                .connectionTimeout(CONNECT)
                .connectionAcquisitionTimeout(ACQUIRE)
                .readTimeout(STALL)
                .writeTimeout(STALL)
                .tcpKeepAlive(true);
    }

    private static S3AsyncClientBuilder builder(BackendSettings backend, List<ExecutionInterceptor> interceptors) {
        S3AsyncClientBuilder builder = S3AsyncClient.builder()
                .region(region(backend))
                .credentialsProvider(credentials(backend))
                .forcePathStyle(backend.pathStyle())
                // Today's default trailers are refused by older stores; which checksums a store checks is asked
                // (StoreProofProbe).
                .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
                .responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED)
                .overrideConfiguration(c -> c.executionInterceptors(interceptors)
                        .retryStrategy(AwsRetryStrategy.standardRetryStrategy().toBuilder()
                                .maxAttempts(ATTEMPTS)
                                .build()));
        backend.endpoint().ifPresent(builder::endpointOverride);
        return builder;
    }

    /** Signs URLs; opens no connection, but for the key of an instance's role. */
    public static S3Presigner presigner(BackendSettings backend) {
        S3Presigner.Builder builder = S3Presigner.builder()
                .region(region(backend))
                .credentialsProvider(credentials(backend))
                .serviceConfiguration(S3Configuration.builder()
                        .pathStyleAccessEnabled(backend.pathStyle())
                        .build());
        backend.endpoint().ifPresent(builder::endpointOverride);
        return builder.build();
    }

    /** What people know the backend's store by, for messages. */
    public static String describe(BackendSettings backend) {
        return "bucket " + backend.bucket() + " at "
                + backend.endpoint().map(URI::toString).orElse("AWS " + backend.region());
    }

    private static Region region(BackendSettings backend) {
        return Region.of(backend.region().isEmpty() ? REGION_IF_NONE : backend.region());
    }

    private static AwsCredentialsProvider credentials(BackendSettings backend) {
        return backend.ec2Role() ? InstanceRole.OF_THIS_PROCESS : key(backend);
    }

    private static StaticCredentialsProvider key(BackendSettings backend) {
        return StaticCredentialsProvider.create(AwsBasicCredentials.create(
                backend.accessKeyId().reveal(), backend.secretAccessKey().reveal()));
    }
}
