package io.flynn.blobstore.e2e;

import io.flynn.blobstore.testkit.story.Bucket;
import java.net.URI;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletionException;
import java.util.stream.Collectors;
import org.awaitility.Awaitility;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.BucketVersioningStatus;

/**
 * Buckets of a MinIO that keep every version: what was stored twice is seen at the store itself, whoever sent it and whatever was said about
 * it.
 */
final class Minio {

    static final String USER = "e2e-access-key";
    static final String PASSWORD = "e2e-secret-key";
    private static final String REGION = "us-east-1";

    private final URI endpoint;

    Minio(URI endpoint) {
        this.endpoint = endpoint;
    }

    Bucket.Location create(String name) {
        try (S3AsyncClient s3 = client(endpoint)) {
            // The server may have been started a moment ago.
            Awaitility.await().atMost(Duration.ofSeconds(30)).ignoreExceptions().until(() -> {
                s3.createBucket(request -> request.bucket(name)).join();
                return true;
            });
            s3.putBucketVersioning(request -> request.bucket(name)
                            .versioningConfiguration(versioning -> versioning.status(BucketVersioningStatus.ENABLED)))
                    .join();
        }
        return new Bucket.Location(endpoint, REGION, name, USER, PASSWORD);
    }

    /** The keys whose object was stored more often than once. */
    static Set<String> storedAgain(Bucket.Location bucket) {
        Map<String, Integer> stores = new TreeMap<>();
        try (S3AsyncClient s3 = client(bucket.endpoint())) {
            s3.listObjectVersionsPaginator(request -> request.bucket(bucket.name()))
                    .versions()
                    .subscribe(version -> stores.merge(version.key(), 1, Integer::sum))
                    .join();
        } catch (CompletionException e) {
            throw new IllegalStateException("versions in " + bucket, e);
        }
        return stores.entrySet().stream()
                .filter(key -> key.getValue() > 1)
                .map(Map.Entry::getKey)
                .collect(Collectors.toSet());
    }

    private static S3AsyncClient client(URI endpoint) {
        return S3AsyncClient.builder()
                .endpointOverride(endpoint)
                .region(Region.of(REGION))
                .forcePathStyle(true)
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create(USER, PASSWORD)))
                .build();
    }
}
