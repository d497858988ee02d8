package io.flynn.blobstore.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** DELETE: the name, everything below it, and nothing that only looks like it. */
interface Deletes extends Suite {

    @Test
    default void deleteTakesTheNameAndWhatIsBelowAndNothingElse() {
        for (String name : List.of("a.b", "a.b/x", "a.b/y/z", "aXb", "a.bc", "a", "a_b", "a%b", "A.B", "x/a.b")) {
            given(name, name);
        }

        assertThat(blobs().delete(name("a.b")).status()).isEqualTo(200);

        assertMissing("a.b");
        assertMissing("a.b/x");
        assertMissing("a.b/y/z");
        for (String name : List.of("aXb", "a.bc", "a", "a_b", "a%b", "A.B", "x/a.b")) {
            assertBlob(name, name);
        }
    }

    @Test
    default void deleteIsIdempotent() {
        given("a", "x");

        assertThat(blobs().delete(name("a")).status()).isEqualTo(200);
        assertThat(blobs().delete(name("a")).status()).isEqualTo(200);
        assertThat(blobs().delete(name("never")).status()).isEqualTo(200);
    }

    @Test
    default void deleteOfAFolderTakesWhatIsInIt() {
        given("folder/a", "x");
        given("folder/b/c", "x");
        given("folder2/a", "kept");

        assertThat(blobs().delete(name("folder")).status()).isEqualTo(200);

        assertThat(blobs().list(folder())).containsExactly(name("folder2/"));
    }

    @ParameterizedTest
    @ValueSource(strings = {".*", "%", "_", "[a]", "a?", "(a)", "a|b", "^", "$", "\\w", "a*", ".", "*"})
    default void deleteOfAPatternDeletesNothing(String pattern) {
        given("deep/a", "x");
        given("deep/b/c", "y");

        assertThat(blobs().delete(name("deep/" + pattern + "/x")).status()).isEqualTo(200);
        if (!pattern.equals(".")) {
            assertThat(blobs().delete(name("deep/" + pattern)).status()).isEqualTo(200);
        }

        assertBlob("deep/a", "x");
        assertBlob("deep/b/c", "y");
    }

    @ParameterizedTest
    @ValueSource(strings = {"foo+bar", "a(b", "a[b", "a{2", "a\\", "+", "?", "*"})
    default void nameThatIsNoRegularExpressionCanBeDeleted(String name) {
        given(name, "x");
        given("a", "neighbour");

        assertThat(blobs().delete(name(name)).status()).isEqualTo(200);

        assertMissing(name);
        assertBlob("a", "neighbour");
    }

    @Test
    default void deletedNameCanBePutAgain() {
        given("a", "first");
        blobs().delete(name("a"));
        given("a", "second");

        assertBlob("a", "second");
    }
}
