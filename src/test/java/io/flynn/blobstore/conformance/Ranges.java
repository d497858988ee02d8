package io.flynn.blobstore.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** One range of a blob (RFC 9110, section 14), also by way of a redirect. */
interface Ranges extends Suite {

    @ParameterizedTest
    @CsvSource(textBlock = """
            bytes=0-0,     h,     bytes 0-0/5
            bytes=1-3,     ell,   bytes 1-3/5
            bytes=4-4,     o,     bytes 4-4/5
            bytes=2-,      llo,   bytes 2-4/5
            bytes=0-,      hello, bytes 0-4/5
            bytes=-2,      lo,    bytes 3-4/5
            bytes=-9,      hello, bytes 0-4/5
            bytes=3-99,    lo,    bytes 3-4/5
            bytes=1-999999999999, ello, bytes 1-4/5
            """)
    default void rangeIsThatPart(String range, String part, String contentRange) {
        given("a", "hello");

        Answer got = blobs().read(name("a"), "Range", range);

        assertThat(got.status()).isEqualTo(206);
        assertThat(got.text()).isEqualTo(part);
        assertThat(got.header("Content-Range")).contains(contentRange);
        assertThat(got.header("Content-Length")).contains(Integer.toString(part.length()));
    }

    /** S3Proxy takes the number for a length that it is going to send. */
    @ParameterizedTest
    @ValueSource(
            strings = {"bytes=1-9223372036854775807", "bytes=1-9223372036854775808", "bytes=1-99999999999999999999"})
    default void rangeToTheLargestOfAllNumbersEndsWithTheBlob(String range) {
        given("a", "hello");

        Answer got = blobs().get(name("a"), "Range", range);

        if (!got.isRedirect()) {
            assertThat(got.status()).isEqualTo(206);
            assertThat(got.text()).isEqualTo("ello");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"bytes=5-", "bytes=5-9", "bytes=99-"})
    default void rangePastTheEndCanNotBeSatisfied(String range) {
        given("a", "hello");

        Answer got = blobs().read(name("a"), "Range", range);

        assertThat(got.status()).isEqualTo(416);
        if (!isRedirected("a")) {
            assertThat(got.header("Content-Range")).contains("bytes */5");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "bytes=3-2",
                "bytes=a-b",
                "bytes=",
                "bytes=-",
                "bytes=--1",
                "bytes=1",
                "bytes=0x1-2",
                "bytes=1-2-3",
                "bytes=-0",
                "bytes 0-1",
                "lines=0-1",
                "0-1"
            })
    default void rangeThatIsNoneIsIgnoredOrRefused(String range) {
        given("a", "hello");

        // RFC 9110, section 14.2, allows both; stores behind a redirect differ, too.
        Answer got = blobs().read(name("a"), "Range", range);

        assertThat(got.status()).isIn(200, 400, 416);
        if (got.status() == 200) {
            assertThat(got.text()).isEqualTo("hello");
        }
    }

    @Test
    default void rangeAcrossChunksIsExact() {
        byte[] bytes = Suite.random(1_000_000);
        blobs().put(name("a"), bytes);

        assertThat(blobs().read(name("a"), "Range", "bytes=262143-786433").body())
                .isEqualTo(Arrays.copyOfRange(bytes, 262_143, 786_434));
        assertThat(blobs().read(name("a"), "Range", "bytes=-2049").body())
                .isEqualTo(Arrays.copyOfRange(bytes, 1_000_000 - 2_049, 1_000_000));
    }

    @Test
    default void rangeOfNothingIsNothing() {
        given("empty", "");

        Answer got = blobs().read(name("empty"), "Range", "bytes=0-");

        assertThat(got.status()).isIn(200, 416);
        if (got.status() == 200) {
            assertThat(got.body()).isEmpty();
        }
    }

    @Test
    default void headKnowsNoRange() {
        given("a", "hello");

        Answer head = blobs().head(name("a"), "Range", "bytes=1-2");

        assertThat(head.status()).isEqualTo(200);
        assertThat(head.header("Content-Length")).contains("5");
    }
}
