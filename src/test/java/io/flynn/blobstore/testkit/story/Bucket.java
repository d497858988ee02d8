package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.S3Object;

/** The bucket itself, by an S3 client of the checker's own. Thread-safe. */
public final class Bucket implements AutoCloseable {

    /**
     * Where the bucket is and what opens it.
     *
     * @param endpoint as the checker reaches it
     */
    public record Location(URI endpoint, String region, String name, String accessKeyId, String secretAccessKey) {

        @Override
        public String toString() {
            return name + " at " + endpoint;
        }
    }

    private final Location location;
    private final S3AsyncClient s3;

    public Bucket(Location location) {
        this.location = location;
        s3 = S3AsyncClient.builder()
                .endpointOverride(location.endpoint())
                .region(Region.of(location.region()))
                .forcePathStyle(true)
                .credentialsProvider(StaticCredentialsProvider.create(
                        AwsBasicCredentials.create(location.accessKeyId(), location.secretAccessKey())))
                .httpClientBuilder(NettyNioAsyncHttpClient.builder()
                        .connectionTimeout(Duration.ofSeconds(10))
                        .readTimeout(Duration.ofSeconds(60)))
                .build();
    }

    /** The object's bytes; empty when there is no such object. */
    public Optional<Fingerprint> read(String key) throws IOException {
        try (InputStream bytes = s3.getObject(
                        request -> request.bucket(location.name()).key(key),
                        AsyncResponseTransformer.toBlockingInputStream())
                .join()) {
            return Optional.of(Fingerprint.of(bytes));
        } catch (CompletionException e) {
            if (e.getCause() instanceof NoSuchKeyException) {
                return Optional.empty();
            }
            throw new IOException("object " + key, e.getCause());
        }
    }

    /** All of the object at once; empty when there is no such object. */
    public Optional<byte[]> bytes(String key) throws IOException {
        try {
            return Optional.of(s3.getObject(
                            request -> request.bucket(location.name()).key(key), AsyncResponseTransformer.toBytes())
                    .join()
                    .asByteArray());
        } catch (CompletionException e) {
            if (e.getCause() instanceof NoSuchKeyException) {
                return Optional.empty();
            }
            throw new IOException("object " + key, e.getCause());
        }
    }

    public void write(String key, byte[] bytes) throws IOException {
        try {
            s3.putObject(request -> request.bucket(location.name()).key(key), AsyncRequestBody.fromBytes(bytes))
                    .join();
        } catch (CompletionException e) {
            throw new IOException("object " + key, e.getCause());
        }
    }

    public void delete(String key) throws IOException {
        try {
            s3.deleteObject(request -> request.bucket(location.name()).key(key)).join();
        } catch (CompletionException e) {
            throw new IOException("object " + key, e.getCause());
        }
    }

    /** Every object's size by its key. */
    public Map<String, Long> sizes() {
        Map<String, Long> sizes = new TreeMap<>();
        s3.listObjectsV2Paginator(request -> request.bucket(location.name()))
                .contents()
                .subscribe((S3Object object) -> sizes.put(object.key(), object.size()))
                .join();
        return sizes;
    }

    @Override
    public void close() {
        s3.close();
    }
}
