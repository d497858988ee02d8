package io.flynn.blobstore.decide;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.decide.BackendFacts.Location;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the schema would refuse as well, where an older one is installed. */
class BackendRuleTest {

    private static final String ENDPOINT = "https://s3.example.com";

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            nullValues = "-",
            value = {
                "postgres|false|bucket|us-east-1|https://s3.example.com|SpecInvalid"
                        + "|spec.backendName \"postgres\" is the database itself: choose another name",
                "s3-main|false|bucket|us-east-1|https://s3.example.com|SpecInvalid"
                        + "|spec.backendName (metadata.name if unset) \"s3-main\": use 1 to 40 of a-z and 0-9",
                "s3main|true|bucket|us-east-1|http://s3.example.com|EndpointRefused"
                        + "|spec.s3.endpoint \"http://s3.example.com\" is http, which AWS is never reached by: write https://",
                "s3main|false|bucket|us-east-1|http://s3.example.com|EndpointRefused"
                        + "|spec.s3.endpoint \"http://s3.example.com\" is http: write https://",
                "s3main|false|bucket|us-east-1||SpecInvalid"
                        + "|spec.s3.endpoint is missing: provider S3Compatible needs https://host",
                "s3main|false|my bucket|us-east-1|https://s3.example.com|SpecInvalid|spec.s3.bucket",
                "s3main|false|bucket|us east|https://s3.example.com|SpecInvalid|spec.s3.region",
            })
    void whatIsWrongIsNamedWithItsValueAndTheFix(
            String name, boolean aws, String bucket, String region, String endpoint, String reason, String message) {
        Location location = new Location(bucket, region, endpoint == null ? "" : endpoint);

        assertThat(BackendRule.problem(name, aws, location, false)).hasValueSatisfying(problem -> {
            assertThat(problem.reason()).isEqualTo(reason);
            assertThat(problem.kind()).isEqualTo(Obstacle.Kind.PERSON);
            assertThat(problem.message()).contains(message);
        });
    }

    @Test
    void lineBreaksAreShownAsWhatTheyAre() {
        assertThat(BackendRule.problem("s3main", false, new Location("bucket\n", "us-east-1", ENDPOINT), false))
                .hasValueSatisfying(
                        problem -> assertThat(problem.message()).contains("spec.s3.bucket", "it is \"bucket\\n\""));
    }

    @Test
    void nothingIsWrongWithWhatIsRight() {
        assertThat(BackendRule.problem("s3main", false, new Location("bucket", "us-east-1", ENDPOINT), false))
                .isEmpty();
        assertThat(BackendRule.problem("s3main", true, new Location("bucket", "eu-west-1", ""), false))
                .isEmpty();
        assertThat(BackendRule.problem("s3main", false, new Location("bucket", "eu", "http://127.0.0.1:9000"), true))
                .isEmpty();
    }
}
