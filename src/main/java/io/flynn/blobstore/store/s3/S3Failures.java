package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.io.IOException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.exception.SdkServiceException;
import software.amazon.awssdk.services.s3.model.S3Exception;

/**
 * Tells what a failed call means, by status and error code (Amazon S3 API Reference, "Error responses"). Messages carry the
 * store's code and status, never its text, which can repeat what was signed.
 */
public final class S3Failures {

    private S3Failures() {}

    /**
     * Never throws.
     *
     * @param tried what was tried, on what, in words that complete "could not …"
     * @param thrown what the SDK threw; a {@link StorageFailure} among its causes is returned as it is
     */
    public static StorageFailure translate(String tried, Throwable thrown) {
        for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
            if (cause instanceof StorageFailure ours) {
                return ours;
            }
        }
        Throwable failure =
                thrown instanceof CompletionException && thrown.getCause() != null ? thrown.getCause() : thrown;
        if (failure instanceof S3Exception answer) {
            return answered(tried, answer);
        }
        if (failure instanceof SdkServiceException answer) {
            return new StorageFailure.Busy(
                    Reasons.STORE_FAULTY, "could not " + tried + ": HTTP status " + answer.statusCode(), failure);
        }
        Throwable root = rootOf(failure);
        if (failure instanceof SdkException || root instanceof IOException || root instanceof TimeoutException) {
            return new StorageFailure.Unreachable(
                    Reasons.ENDPOINT_UNREACHABLE, "could not " + tried + ": " + describe(root), failure);
        }
        throw new IllegalStateException("could not " + tried, failure);
    }

    private static StorageFailure answered(String tried, S3Exception answer) {
        int status = answer.statusCode();
        AwsErrorDetails details = answer.awsErrorDetails();
        String code = details == null || details.errorCode() == null ? "" : details.errorCode();
        String message = "could not " + tried + ": HTTP status " + status + (code.isEmpty() ? "" : " " + code);
        return switch (code) {
            case "InvalidAccessKeyId",
                    "SignatureDoesNotMatch",
                    "AuthorizationQueryParametersError",
                    "InvalidSecurity" -> new StorageFailure.Denied(Reasons.CREDENTIALS_REFUSED, message, answer);
            case "RequestTimeTooSkewed" ->
                new StorageFailure.Denied(
                        Reasons.CREDENTIALS_REFUSED, message + "; the clocks differ, set the node's right", answer);
            // A new pod reads a new key: worth another try, unlike a key that is wrong.
            case "ExpiredToken", "TokenRefreshRequired" ->
                new StorageFailure.Busy(Reasons.CREDENTIALS_REFUSED, message, answer);
            case "NoSuchBucket" -> new StorageFailure.Missing(Reasons.BUCKET_MISSING, message, answer);
            case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException" ->
                new StorageFailure.Denied(Reasons.WRONG_REGION, message, answer);
            case "BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "InvalidDigest" ->
                new StorageFailure.Corrupt(Reasons.TARGET_DIFFERS, message, answer);
            case "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "EntityTooLarge" ->
                new StorageFailure.Full(Reasons.STORE_FULL, message, answer);
            default -> byStatus(status, message, answer);
        };
    }

    private static StorageFailure byStatus(int status, String message, S3Exception answer) {
        return switch (status) {
            case 301, 307, 308 -> new StorageFailure.Denied(Reasons.WRONG_REGION, message, answer);
            case 401 -> new StorageFailure.Denied(Reasons.CREDENTIALS_REFUSED, message, answer);
            case 403 -> new StorageFailure.Denied(Reasons.ACCESS_DENIED, message, answer);
            case 404 -> new StorageFailure.Missing(Reasons.OBJECT_MISSING, message, answer);
            case 408 -> new StorageFailure.Unreachable(Reasons.ENDPOINT_UNREACHABLE, message, answer);
            case 507 -> new StorageFailure.Full(Reasons.STORE_FULL, message, answer);
            case 409, 425, 429, 500, 502, 503, 504 -> new StorageFailure.Busy(Reasons.STORE_BUSY, message, answer);
            default -> new StorageFailure.Denied(Reasons.STORE_FAULTY, message, answer);
        };
    }

    private static Throwable rootOf(Throwable failure) {
        Throwable root = failure;
        for (int depth = 0; root.getCause() != null && depth < 20; depth++) {
            root = root.getCause();
        }
        return root;
    }

    private static String describe(@Nullable Throwable root) {
        if (root == null) {
            return "no answer";
        }
        return switch (root) {
            case java.net.UnknownHostException e -> "the host name does not resolve";
            case java.net.ConnectException e -> "nobody answers at the address";
            case javax.net.ssl.SSLException e -> "no TLS connection: " + e.getMessage();
            case IOException e -> "the connection broke off";
            default -> "no answer in time";
        };
    }
}
