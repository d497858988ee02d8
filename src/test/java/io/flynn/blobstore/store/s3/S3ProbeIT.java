package io.flynn.blobstore.store.s3;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.Installation;
import io.flynn.blobstore.blob.Secret;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.store.BucketOwnership;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.StoreFault;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The probe against a real S3 server, right and wrong. */
class S3ProbeIT {

    private static final String BUCKET = "probed";

    private static final Installation HERE = new Installation("here");

    private static LocalS3 s3;

    @BeforeAll
    static void start() {
        s3 = LocalS3.start();
        s3.createBucket(BUCKET);
    }

    @AfterAll
    static void stop() {
        s3.close();
    }

    private static BackendSettings settings() {
        return s3.backend(new BackendName("s3main"), BUCKET);
    }

    @AfterEach
    void unmark() {
        s3.remove(BUCKET, S3BucketOwnership.KEY);
    }

    private static BucketOwnership owner(BackendSettings settings, Installation installation) {
        return new S3BucketOwnership(settings, () -> installation, Optional.empty());
    }

    private static List<Finding> probe(BackendSettings settings) {
        return new S3Probe(settings, Duration.ofSeconds(20), owner(settings, HERE)).check();
    }

    private static BackendSettings with(BackendSettings settings, String bucket, URI endpoint, String secret) {
        return new BackendSettings(
                settings.name(),
                settings.kind(),
                settings.region(),
                bucket,
                Optional.of(endpoint),
                settings.pathStyle(),
                settings.accessKeyId(),
                new Secret(secret));
    }

    @Test
    void whatIsDoneBeforeTheFirstCheckTakesNothingFromItsTime() throws Exception {
        everyActionIsTriedAndNothingIsLeftBehindButTheMark();
        S3Probe probe = new S3Probe(settings(), Duration.ofSeconds(3), owner(settings(), HERE));
        Thread.sleep(Duration.ofSeconds(3));

        assertThat(probe.check()).extracting(Finding::level).containsOnly(Level.OK);
    }

    @Test
    void everyActionIsTriedAndNothingIsLeftBehindButTheMark() {
        List<Finding> findings = probe(settings());

        assertThat(findings)
                .allSatisfy(finding ->
                        assertThat(finding.level()).as(finding.message()).isEqualTo(Level.OK));
        assertThat(findings)
                .extracting(Finding::subject)
                .contains(
                        "s3:ListBucket", "s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload");
        assertThat(s3.sizes(BUCKET)).containsOnlyKeys(S3BucketOwnership.KEY);
        assertThat(s3.unfinishedUploads(BUCKET)).isEmpty();
    }

    @Test
    void inAnotherInstallationsBucketNothingIsWrittenOrDeleted() {
        owner(settings(), new Installation("there")).claim();
        long puts = s3.count(LocalS3.Operation.PUT);
        long deletes = s3.count(LocalS3.Operation.DELETE);
        long uploads = s3.count(LocalS3.Operation.CREATE_MULTIPART);

        assertThat(probe(settings())).last().satisfies(finding -> {
            assertThat(finding.level()).isEqualTo(Level.FAILURE);
            assertThat(finding.reason()).isEqualTo(Reasons.FOREIGN_BUCKET);
            assertThat(finding.message()).contains("belongs to installation there, this is here", BUCKET);
        });
        assertThat(s3.count(LocalS3.Operation.PUT)).isEqualTo(puts);
        assertThat(s3.count(LocalS3.Operation.DELETE)).isEqualTo(deletes);
        assertThat(s3.count(LocalS3.Operation.CREATE_MULTIPART)).isEqualTo(uploads);
    }

    @Test
    void whereItCantBeReadWhoseTheBucketIsNothingIsWritten() {
        s3.deny(LocalS3.Operation.GET);
        long puts = s3.count(LocalS3.Operation.PUT);
        try {
            assertThat(probe(settings())).last().satisfies(finding -> {
                assertThat(finding.reason()).isEqualTo(Reasons.ACCESS_DENIED);
                assertThat(finding.message()).contains("allow s3:GetObject", BUCKET);
            });
        } finally {
            s3.deny();
        }
        assertThat(s3.count(LocalS3.Operation.PUT)).isEqualTo(puts);
    }

    @Test
    void aWrongSecretIsToldFromADeniedAction() {
        BackendSettings right = settings();

        assertThat(probe(with(right, BUCKET, right.endpoint().orElseThrow(), "wrong")))
                .singleElement()
                .satisfies(finding -> {
                    assertThat(finding.level()).isEqualTo(Level.FAILURE);
                    assertThat(finding.reason()).isEqualTo(Reasons.CREDENTIALS_REFUSED);
                    assertThat(finding.message()).contains("check access key id and secret access key", BUCKET);
                });
    }

    @Test
    void anActionThatIsDeniedIsNamedAndTheOthersAreTried() {
        s3.deny(LocalS3.Operation.CREATE_MULTIPART);
        try {
            assertThat(probe(settings()))
                    .filteredOn(finding -> finding.level() == Level.FAILURE)
                    .singleElement()
                    .satisfies(finding -> {
                        assertThat(finding.reason()).isEqualTo(Reasons.ACCESS_DENIED);
                        assertThat(finding.subject()).isEqualTo("s3:AbortMultipartUpload");
                        assertThat(finding.message()).contains("allow s3:AbortMultipartUpload", BUCKET);
                    });
        } finally {
            s3.deny();
        }
        assertThat(s3.sizes(BUCKET)).isEmpty();
    }

    @Test
    void whoMayNotDeleteLeavesNothingBehind() {
        s3.deny(LocalS3.Operation.DELETE);
        try {
            assertThat(probe(settings()))
                    .filteredOn(finding -> finding.level() == Level.FAILURE)
                    .singleElement()
                    .satisfies(finding -> assertThat(finding.message()).contains("allow s3:DeleteObject", BUCKET));
        } finally {
            s3.deny();
        }
        assertThat(s3.sizes(BUCKET)).isEmpty();
    }

    @Test
    void aProbeThatCannotGoOnLeavesNothingBehind() {
        s3.breakOff(LocalS3.Operation.CREATE_MULTIPART);
        try {
            assertThat(probe(settings()))
                    .last()
                    .satisfies(finding -> assertThat(finding.level()).isEqualTo(Level.FAILURE));
        } finally {
            s3.breakOff();
        }
        assertThat(s3.sizes(BUCKET)).isEmpty();
    }

    /** A URL's reader is nobody's client: it is not tried again, so its one answer must say whether it passes by itself. */
    @Test
    void oneAnswerThatPassesByItselfNeedsNoPerson() {
        s3.createBucket("busy");
        BackendSettings settings = s3.backend(new BackendName("s3main"), "busy");
        s3.fail(0, StoreFault.NONE);
        probe(settings);
        long exchanges = s3.exchanges();
        List<Long> failed = new ArrayList<>();
        for (long n = 1; n <= exchanges; n++) {
            s3.remove("busy", S3BucketOwnership.KEY);
            s3.fail(n, StoreFault.status(503, "SlowDown"));
            for (Finding finding : probe(settings)) {
                if (finding.level() == Level.FAILURE) {
                    failed.add(n);
                    assertThat(finding.reason()).as(finding.message()).isEqualTo(Reasons.STORE_BUSY);
                }
            }
        }
        assertThat(failed).as("the presigned one").hasSize(1);

        s3.remove("busy", S3BucketOwnership.KEY);
        s3.fail(failed.getFirst(), StoreFault.status(403, "AccessDenied"));
        assertThat(probe(settings))
                .filteredOn(finding -> finding.level() == Level.FAILURE)
                .singleElement()
                .satisfies(finding -> {
                    assertThat(finding.reason()).isEqualTo(Reasons.ACCESS_DENIED);
                    assertThat(finding.message()).contains("by a presigned URL", "allow s3:GetObject");
                });
    }

    @Test
    void aMissingBucketIsNamed() {
        BackendSettings right = settings();

        assertThat(probe(with(right, "nosuchbucket", right.endpoint().orElseThrow(), LocalS3.SECRET_ACCESS_KEY)))
                .singleElement()
                .satisfies(finding -> {
                    assertThat(finding.reason()).isEqualTo(Reasons.BUCKET_MISSING);
                    assertThat(finding.message()).contains("nosuchbucket", "s3.bucket");
                });
    }

    @Test
    void anEndpointThatNobodyAnswersAtIsNamed() {
        assertThat(probe(with(settings(), BUCKET, URI.create("http://127.0.0.1:1"), "x")))
                .singleElement()
                .satisfies(finding -> {
                    assertThat(finding.reason()).isEqualTo(Reasons.ENDPOINT_UNREACHABLE);
                    assertThat(finding.message()).contains("http://127.0.0.1:1", "s3.endpoint");
                });
    }

    @Test
    void anEndpointThatDoesNotResolveIsNamed() {
        assertThat(probe(with(settings(), BUCKET, URI.create("http://store.invalid:9000"), "x")))
                .singleElement()
                .satisfies(finding -> {
                    assertThat(finding.reason()).isEqualTo(Reasons.ENDPOINT_UNREACHABLE);
                    assertThat(finding.message()).contains("the host name does not resolve");
                });
    }
}
