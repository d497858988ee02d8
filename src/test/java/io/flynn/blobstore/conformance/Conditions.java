package io.flynn.blobstore.conformance;

import static io.flynn.blobstore.conformance.Blobstore.bytes;
import static io.flynn.blobstore.conformance.Blobstore.etag;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Conditional GET and HEAD (RFC 9110, section 13). A GET that is redirected is no success, so its conditions aren't looked at
 * (section 13.2.1); what the store behind it makes of them is the store's.
 */
interface Conditions extends Suite {

    String TAG = etag(bytes("hello"));
    String OTHER = "\"other\"";
    String LONG_AGO = "Wed, 03 Jun 2015 12:00:00 GMT";

    private void assertStatus(int status, String... headers) {
        assertThat(blobs().head(name("a"), headers).status())
                .as("HEAD %s", List.of(headers))
                .isEqualTo(status);
        Answer got = blobs().get(name("a"), headers);
        if (!isRedirected("a")) {
            assertThat(got.status()).as("GET %s", List.of(headers)).isEqualTo(status);
            assertThat(got.text())
                    .as("GET %s", List.of(headers))
                    .matches(status == 200 ? "hello" : status == 304 ? "" : "(?s).*");
        } else {
            assertThat(got.status()).as("GET %s", List.of(headers)).isEqualTo(302);
        }
    }

    private String modified() {
        return blobs().head(name("a")).required("Last-Modified");
    }

    private static String shifted(String date, int seconds) {
        return ZonedDateTime.parse(date, DateTimeFormatter.RFC_1123_DATE_TIME)
                .plusSeconds(seconds)
                .format(DateTimeFormatter.ofPattern("EEE, dd MMM yyyy HH:mm:ss 'GMT'", Locale.ROOT));
    }

    /** HEAD, which is never redirected, tells. */
    @Test
    default void redirectComesBeforeConditions() {
        given("a", "hello");

        if (isRedirected("a")) {
            for (List<String> condition : List.of(
                    List.of("If-None-Match", TAG),
                    List.of("If-Match", OTHER),
                    List.of("If-Modified-Since", modified()),
                    List.of("If-Unmodified-Since", LONG_AGO))) {
                String[] header = condition.toArray(String[]::new);
                Answer redirect = blobs().get(name("a"), header);
                assertThat(redirect.status()).as("GET %s", condition).isEqualTo(302);
                assertThat(Blobstore.follow(redirect).text()).isEqualTo("hello");
                assertThat(blobs().head(name("a"), header).status())
                        .as("HEAD %s", condition)
                        .isIn(304, 412);
            }
        }
    }

    @Test
    default void tagThatHoldsAnAsteriskIsNotEveryVersion() {
        given("a", "hello");

        for (String list : List.of("\"x,*,y\"", "\"x, *\", \"y\"", "\"x\", *", "\",\"", "*, \"x\"")) {
            assertStatus(200, "If-None-Match", list);
            assertStatus(412, "If-Match", list);
        }
        assertStatus(304, "If-None-Match", "\"x,*,y\"," + TAG);
    }

    @Test
    default void ifNoneMatchComparesWeaklyAndTakesLists() {
        given("a", "hello");

        assertStatus(304, "If-None-Match", TAG);
        assertStatus(304, "If-None-Match", "W/" + TAG);
        assertStatus(304, "If-None-Match", OTHER + ", " + TAG);
        assertStatus(304, "If-None-Match", OTHER + " , W/" + TAG + " ,\"third\"");
        assertStatus(304, "If-None-Match", "," + TAG + ",,");
        assertStatus(304, "If-None-Match", OTHER, "If-None-Match", TAG);
        assertStatus(304, "If-None-Match", "*");
        assertStatus(200, "If-None-Match", OTHER);
        assertStatus(200, "If-None-Match", "W/" + OTHER);
        assertStatus(200, "If-None-Match", TAG.replace("\"", ""));
        assertStatus(200, "If-None-Match", TAG.toUpperCase(Locale.ROOT));
        assertStatus(200, "If-None-Match", "w/" + TAG);
    }

    @Test
    default void notModifiedTellsWhichVersionAndSendsNothing() {
        given("a", "hello");

        Answer head = blobs().head(name("a"), "If-None-Match", TAG);
        Answer got = blobs().get(name("a"), "If-None-Match", TAG);

        assertThat(head.status()).isEqualTo(304);
        assertThat(head.header("Etag")).contains(TAG);
        if (!got.isRedirect()) {
            assertThat(got.status()).isEqualTo(304);
            assertThat(got.header("Etag")).contains(TAG);
        }
    }

    @Test
    default void ifModifiedSinceGoesBySeconds() {
        given("a", "hello");
        String modified = modified();

        assertStatus(304, "If-Modified-Since", modified);
        assertStatus(304, "If-Modified-Since", shifted(modified, 1));
        assertStatus(200, "If-Modified-Since", shifted(modified, -1));
        assertStatus(200, "If-Modified-Since", LONG_AGO);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"Wed, 03 Jun 2060 12:00:00 GMT", "Thursday, 03-Jun-60 12:00:00 GMT", "Thu Jun  3 12:00:00 2060"})
    default void datesComeInThreeForms(String date) {
        given("a", "hello");

        assertStatus(304, "If-Modified-Since", date);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "yesterday",
                "0",
                "-1",
                "2999-01-01T00:00:00Z",
                "Wed, 99 Jun 2999 12:00:00 GMT",
                "Wed, 03 Jun 2999 12:00:00 GMT and more",
                "32503680000",
                "*"
            })
    default void dateThatIsNoneIsNoCondition(String date) {
        given("a", "hello");

        assertStatus(200, "If-Modified-Since", date);
        assertStatus(200, "If-Unmodified-Since", date);
    }

    @Test
    default void ifNoneMatchOverridesIfModifiedSince() {
        given("a", "hello");
        String modified = modified();

        assertStatus(200, "If-None-Match", OTHER, "If-Modified-Since", modified);
        assertStatus(304, "If-None-Match", TAG, "If-Modified-Since", LONG_AGO);
    }

    @Test
    default void ifMatchComparesStronglyAndTakesLists() {
        given("a", "hello");

        assertStatus(200, "If-Match", TAG);
        assertStatus(200, "If-Match", OTHER + "," + TAG);
        assertStatus(200, "If-Match", "*");
        assertStatus(412, "If-Match", OTHER);
        assertStatus(412, "If-Match", "W/" + TAG);
        assertStatus(412, "If-Match", OTHER + ", W/" + TAG);
    }

    @Test
    default void ifUnmodifiedSinceGoesBySeconds() {
        given("a", "hello");
        String modified = modified();

        assertStatus(200, "If-Unmodified-Since", modified);
        assertStatus(200, "If-Unmodified-Since", shifted(modified, 1));
        assertStatus(412, "If-Unmodified-Since", shifted(modified, -1));
        assertStatus(412, "If-Unmodified-Since", LONG_AGO);
    }

    @Test
    default void ifMatchOverridesIfUnmodifiedSince() {
        given("a", "hello");

        assertStatus(200, "If-Match", TAG, "If-Unmodified-Since", LONG_AGO);
        assertStatus(412, "If-Match", OTHER, "If-Unmodified-Since", modified());
    }

    @Test
    default void ifMatchIsLookedAtBeforeIfNoneMatch() {
        given("a", "hello");

        assertStatus(412, "If-Match", OTHER, "If-None-Match", TAG);
        assertStatus(304, "If-Match", TAG, "If-None-Match", TAG);
        assertStatus(304, "If-Unmodified-Since", modified(), "If-Modified-Since", modified());
    }

    @Test
    default void conditionsOnAMissingNameAre404Or412() {
        for (String method : List.of("GET", "HEAD")) {
            assertThat(blobs().send(method, name("none"), new byte[0], "If-Match", "*")
                            .status())
                    .isIn(404, 412);
            assertThat(blobs().send(method, name("none"), new byte[0], "If-None-Match", "*")
                            .status())
                    .isEqualTo(404);
        }
    }

    @Test
    default void ifRangeSendsThePartOnlyOfThatVersion() {
        given("a", "hello");
        String modified = modified();

        if (!isRedirected("a")) {
            assertRange("ell", TAG);
            assertRange("hello", OTHER);
            assertRange("hello", "W/" + TAG);
            assertRange("hello", LONG_AGO);
            assertRange("hello", modified);
            assertRange("hello", shifted(modified, 1));
            assertRange("hello", "yesterday");
            assertRange("hello", TAG + ", " + TAG);
            assertRange("hello", "*");
        }
    }

    private void assertRange(String body, String ifRange) {
        Answer got = blobs().get(name("a"), "Range", "bytes=1-3", "If-Range", ifRange);

        assertThat(got.status()).as("If-Range: %s", ifRange).isEqualTo(body.equals("hello") ? 200 : 206);
        assertThat(got.text()).as("If-Range: %s", ifRange).isEqualTo(body);
    }

    @Test
    default void ifRangeWithoutARangeIsNothing() {
        given("a", "hello");

        assertStatus(200, "If-Range", OTHER);
    }

    @Test
    default void unsatisfiableRangeOfAnotherVersionIsTheWhole() {
        given("a", "hello");

        if (!isRedirected("a")) {
            Answer got = blobs().get(name("a"), "Range", "bytes=9-", "If-Range", OTHER);
            assertThat(got.status()).isEqualTo(200);
            assertThat(got.text()).isEqualTo("hello");
        }
    }
}
