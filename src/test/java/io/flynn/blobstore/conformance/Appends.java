package io.flynn.blobstore.conformance;

import static io.flynn.blobstore.conformance.Blobstore.encoded;
import static io.flynn.blobstore.conformance.Blobstore.etag;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** PUT with {@code Blobstore-Offset}: the body goes to the end of the blob, which is where the client says that it is, or nowhere. */
interface Appends extends Suite {

    private int append(String inFolder, long offset, String more) {
        return blobs().put(name(inFolder), more, "Blobstore-Offset", Long.toString(offset))
                .status();
    }

    @Test
    default void appendMakesTheBlobLongerAndKeepsItsType() {
        given("a", "one", "Content-Type", "text/plain");

        assertThat(append("a", 3, " two")).isEqualTo(200);
        assertThat(append("a", 7, " three")).isEqualTo(200);

        assertBlob("a", "one two three");
        Answer head = blobs().head(name("a"));
        assertThat(head.header("Content-Length")).contains("13");
        assertThat(head.header("Content-Type")).contains("text/plain");
    }

    @ParameterizedTest
    @CsvSource({"2047,2", "2048,1", "262144,300000", "5242881,1", "5242880,5242881", "100,9000000"})
    default void appendAcrossPagesAndPartsIsExact(int length, int more) {
        byte[] first = Suite.random(length);
        byte[] second = Suite.random(more);
        ByteArrayOutputStream whole = new ByteArrayOutputStream();
        whole.writeBytes(first);
        whole.writeBytes(second);
        blobs().put(name("a"), first);

        assertThat(blobs().put(name("a"), second, "Blobstore-Offset", Integer.toString(length))
                        .status())
                .isEqualTo(200);

        assertThat(blobs().read(name("a")).body()).isEqualTo(whole.toByteArray());
        assertThat(blobs().head(name("a")).header("Etag")).contains(etag(whole.toByteArray()));
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 4, 6, 1_000_000, 999_999_999_999_999_999L})
    default void appendElsewhereThanAtTheEndChangesNothing(long offset) {
        given("a", "hello");

        assertThat(append("a", offset, "more")).isBetween(400, 499);

        assertBlob("a", "hello");
    }

    @ParameterizedTest
    @ValueSource(strings = {"-1", "+5", "5.0", "five", "0x5", "5 5", "5,5", "99999999999999999999999999"})
    default void offsetThatIsNoneChangesNothing(String offset) {
        given("a", "hello");

        assertThat(blobs().put(name("a"), "more", "Blobstore-Offset", offset).status())
                .isBetween(400, 499);

        assertBlob("a", "hello");
    }

    @Test
    default void appendToAMissingNameIsNotFound() {
        assertThat(append("missing", 5, "more")).isEqualTo(404);

        assertMissing("missing");
    }

    @Test
    default void offsetZeroIsAPlainUpload() {
        given("a", "old");

        assertThat(append("a", 0, "new")).isEqualTo(200);
        assertThat(append("b", 0, "new")).isEqualTo(200);

        assertBlob("a", "new");
        assertBlob("b", "new");
    }

    @Test
    default void appendOfNothingAndToNothing() {
        given("empty", "");
        given("a", "hello");

        assertThat(append("empty", 0, "x")).isEqualTo(200);
        assertThat(append("a", 5, "")).isEqualTo(200);

        assertBlob("empty", "x");
        assertBlob("a", "hello");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 300_000, 6_000_000})
    default void appendThatBreaksOffLeavesTheBlobAsItWas(int sent) throws IOException {
        given("a", "hello");

        try (Wire wire = Wire.to(blobs().server())) {
            wire.send("PUT %s HTTP/1.1\r\nHost: x\r\nBlobstore-Offset: 5\r\nContent-Length: 7000000\r\n\r\n"
                    .formatted(encoded(name("a"))));
            wire.send(new byte[sent]);
            wire.end();
            assertThat(wire.rest()).asString().doesNotStartWith("HTTP/1.1 2");
        }

        assertBlob("a", "hello");
        assertThat(append("a", 5, "!")).isEqualTo(200);
        assertBlob("a", "hello!");
    }
}
