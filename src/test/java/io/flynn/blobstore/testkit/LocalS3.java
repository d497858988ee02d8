package io.flynn.blobstore.testkit;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.Secret;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.BackendSettings;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.gaul.s3proxy.S3Proxy;
import org.gaul.s3proxy.auth.AuthenticationType;
import org.gaul.s3proxy.blobstore.BlobStore;
import org.gaul.s3proxy.blobstore.ForwardingBlobStore;
import org.gaul.s3proxy.blobstore.domain.MultipartUpload;
import org.gaul.s3proxy.nio2blob.TransientNio2BlobStore;
import software.amazon.awssdk.core.ResponseInputStream;
import software.amazon.awssdk.services.s3.model.CompleteMultipartUploadRequest;
import software.amazon.awssdk.services.s3.model.CompleteMultipartUploadResponse;
import software.amazon.awssdk.services.s3.model.CopyObjectRequest;
import software.amazon.awssdk.services.s3.model.CopyObjectResponse;
import software.amazon.awssdk.services.s3.model.CreateMultipartUploadRequest;
import software.amazon.awssdk.services.s3.model.DeleteObjectRequest;
import software.amazon.awssdk.services.s3.model.DeleteObjectResponse;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.HeadObjectRequest;
import software.amazon.awssdk.services.s3.model.HeadObjectResponse;
import software.amazon.awssdk.services.s3.model.ListObjectsV2Request;
import software.amazon.awssdk.services.s3.model.ListObjectsV2Response;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.PutObjectResponse;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.services.s3.model.UploadPartCopyRequest;
import software.amazon.awssdk.services.s3.model.UploadPartCopyResponse;
import software.amazon.awssdk.services.s3.model.UploadPartRequest;
import software.amazon.awssdk.services.s3.model.UploadPartResponse;

/**
 * An S3 store in this process, its objects in memory, which counts what it is asked: S3Proxy, checking signatures and
 * checksums as S3 does. What the methods here do is not counted.
 */
public final class LocalS3 implements AutoCloseable {

    public static final String ACCESS_KEY_ID = "AKIDLOCALLOCALLOCAL1";
    public static final String SECRET_ACCESS_KEY = "local+secret/access=key";
    public static final String REGION = "eu-central-1";

    /** An operation on an object; a request that is refused for its signature never becomes one. */
    public enum Operation {
        PUT,
        GET,
        HEAD,
        DELETE,
        COPY,
        CREATE_MULTIPART,
        UPLOAD_PART,
        COPY_PART,
        COMPLETE_MULTIPART,
        ABORT_MULTIPART
    }

    /** How the keys begin of what S3Proxy notes, among the objects, about the uploads of parts that it has begun. */
    private static final String NOTE = ".s3proxy-mpu-stub-";

    private final TransientNio2BlobStore objects = new TransientNio2BlobStore();
    private final Map<Operation, AtomicLong> counts = new EnumMap<>(Operation.class);
    private final Map<Operation, AtomicInteger> failures = new EnumMap<>(Operation.class);
    private final Map<String, AtomicLong> putsByKey = new ConcurrentHashMap<>();
    private final S3Proxy proxy;
    private volatile Duration putDelay = Duration.ZERO;
    private final AtomicInteger answersToLose = new AtomicInteger();
    private final AtomicInteger completionsToRefuse = new AtomicInteger();
    private volatile boolean refusesChecksumsOfParts;
    private volatile Set<Operation> denied = Set.of();
    private volatile Set<String> held = Set.of();
    private volatile Set<Operation> broken = Set.of();

    /** What is to go wrong with the beginnings of uploads that S3Proxy has not noted yet, by the keys of the notes. */
    private final Map<String, StoreFault> begun = new ConcurrentHashMap<>();

    private long exchanges;
    private long failing;
    private StoreFault fault = StoreFault.NONE;

    private LocalS3(boolean takesUnknownHeaders) {
        for (Operation operation : Operation.values()) {
            counts.put(operation, new AtomicLong());
            failures.put(operation, new AtomicInteger());
        }
        proxy = S3Proxy.builder()
                .blobStore(new Counting(objects))
                .endpoint(URI.create("http://127.0.0.1:0"))
                .awsAuthentication(AuthenticationType.AWS_V2_OR_V4, ACCESS_KEY_ID, SECRET_ACCESS_KEY)
                .ignoreUnknownHeaders(takesUnknownHeaders)
                .stopTimeout(1_000)
                .build();
    }

    /** Ready for requests when it returns. */
    public static LocalS3 start() {
        return start(false);
    }

    /** The same for keys that come with a session's token, whose header S3Proxy doesn't know, and verifies with the rest. */
    public static LocalS3 startForSessions() {
        return start(true);
    }

    private static LocalS3 start(boolean takesUnknownHeaders) {
        LocalS3 store = new LocalS3(takesUnknownHeaders);
        try {
            store.proxy.start();
        } catch (Exception e) {
            throw new IllegalStateException("S3Proxy did not start", e);
        }
        return store;
    }

    public URI endpoint() {
        return URI.create("http://127.0.0.1:" + proxy.getPort());
    }

    public void createBucket(String bucket) {
        objects.createContainer(bucket);
    }

    /** How to reach {@code bucket} here. */
    public BackendSettings backend(BackendName name, String bucket) {
        return backend(name, bucket, endpoint());
    }

    /** How to reach {@code bucket} by another way. */
    public BackendSettings backend(BackendName name, String bucket, URI by) {
        return new BackendSettings(
                name,
                BackendSettings.Kind.S3,
                REGION,
                bucket,
                Optional.of(by),
                true,
                new Secret(ACCESS_KEY_ID),
                new Secret(SECRET_ACCESS_KEY));
    }

    /** The variables by which a process of ours reaches {@code bucket} here. */
    public Map<String, String> environment(BackendName name, String bucket) {
        return environment(name, bucket, endpoint());
    }

    /** Those by which it is reached by another way. */
    public Map<String, String> environment(BackendName name, String bucket, URI by) {
        BackendEnvironment.Encoded encoded = BackendEnvironment.encode(backend(name, bucket, by));
        Map<String, String> variables = new LinkedHashMap<>();
        variables.put(encoded.variable(), encoded.settings());
        encoded.secrets().forEach((variable, secret) -> variables.put(variable, secret.reveal()));
        return variables;
    }

    /** How often it was asked to do this since it started. */
    public long count(Operation operation) {
        return counts.get(operation).get();
    }

    /** The keys whose object was stored more often than once since it started, whole or by parts. */
    public List<String> keysPutTwice() {
        return putsByKey.entrySet().stream()
                .filter(puts -> puts.getValue().get() > 1)
                .map(Map.Entry::getKey)
                .sorted()
                .toList();
    }

    /** Every object takes so much longer to be stored from now on: a store across a network. */
    public void delayPuts(Duration delay) {
        putDelay = delay;
    }

    /** The next multipart upload is completed, and whoever asked for it isn't told. */
    public void loseNextCompletion() {
        answersToLose.set(1);
    }

    /** The next multipart upload is completed, found to have another checksum, and left there. */
    public void refuseNextCompletion() {
        completionsToRefuse.set(1);
    }

    /** From now on these operations, and no others, are denied, as by a policy. */
    public void deny(Operation... operations) {
        denied = Set.of(operations);
    }

    /** The next so many times it is asked to do this, it says that it is too busy. */
    public void failNext(Operation operation, int times) {
        failures.get(operation).set(times);
    }

    /** From now on it doesn't know checksums of objects that are made of parts. */
    public void refuseChecksumsOfParts(boolean isRefusing) {
        refusesChecksumsOfParts = isRefusing;
    }

    /** From now on these objects can't be deleted, as those that are under a legal hold. */
    public void hold(Collection<String> keys) {
        held = Set.copyOf(keys);
    }

    /** From now on these operations, and no others, fail in the store itself. */
    public void breakOff(Operation... operations) {
        broken = Set.of(operations);
    }

    /**
     * The n-th exchange about an object, or its bucket, from now on is no good one; 0 = all are. Only what S3Proxy notes about an
     * upload that it has begun is always stored, also where the answer to that is lost: one without its note it lists, but lets
     * nobody abort, as no store does.
     */
    public synchronized void fail(long n, StoreFault with) {
        exchanges = 0;
        failing = n;
        fault = with;
    }

    /** How many there were since it was last told which one fails. */
    public synchronized long exchanges() {
        return exchanges;
    }

    private synchronized StoreFault next() {
        exchanges++;
        return exchanges == failing ? fault : StoreFault.NONE;
    }

    /** Every object's size by its key. */
    public Map<String, Long> sizes(String bucket) {
        Map<String, Long> sizes = new TreeMap<>();
        ListObjectsV2Request.Builder request = ListObjectsV2Request.builder().bucket(bucket);
        ListObjectsV2Response page;
        do {
            page = objects.list(request.build());
            for (S3Object object : page.contents()) {
                // It doesn't always clear them away.
                if (!object.key().startsWith(NOTE)) {
                    sizes.put(object.key(), object.size());
                }
            }
            request.continuationToken(page.nextContinuationToken());
        } while (page.nextContinuationToken() != null);
        return sizes;
    }

    public byte[] bytes(String bucket, String key) {
        try (InputStream object = objects.getBlob(bucket, key)) {
            return object.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The content type that the object is served with. */
    public String type(String bucket, String key) {
        try (ResponseInputStream<GetObjectResponse> object = objects.getBlob(bucket, key)) {
            return object.response().contentType();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Replaces what lies there, or makes it: damage on purpose. */
    public void overwrite(String bucket, String key, byte[] bytes) {
        try (InputStream in = new ByteArrayInputStream(bytes)) {
            objects.putBlob(
                    PutObjectRequest.builder()
                            .bucket(bucket)
                            .key(key)
                            .contentLength((long) bytes.length)
                            .build(),
                    in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Deletes an object behind everybody's back. */
    public void remove(String bucket, String key) {
        objects.removeBlob(bucket, key);
    }

    /** Multipart uploads that were neither completed nor aborted. */
    public List<String> unfinishedUploads(String bucket) {
        return objects.listMultipartUploads(bucket).stream()
                .map(software.amazon.awssdk.services.s3.model.MultipartUpload::key)
                .toList();
    }

    @Override
    public void close() {
        try {
            proxy.stop();
        } catch (TimeoutException stillAsked) {
            // It waits for requests that somebody does not take the answer to, and then ends them.
        } catch (Exception e) {
            throw new IllegalStateException("S3Proxy did not stop", e);
        }
    }

    private final class Counting extends ForwardingBlobStore {

        Counting(BlobStore counted) {
            super(counted);
        }

        private void count(Operation operation) {
            counts.get(operation).incrementAndGet();
            if (denied.contains(operation)) {
                throw StoreFault.failure(403, "AccessDenied");
            }
            if (failures.get(operation).getAndUpdate(left -> Math.max(left - 1, 0)) > 0) {
                throw StoreFault.failure(503, "SlowDown");
            }
            if (broken.contains(operation)) {
                throw StoreFault.failure(501, "NotImplemented");
            }
        }

        private void stored(String key) {
            putsByKey.computeIfAbsent(key, first -> new AtomicLong()).incrementAndGet();
            LockSupport.parkNanos(putDelay.toNanos());
        }

        @Override
        public PutObjectResponse putBlob(PutObjectRequest request, InputStream body) {
            count(Operation.PUT);
            stored(request.key());
            StoreFault with = next();
            StoreFault ofBeginning = begun.remove(request.key());
            if (ofBeginning != null) {
                PutObjectResponse noted = super.putBlob(request, body);
                ofBeginning.after();
                return noted;
            }
            with.before();
            PutObjectResponse response = super.putBlob(request, with.stored(body));
            with.after();
            return response;
        }

        @Override
        public ResponseInputStream<GetObjectResponse> getBlob(GetObjectRequest request) {
            count(Operation.GET);
            StoreFault with = next();
            with.before();
            ResponseInputStream<GetObjectResponse> response = super.getBlob(request);
            with.after();
            return with == StoreFault.NONE
                    ? response
                    : new ResponseInputStream<>(response.response(), with.answered(response));
        }

        @Override
        public HeadObjectResponse blobMetadata(HeadObjectRequest request) {
            count(Operation.HEAD);
            StoreFault with = next();
            with.before();
            HeadObjectResponse response = super.blobMetadata(request);
            with.after();
            return response;
        }

        @Override
        public ListObjectsV2Response list(ListObjectsV2Request request) {
            StoreFault with = next();
            with.before();
            ListObjectsV2Response response = super.list(request);
            with.after();
            return response;
        }

        @Override
        public DeleteObjectResponse removeBlob(DeleteObjectRequest request) {
            count(Operation.DELETE);
            if (held.contains(request.key())) {
                throw StoreFault.failure(403, "AccessDenied");
            }
            StoreFault with = next();
            with.before();
            DeleteObjectResponse response = super.removeBlob(request);
            with.after();
            return response;
        }

        @Override
        public MultipartUpload initiateMultipartUpload(CreateMultipartUploadRequest request) {
            count(Operation.CREATE_MULTIPART);
            if (refusesChecksumsOfParts && request.checksumAlgorithm() != null) {
                throw StoreFault.failure(501, "NotImplemented");
            }
            StoreFault with = next();
            with.before();
            MultipartUpload upload = super.initiateMultipartUpload(request);
            begun.put(NOTE + upload.id(), with);
            return upload;
        }

        @Override
        public UploadPartResponse uploadMultipartPart(
                MultipartUpload upload, UploadPartRequest request, InputStream body) {
            count(Operation.UPLOAD_PART);
            StoreFault with = next();
            with.before();
            UploadPartResponse response = super.uploadMultipartPart(upload, request, with.stored(body));
            with.after();
            return response;
        }

        @Override
        public CopyObjectResponse copyBlob(CopyObjectRequest request) {
            count(Operation.COPY);
            stored(request.destinationKey());
            return super.copyBlob(request);
        }

        /** S3Proxy reads the source and stores a part; then the two could not be told from a client's. */
        @Override
        public boolean supportsCopyMultipartPart() {
            return true;
        }

        @Override
        public UploadPartCopyResponse copyMultipartPart(MultipartUpload upload, UploadPartCopyRequest request) {
            count(Operation.COPY_PART);
            GetObjectRequest source = GetObjectRequest.builder()
                    .bucket(request.sourceBucket())
                    .key(request.sourceKey())
                    .range(request.copySourceRange())
                    .build();
            try (ResponseInputStream<GetObjectResponse> bytes = super.getBlob(source)) {
                UploadPartRequest part = UploadPartRequest.builder()
                        .partNumber(request.partNumber())
                        .contentLength(bytes.response().contentLength())
                        .build();
                String etag = super.uploadMultipartPart(upload, part, bytes).eTag();
                return UploadPartCopyResponse.builder()
                        .copyPartResult(r -> r.eTag(etag).lastModified(Instant.EPOCH))
                        .build();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        @Override
        public CompleteMultipartUploadResponse completeMultipartUpload(
                MultipartUpload upload, CompleteMultipartUploadRequest request) {
            count(Operation.COMPLETE_MULTIPART);
            stored(request.key());
            StoreFault with = next();
            with.before();
            CompleteMultipartUploadResponse response = super.completeMultipartUpload(upload, request);
            with.after();
            if (completionsToRefuse.getAndUpdate(left -> Math.max(left - 1, 0)) > 0) {
                throw StoreFault.failure(400, "BadDigest");
            }
            if (answersToLose.getAndUpdate(left -> Math.max(left - 1, 0)) > 0) {
                throw new IllegalStateException("the answer is lost");
            }
            return response;
        }

        @Override
        public void abortMultipartUpload(MultipartUpload upload) {
            count(Operation.ABORT_MULTIPART);
            StoreFault with = next();
            with.before();
            super.abortMultipartUpload(upload);
            with.after();
        }
    }
}
