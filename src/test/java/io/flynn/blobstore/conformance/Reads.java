package io.flynn.blobstore.conformance;

import static io.flynn.blobstore.conformance.Blobstore.bytes;
import static io.flynn.blobstore.conformance.Blobstore.encoded;
import static io.flynn.blobstore.conformance.Blobstore.etag;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** GET and HEAD of a blob, redirects, the server's status, and what is no such request. */
interface Reads extends Suite {

    @Test
    default void headTellsAllAndNeverRedirects() {
        given("a", "hello", "Content-Type", "text/plain");

        Answer head = blobs().head(name("a"));

        assertThat(head.status()).isEqualTo(200);
        assertThat(head.body()).isEmpty();
        assertThat(head.header("Content-Length")).contains("5");
        assertThat(head.header("Content-Type")).contains("text/plain");
        assertThat(head.header("Accept-Ranges")).contains("bytes");
        assertThat(head.header("Etag")).contains(etag(bytes("hello")));
        assertThat(head.header("Last-Modified")).isPresent();
    }

    @Test
    default void getTellsWhatHeadTells() {
        given("a", "hello", "Content-Type", "text/plain; charset=UTF-8");
        Answer head = blobs().head(name("a"));

        Answer got = blobs().get(name("a"));

        if (!got.isRedirect()) {
            for (String header : List.of("Content-Length", "Content-Type", "Etag", "Last-Modified", "Accept-Ranges")) {
                assertThat(got.header(header)).isPresent().isEqualTo(head.header(header));
            }
        }
    }

    @Test
    default void lastModifiedIsAnHttpDateThatNeverGoesBack() {
        given("a", "old");
        ZonedDateTime before = date("a");
        given("a", "new");

        assertThat(date("a")).isAfterOrEqualTo(before);
    }

    private ZonedDateTime date(String inFolder) {
        return ZonedDateTime.parse(
                blobs().head(name(inFolder)).required("Last-Modified"), DateTimeFormatter.RFC_1123_DATE_TIME);
    }

    @Test
    default void redirectIsNotStoredAndWorksForTenMinutesForEverybody() {
        given("a", "hello", "Content-Type", "text/plain");

        Answer got = blobs().get(name("a"));

        if (got.isRedirect()) {
            assertThat(got.body()).isEmpty();
            assertThat(got.header("Cache-Control")).contains("no-store");
            assertThat(got.required("Location")).contains("X-Amz-Expires=600");
            for (int i = 0; i < 2; i++) {
                Answer followed = Blobstore.follow(got);
                assertThat(followed.status()).isEqualTo(200);
                assertThat(followed.text()).isEqualTo("hello");
                assertThat(followed.header("Content-Type")).contains("text/plain");
            }
        }
    }

    @Test
    default void linkGivenOutBeforeAReplacementOrADeletionStillWorks() {
        given("a", "old");
        Answer redirect = blobs().get(name("a"));

        if (redirect.isRedirect()) {
            given("a", "new");
            assertThat(Blobstore.follow(redirect).text()).isEqualTo("old");
            blobs().delete(name("a"));
            assertThat(Blobstore.follow(redirect).text()).isEqualTo("old");
        }
    }

    @Test
    default void missingNameIsNotFound() {
        Answer got = blobs().get(name("nothing/here"));

        assertThat(got.status()).isEqualTo(404);
        assertThat(got.text().strip()).isEqualTo("NotFound");
        Answer head = blobs().head(name("nothing/here"));
        assertThat(head.status()).isEqualTo(404);
        assertThat(head.header("Etag")).isEmpty();
    }

    @Test
    default void folderOfABlobIsNoBlob() {
        given("folder/a", "x");

        assertMissing("folder");
    }

    @ParameterizedTest
    @ValueSource(strings = {"POST", "PATCH", "OPTIONS", "get", "PUTS", "PROPFIND"})
    default void otherMethodsAreNotAllowed(String method) {
        given("a", "old");

        Answer refused = blobs().send(method, encoded(name("a")), bytes("new"));

        assertThat(refused.status()).isEqualTo(405);
        assertThat(refused.required("Allow")).contains("GET", "HEAD", "PUT", "DELETE");
        assertBlob("a", "old");
    }

    @Test
    default void statusIsHealthy() {
        assertThat(blobs().get("/.well-known/status").status()).isEqualTo(200);
    }

    @Test
    default void statusIsNoBlob() {
        assertThat(blobs().put("/.well-known/status", "x").status()).isBetween(400, 499);
        assertThat(blobs().delete("/.well-known/status").status()).isBetween(400, 499);
        assertThat(blobs().get("/.well-known/status").status()).isEqualTo(200);
    }

    @Test
    default void readerThatBreaksOffHurtsNobody() throws IOException {
        byte[] bytes = Suite.random(5_000_000);
        blobs().put(name("a"), bytes);

        for (int i = 0; i < 30; i++) {
            try (Wire wire = Wire.to(blobs().server())) {
                wire.send("GET %s HTTP/1.1\r\nHost: x\r\n\r\n".formatted(encoded(name("a"))));
                wire.reset();
            }
        }

        assertThat(blobs().read(name("a")).body()).isEqualTo(bytes);
    }
}
