package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.store.BucketOwnership;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.StoreProbe;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/**
 * Probes one bucket as the workload will use it: list, put, get, a presigned get, multipart, delete. Deletes before it puts, so
 * that a policy without the right to delete leaves nothing behind. Writes nothing in another installation's bucket, and marks one
 * that has passed. For one thread.
 */
public final class S3Probe implements StoreProbe {

    private static final Logger LOG = LoggerFactory.getLogger(S3Probe.class);

    private static final Duration TIDYING = Duration.ofSeconds(5);

    private static final String LOOK_AT_OWNER = "look whose bucket it is";

    private static final String MARK = "mark it as this installation's";

    private static final byte[] CONTENT = "blobstore probe; may be deleted\n".getBytes(StandardCharsets.UTF_8);

    private final BackendSettings backend;
    private final String bucket;
    private final String key = "blobstore-probe-" + UUID.randomUUID();
    private final Duration timeout;
    private final BucketOwnership ownership;
    private long end;
    private boolean hasPut;

    /**
     * @param timeout of all checks together, from the first on
     * @param ownership of the same bucket
     */
    public S3Probe(BackendSettings backend, Duration timeout, BucketOwnership ownership) {
        this.backend = backend;
        bucket = backend.bucket();
        this.timeout = timeout;
        this.ownership = ownership;
    }

    private record Check(String action, String tried, Runnable attempt) {}

    @Override
    public List<Finding> check() {
        end = System.nanoTime() + timeout.toNanos();
        try (S3AsyncClient s3 = S3Clients.open(backend, 4);
                S3Presigner presigner = S3Clients.presigner(backend)) {
            List<Check> checks = List.of(
                    new Check("s3:ListBucket", "list the bucket", () -> list(s3)),
                    new Check("s3:GetObject", LOOK_AT_OWNER, () -> await(ownership::check)),
                    new Check("s3:DeleteObject", "delete an object", () -> delete(s3)),
                    new Check("s3:PutObject", "store an object", () -> put(s3)),
                    new Check("s3:GetObject", "read it back", () -> get(s3)),
                    new Check(
                            "s3:GetObject", "read it by a presigned URL, as clients do", () -> getPresigned(presigner)),
                    new Check(
                            "s3:AbortMultipartUpload", "start, fill and abort a multipart upload", () -> multipart(s3)),
                    new Check("s3:DeleteObject", "delete it", () -> delete(s3)),
                    new Check("s3:PutObject", MARK, () -> await(ownership::claim)));
            List<Finding> findings = new ArrayList<>();
            for (Check check : checks) {
                if (check.tried().equals(MARK) && findings.stream().anyMatch(S3Probe::isFailure)) {
                    break;
                }
                Finding finding = make(check);
                findings.add(finding);
                if (isFailure(finding) && endsTheProbe(finding.reason(), check)) {
                    tidyUp(s3);
                    break;
                }
            }
            return findings;
        }
    }

    private static boolean isFailure(Finding finding) {
        return finding.level() == Level.FAILURE;
    }

    /**
     * What is wrong with the address, the key or the bucket is wrong for every check; what can't be put, can't be read; and where
     * it isn't known whose the bucket is, nothing is put.
     */
    private static boolean endsTheProbe(String reason, Check check) {
        return !reason.equals(Reasons.ACCESS_DENIED)
                || check.action().equals("s3:PutObject")
                || check.tried().equals("delete an object")
                || check.tried().equals(LOOK_AT_OWNER);
    }

    private Finding make(Check check) {
        try {
            check.attempt().run();
            return new Finding(Level.OK, check.action(), Reasons.DONE, check.tried());
        } catch (StorageFailure e) {
            return new Finding(Level.FAILURE, check.action(), e.reason(), describe(check, e));
        }
    }

    private String describe(Check check, StorageFailure e) {
        String what = String.valueOf(e.getMessage());
        return switch (e.reason()) {
            case Reasons.ACCESS_DENIED ->
                what + "; allow " + check.action() + " on bucket " + bucket
                        + " and its objects to the access key's user";
            case Reasons.CREDENTIALS_REFUSED ->
                what + "; check access key id and secret access key in the Secret of spec.credentials.secretRef";
            case Reasons.BUCKET_MISSING -> what + "; create bucket " + bucket + ", or correct spec.s3.bucket";
            case Reasons.WRONG_REGION -> what + "; correct spec.s3.region (\"" + backend.region() + "\")";
            case Reasons.ENDPOINT_UNREACHABLE ->
                what + "; check spec.s3.endpoint, DNS, and what the pod's network lets out";
            default -> what;
        };
    }

    /** For a probe that breaks off, as far as the store lets it: the next one has another key. */
    private void tidyUp(S3AsyncClient s3) {
        if (!hasPut) {
            return;
        }
        allowForTidying();
        try {
            delete(s3);
        } catch (StorageFailure e) {
            LOG.debug("object {} may be left in bucket {}", key, bucket, e);
        }
    }

    /** What was begun is undone even if the time of all checks is over. */
    private void allowForTidying() {
        end = Math.max(end, System.nanoTime() + TIDYING.toNanos());
    }

    private void list(S3AsyncClient s3) {
        backend.endpoint().ifPresent(this::reach);
        await("list", s3.listObjectsV2(r -> r.bucket(bucket).maxKeys(1)));
    }

    /** By ourselves: of a name that doesn't resolve, or a port where nobody is, the SDK sometimes says no more than "timeout". */
    private void reach(URI endpoint) {
        String host = backend.pathStyle() ? endpoint.getHost() : bucket + "." + endpoint.getHost();
        int defaultPort = "http".equals(endpoint.getScheme()) ? 80 : 443;
        int port = endpoint.getPort() < 0 ? defaultPort : endpoint.getPort();
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getByName(host), port), (int)
                    Math.max(1, remaining().toMillis()));
        } catch (IOException e) {
            throw S3Failures.translate("list in " + S3Clients.describe(backend), e);
        }
    }

    private void delete(S3AsyncClient s3) {
        await("delete object " + key, s3.deleteObject(r -> r.bucket(bucket).key(key)));
    }

    private void put(S3AsyncClient s3) {
        hasPut = true;
        await("store object " + key, s3.putObject(r -> r.bucket(bucket).key(key), AsyncRequestBody.fromBytes(CONTENT)));
    }

    private void get(S3AsyncClient s3) {
        requireContent(await(
                        "read object " + key,
                        s3.getObject(r -> r.bucket(bucket).key(key), AsyncResponseTransformer.toBytes()))
                .asByteArray());
    }

    private void getPresigned(S3Presigner presigner) {
        HttpRequest request;
        try (HttpClient client =
                HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build()) {
            request = HttpRequest.newBuilder(URI.create(presigner
                            .presignGetObject(p -> p.signatureDuration(Duration.ofMinutes(1))
                                    .getObjectRequest(r -> r.bucket(bucket).key(key)))
                            .url()
                            .toString()))
                    .timeout(remaining())
                    .build();
            HttpResponse<byte[]> response = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
            if (response.statusCode() != 200) {
                throw notReadByUrl(response.statusCode());
            }
            requireContent(response.body());
        } catch (IOException e) {
            throw S3Failures.translate("read object " + key + " by a presigned URL", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("nobody interrupts this thread", e);
        }
    }

    /** Nobody tries again here, as the SDK does: what passes by itself must not look like what a person has to mend. */
    private StorageFailure notReadByUrl(int status) {
        String message = "could not read object " + key + " by a presigned URL: HTTP status " + status;
        return switch (status) {
            case 403 -> new StorageFailure.Denied(Reasons.ACCESS_DENIED, message, null);
            case 429, 500, 502, 503, 504 -> new StorageFailure.Busy(Reasons.STORE_BUSY, message, null);
            default -> new StorageFailure.Denied(Reasons.STORE_FAULTY, message, null);
        };
    }

    private void multipart(S3AsyncClient s3) {
        String upload = await(
                        "start a multipart upload",
                        s3.createMultipartUpload(r -> r.bucket(bucket).key(key)))
                .uploadId();
        try {
            await(
                    "upload a part",
                    s3.uploadPart(
                            r -> r.bucket(bucket).key(key).uploadId(upload).partNumber(1),
                            AsyncRequestBody.fromBytes(CONTENT)));
            await(
                    "list the parts (s3:ListMultipartUploadParts)",
                    s3.listParts(r -> r.bucket(bucket).key(key).uploadId(upload)));
            await(
                    "list multipart uploads (s3:ListBucketMultipartUploads)",
                    s3.listMultipartUploads(r -> r.bucket(bucket).prefix(key)));
        } finally {
            allowForTidying();
            abort(s3, upload);
        }
    }

    private void abort(S3AsyncClient s3, String upload) {
        try {
            await(
                    "abort a multipart upload",
                    s3.abortMultipartUpload(r -> r.bucket(bucket).key(key).uploadId(upload)));
        } catch (StorageFailure.Missing e) {
            // The SDK asks again when an answer was lost: it is gone, which was to be shown.
            if (!e.reason().equals(Reasons.OBJECT_MISSING)) {
                throw e;
            }
        }
    }

    private void requireContent(byte[] read) {
        if (!Arrays.equals(read, CONTENT)) {
            throw new StorageFailure.Corrupt(
                    Reasons.STORE_FAULTY, "object " + key + " reads back other bytes than were stored", null);
        }
    }

    private Duration remaining() {
        return Duration.ofNanos(Math.max(end - System.nanoTime(), 1));
    }

    private void await(Runnable look) {
        await(
                "look whose the bucket is",
                CompletableFuture.runAsync(look, task -> Thread.ofVirtual().start(task)));
    }

    private <T> T await(String tried, CompletableFuture<T> call) {
        String at = tried + " in " + S3Clients.describe(backend);
        try {
            return call.get(remaining().toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            call.cancel(true);
            throw S3Failures.translate(at, e);
        } catch (java.util.concurrent.ExecutionException e) {
            throw S3Failures.translate(at, e.getCause() == null ? e : e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("nobody interrupts this thread", e);
        }
    }
}
