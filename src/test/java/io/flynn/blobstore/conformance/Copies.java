package io.flynn.blobstore.conformance;

import static io.flynn.blobstore.conformance.Blobstore.encoded;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** PUT with {@code Blobstore-Copy-From}: another name with the same blob, which is its own from then on. */
interface Copies extends Suite {

    private int copy(String source, String target) {
        return blobs().put(name(target), "", "Blobstore-Copy-From", encoded(name(source)))
                .status();
    }

    @Test
    default void copyHasTheBytesAndTheType() {
        given("a", "hello", "Content-Type", "text/plain");

        assertThat(copy("a", "b")).isEqualTo(200);

        assertBlob("a", "hello");
        assertBlob("b", "hello");
        assertThat(blobs().head(name("b")).header("Content-Type")).contains("text/plain");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2_048, 300_001, 9_000_000})
    default void copyOfEveryLengthIsWhole(int length) {
        byte[] bytes = Suite.random(length);
        blobs().put(name("a"), bytes);

        assertThat(copy("a", "b")).isEqualTo(200);

        assertThat(blobs().read(name("b")).body()).isEqualTo(bytes);
    }

    @Test
    default void copyOntoAnExistingNameReplacesIt() {
        given("a", "new");
        given("b", "old and longer");

        assertThat(copy("a", "b")).isEqualTo(200);

        assertBlob("b", "new");
        assertThat(blobs().list(folder())).containsExactly(name("a"), name("b"));
    }

    @Test
    default void copyOfAMissingNameIsNotFoundAndChangesNothing() {
        given("b", "old");

        assertThat(copy("missing", "b")).isEqualTo(404);
        assertThat(copy("missing", "c")).isEqualTo(404);

        assertBlob("b", "old");
        assertMissing("c");
    }

    @Test
    default void copyIsIndependentOfItsSource() {
        given("a", "hello");
        copy("a", "b");
        copy("b", "c");

        blobs().delete(name("a"));
        blobs().put(name("b"), " again", "Blobstore-Offset", "5");

        assertMissing("a");
        assertBlob("b", "hello again");
        assertBlob("c", "hello");
    }

    @Test
    default void copyOntoItselfKeepsIt() {
        given("a", "hello", "Content-Type", "text/plain");

        assertThat(copy("a", "a")).isEqualTo(200);

        assertBlob("a", "hello");
        assertThat(copy("missing", "missing")).isEqualTo(404);
    }

    @ParameterizedTest
    @ValueSource(strings = {"a_b", "a%b", "foo+bar", ".*", "ünï", " space ", "tab\tnew\nline", "%2e"})
    default void namesOfSourcesAreOpaque(String source) {
        given(source, "hello");
        given("axb", "neighbour");

        assertThat(copy(source, "copy")).isEqualTo(200);

        assertBlob("copy", "hello");
    }

    @Test
    default void sourceIsCleaned() {
        given("a/b", "hello");

        assertThat(blobs().put(name("copy"), "", "Blobstore-Copy-From", folder() + "//x/../a/./b/")
                        .status())
                .isEqualTo(200);

        assertBlob("copy", "hello");
    }

    @ParameterizedTest
    @ValueSource(strings = {"a\u00ff", "a%FF", "a\u00e2\u0082"})
    default void sourceThatIsNotUtf8IsRefusedNotReplaced(String source) {
        given("a\uFFFD", "hello");

        assertThat(blobs().put(name("copy"), "", "Blobstore-Copy-From", folder() + "/" + source)
                        .status())
                .isEqualTo(400);

        assertMissing("copy");
    }
}
