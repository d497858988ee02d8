package io.flynn.blobstore.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Several ranges in one request (RFC 9110, section 14.6), unless the client is redirected: most stores know only one. */
interface SeveralRanges extends Suite {

    Pattern PART =
            Pattern.compile("(?s)\r\nContent-Range: (bytes \\d+-\\d+/\\d+)\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)(?=\r\n--)");

    @ParameterizedTest
    @CsvSource(textBlock = """
            'bytes=0-0,2-3',      'bytes 0-0/10 0; bytes 2-3/10 23'
            'bytes=0-1, -2',      'bytes 0-1/10 01; bytes 8-9/10 89'
            'bytes=8-,0-1',       'bytes 8-9/10 89; bytes 0-1/10 01'
            'bytes=0-0,4-5,9-99', 'bytes 0-0/10 0; bytes 4-5/10 45; bytes 9-9/10 9'
            """)
    default void severalRangesAreParts(String range, String expected) {
        given("a", "0123456789", "Content-Type", "text/plain");

        Answer got = blobs().get(name("a"), "Range", range);

        if (!got.isRedirect()) {
            assertThat(got.status()).isEqualTo(206);
            Matcher type = Pattern.compile("multipart/byteranges; ?boundary=\"?([^\"]+)\"?")
                    .matcher(got.required("Content-Type"));
            assertThat(type.matches()).as("%s", got).isTrue();
            String body = "\r\n" + new String(got.body(), StandardCharsets.ISO_8859_1);
            assertThat(body.strip()).startsWith("--" + type.group(1)).endsWith("--" + type.group(1) + "--");
            List<String> parts = new ArrayList<>();
            for (Matcher part = PART.matcher(body); part.find(); ) {
                parts.add(part.group(1) + " " + part.group(2));
            }
            assertThat(String.join("; ", parts)).isEqualTo(expected);
        }
    }

    @Test
    default void rangesOfWhichNoneCanBeSatisfiedAreRefused() {
        given("a", "0123456789");

        Answer got = blobs().get(name("a"), "Range", "bytes=10-,20-30");

        if (!got.isRedirect()) {
            assertThat(got.status()).isEqualTo(416);
            assertThat(got.header("Content-Range")).contains("bytes */10");
        }
    }

    @Test
    default void oneOfSeveralThatCanBeSatisfiedIsSent() {
        given("a", "0123456789");

        Answer got = blobs().get(name("a"), "Range", "bytes=20-30,1-2");

        if (!got.isRedirect()) {
            assertThat(got.status()).isEqualTo(206);
            assertThat(got.text()).contains("12");
        }
    }

    @Test
    default void hundredsOfRangesAreNoAttack() {
        given("a", "0123456789");

        Answer got = blobs().get(name("a"), "Range", "bytes=" + "0-,".repeat(500) + "0-");

        assertThat(got.status()).isIn(200, 206, 302, 400, 416);
        assertThat(got.body().length).isLessThan(1_000);
    }
}
