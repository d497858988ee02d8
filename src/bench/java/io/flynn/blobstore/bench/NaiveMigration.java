package io.flynn.blobstore.bench;

import java.io.InputStream;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.postgresql.PGConnection;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.apache5.Apache5HttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;

/**
 * The baseline: what one writes first, and kept as it is. So many threads, each with a connection; each blob by itself: its large
 * object's stream through a digest into a synchronous PUT, the digest compared, one UPDATE. {@code NaiveMigration PLACE THREADS}.
 */
public final class NaiveMigration {

    @SuppressWarnings("ArrayRecordComponent") // Nobody compares blobs.
    private record Blob(UUID id, long oid, long size, byte[] sha512) {}

    private NaiveMigration() {}

    public static void main(String[] arguments) throws Exception {
        Place place = Place.of(arguments);
        int threads = Integer.parseInt(arguments[Place.ARGUMENTS]);
        S3Client s3 = S3Client.builder()
                .endpointOverride(place.store())
                .region(Region.US_EAST_1)
                .forcePathStyle(true)
                .credentialsProvider(StaticCredentialsProvider.create(
                        AwsBasicCredentials.create(place.accessKeyId(), place.secretAccessKey())))
                .httpClientBuilder(Apache5HttpClient.builder().maxConnections(threads))
                .build();
        Turns.take(() -> move(place, s3, threads));
    }

    private static void move(Place place, S3Client s3, int threads) throws Exception {
        Queue<Blob> blobs = new ConcurrentLinkedQueue<>();
        try (Connection connection = place.connect();
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(
                        "SELECT file_id, file_oid, size, sha512 FROM files WHERE backend = 'postgres' AND deleted_at IS NULL")) {
            while (rows.next()) {
                blobs.add(new Blob(rows.getObject(1, UUID.class), rows.getLong(2), rows.getLong(3), rows.getBytes(4)));
            }
        }
        List<Future<?>> workers = new ArrayList<>();
        try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
            for (int number = 0; number < threads; number++) {
                workers.add(executor.submit(() -> {
                    try (Connection connection = place.connect()) {
                        connection.setAutoCommit(false);
                        for (Blob blob = blobs.poll(); blob != null; blob = blobs.poll()) {
                            move(blob, connection, s3, place.bucket());
                        }
                    }
                    return null;
                }));
            }
        }
        for (Future<?> worker : workers) {
            worker.get();
        }
    }

    private static void move(Blob blob, Connection connection, S3Client s3, String bucket) throws Exception {
        UUID key = UUID.randomUUID();
        MessageDigest sha512 = MessageDigest.getInstance("SHA-512");
        LargeObjectManager manager = connection.unwrap(PGConnection.class).getLargeObjectAPI();
        try (LargeObject object = manager.open(blob.oid(), LargeObjectManager.READ);
                InputStream bytes = new DigestInputStream(object.getInputStream(), sha512)) {
            s3.putObject(
                    r -> r.bucket(bucket).key(key.toString()).contentLength(blob.size()),
                    RequestBody.fromInputStream(bytes, blob.size()));
        }
        if (!MessageDigest.isEqual(sha512.digest(), blob.sha512())) {
            throw new IllegalStateException("blob " + blob.id() + " has another digest");
        }
        try (PreparedStatement update = connection.prepareStatement(
                "UPDATE files SET backend = 's3bench', external_id = ? WHERE file_id = ?")) {
            update.setObject(1, key);
            update.setObject(2, blob.id());
            update.executeUpdate();
        }
        connection.commit();
    }
}
