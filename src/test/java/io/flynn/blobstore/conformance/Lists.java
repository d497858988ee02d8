package io.flynn.blobstore.conformance;

import static io.flynn.blobstore.conformance.Blobstore.encoded;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** GET of the root: the direct children of a directory. */
interface Lists extends Suite {

    @Test
    default void listsDirectChildrenInByteOrder() {
        List<String> names = List.of(
                "z",
                "a/b",
                "a/c/d",
                "a/c/e",
                "a b",
                "ä",
                "Z",
                "a",
                "a%/x",
                "a_/y",
                "a-b",
                "<&>\"",
                "\uD83D\uDE00",
                "\uFF01");
        names.forEach(name -> given(name, "x"));

        assertThat(blobs().list(folder()))
                .containsExactly(
                        name("<&>\""),
                        name("Z"),
                        name("a"),
                        name("a b"),
                        name("a%/"),
                        name("a-b"),
                        name("a/"),
                        name("a_/"),
                        name("z"),
                        name("ä"),
                        name("\uFF01"),
                        name("\uD83D\uDE00"));
        assertThat(blobs().list(name("a"))).containsExactly(name("a/b"), name("a/c/"));
        assertThat(blobs().list(name("a/"))).containsExactly(name("a/b"), name("a/c/"));
        assertThat(blobs().list(name("a/c"))).containsExactly(name("a/c/d"), name("a/c/e"));
    }

    @Test
    default void patternsInADirectoryStandForThemselves() {
        given("a%/x", "x");
        given("a_/y", "y");
        given("abc/z", "z");

        assertThat(blobs().list(name("a%"))).containsExactly(name("a%/x"));
        assertThat(blobs().list(name("a_"))).containsExactly(name("a_/y"));
        assertThat(blobs().list(name("%"))).isEmpty();
        assertThat(blobs().list(name("_bc"))).isEmpty();
        assertThat(blobs().list(name(".*"))).isEmpty();
    }

    @Test
    default void emptyListIsAnArray() {
        Answer got = blobs().send("GET", "/?dir=" + encoded(name("nothing")), new byte[0]);

        assertThat(got.status()).isEqualTo(200);
        assertThat(got.text().strip()).isEqualTo("[]");
        assertThat(got.required("Content-Type")).startsWith("application/json");
    }

    @Test
    default void listOfABlobIsEmpty() {
        given("a", "x");

        assertThat(blobs().list(name("a"))).isEmpty();
    }

    @Test
    default void deletedNamesAreNotListed() {
        given("a", "x");
        given("b/c", "x");
        blobs().delete(name("a"));
        blobs().delete(name("b"));

        assertThat(blobs().list(folder())).isEmpty();
    }

    @Test
    default void rootListsTheTopOnce() {
        given("a", "x");
        given("b", "x");

        assertThat(blobs().list("/").stream().filter(child -> child.equals(folder() + "/")))
                .hasSize(1);
        Answer plain = blobs().send("GET", "/", new byte[0]);
        assertThat(plain.status()).isEqualTo(200);
        assertThat(plain.text()).contains("\"" + folder() + "/\"");
        assertThat(blobs().send("HEAD", "/", new byte[0]).status()).isEqualTo(200);
    }

    @ParameterizedTest
    @CsvSource({"?other=1&dir=FOLDER/d", "?dir=FOLDER/d&dir=/elsewhere", "?dir=FOLDER//x/../d/", "?dir=%46OLDER/d"})
    default void directoryIsTheFirstDirOfTheQueryCleaned(String query) {
        given("d/with space+", "x");
        String escaped = "%%%02X".formatted((int) folder().charAt(1)) + folder().substring(2);

        Answer got = blobs().send(
                        "GET", "/" + query.replace("%46OLDER", "/" + escaped).replace("FOLDER", folder()), new byte[0]);

        assertThat(got.text().strip()).isEqualTo("[\"" + name("d/with space+") + "\"]");
    }

    @Test
    default void plusInADirectoryIsASpace() {
        given("with space/x", "x");
        given("with+plus/y", "y");

        assertThat(blobs().send("GET", "/?dir=" + folder() + "/with+space", new byte[0])
                        .text())
                .contains("with space/x");
        assertThat(blobs().send("GET", "/?dir=" + folder() + "/with%2Bplus", new byte[0])
                        .text())
                .contains("with+plus/y");
    }

    @Test
    default void rootIsNoBlob() {
        given("a", "x");

        for (String method : List.of("PUT", "DELETE", "POST")) {
            assertThat(blobs().send(method, "/", new byte[0]).status())
                    .as(method)
                    .isBetween(400, 499);
        }
        assertBlob("a", "x");
    }
}
