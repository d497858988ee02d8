package io.flynn.blobstore.store.s3;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.io.IOException;
import java.net.ConnectException;
import java.net.UnknownHostException;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.services.s3.model.S3Exception;

class S3FailuresTest {

    record Case(String given, Throwable thrown, Class<? extends StorageFailure> kind, String reason) {
        @Override
        public String toString() {
            return given;
        }
    }

    static final List<Case> CASES = List.of(
            answer(403, "SignatureDoesNotMatch", StorageFailure.Denied.class, Reasons.CREDENTIALS_REFUSED),
            answer(403, "InvalidAccessKeyId", StorageFailure.Denied.class, Reasons.CREDENTIALS_REFUSED),
            answer(400, "ExpiredToken", StorageFailure.Busy.class, Reasons.CREDENTIALS_REFUSED),
            answer(403, "RequestTimeTooSkewed", StorageFailure.Denied.class, Reasons.CREDENTIALS_REFUSED),
            answer(403, "AccessDenied", StorageFailure.Denied.class, Reasons.ACCESS_DENIED),
            answer(403, null, StorageFailure.Denied.class, Reasons.ACCESS_DENIED),
            answer(404, "NoSuchBucket", StorageFailure.Missing.class, Reasons.BUCKET_MISSING),
            answer(404, "NoSuchKey", StorageFailure.Missing.class, Reasons.OBJECT_MISSING),
            answer(404, null, StorageFailure.Missing.class, Reasons.OBJECT_MISSING),
            answer(301, "PermanentRedirect", StorageFailure.Denied.class, Reasons.WRONG_REGION),
            answer(400, "AuthorizationHeaderMalformed", StorageFailure.Denied.class, Reasons.WRONG_REGION),
            answer(400, "BadDigest", StorageFailure.Corrupt.class, Reasons.TARGET_DIFFERS),
            answer(507, "XMinioStorageFull", StorageFailure.Full.class, Reasons.STORE_FULL),
            answer(503, "SlowDown", StorageFailure.Busy.class, Reasons.STORE_BUSY),
            answer(500, "InternalError", StorageFailure.Busy.class, Reasons.STORE_BUSY),
            answer(429, null, StorageFailure.Busy.class, Reasons.STORE_BUSY),
            answer(501, "NotImplemented", StorageFailure.Denied.class, Reasons.STORE_FAULTY),
            client(new UnknownHostException("nowhere.invalid")),
            client(new ConnectException("Connection refused")),
            client(new IOException("Connection reset by peer")),
            new Case(
                    "time-out",
                    new TimeoutException(),
                    StorageFailure.Unreachable.class,
                    Reasons.ENDPOINT_UNREACHABLE));

    private static Case answer(
            int status,
            @org.jspecify.annotations.Nullable String code,
            Class<? extends StorageFailure> kind,
            String reason) {
        AwsErrorDetails details = code == null
                ? null
                : AwsErrorDetails.builder()
                        .errorCode(code)
                        .errorMessage("signed with CANARY")
                        .build();
        return new Case(
                status + " " + code,
                new CompletionException(S3Exception.builder()
                        .statusCode(status)
                        .awsErrorDetails(details)
                        .message("CANARY")
                        .build()),
                kind,
                reason);
    }

    private static Case client(IOException cause) {
        return new Case(
                cause.toString(),
                SdkClientException.create("Unable to execute: https://CANARY@store?X-Amz-Signature=CANARY", cause),
                StorageFailure.Unreachable.class,
                Reasons.ENDPOINT_UNREACHABLE);
    }

    @ParameterizedTest
    @FieldSource("CASES")
    void whatTheSdkThrowsIsToldByKindAndReason(Case c) {
        StorageFailure failure = S3Failures.translate("store object 1", c.thrown());

        assertThat(failure).isInstanceOf(c.kind());
        assertThat(failure.reason()).isEqualTo(c.reason());
        assertThat(failure).hasMessageStartingWith("could not store object 1: ");
        assertThat(failure.getMessage()).doesNotContain("CANARY");
    }

    @Test
    void aFailureOfTheBytesSourceIsNotTheStores() {
        StorageFailure ours = new StorageFailure.Corrupt(Reasons.DIGEST_DIFFERS, "rotten", null);

        assertThat(S3Failures.translate("store", SdkClientException.create("x", ours)))
                .isSameAs(ours);
    }

    @Test
    void aBugOfOursIsNotTakenForTheWorlds() {
        assertThatThrownBy(() -> S3Failures.translate("store", new NullPointerException()))
                .isInstanceOf(IllegalStateException.class);
    }
}
