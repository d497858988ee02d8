package io.flynn.blobstore.conformance;

import static io.flynn.blobstore.conformance.Blobstore.bytes;
import static io.flynn.blobstore.conformance.Blobstore.encoded;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Names are paths, cleaned as Go's {@code path.Clean} does, and nothing else about them has a meaning. */
interface Names extends Suite {

    @ParameterizedTest
    @ValueSource(
            strings = {
                "with space",
                " leading",
                "trailing ",
                " ",
                "100%",
                "100%25",
                "%",
                "%2e%2e",
                "%2F",
                "a_b",
                "_",
                "a+b",
                "foo+bar",
                "a&b=c?d#e",
                "?",
                "#",
                "a;b",
                "a.b",
                ".*",
                "*",
                "...",
                "..a",
                "a..",
                "(x",
                "[x]",
                "^a|b$",
                "\\",
                "back\\slash",
                "\\%",
                "\\_",
                "quote'\"`",
                "'; DROP TABLE files; --",
                "tab\tnew\nline\r\nX-Header: y",
                "ünï/cödé",
                "日本/語",
                "\uD83D\uDE00",
                "\uFEFF",
                "\u202Egnp.exe",
                "\uFFFD",
                "~user",
                "{x}",
                "$(HOME)",
                "\u0001\u001f\u007f\u0085",
                "CON",
                "a/b/c/d",
                "a:b@c,d!e",
                ".well-known/status",
                "dir=x",
                "null"
            })
    default void namesAreOpaque(String name) {
        given("neighbour", "neighbour");

        given(name, "of " + name);

        assertBlob(name, "of " + name);
        given(name, "again");
        assertBlob(name, "again");
        String top = name.indexOf('/') < 0 ? name : name.substring(0, name.indexOf('/') + 1);
        assertThat(blobs().list(folder())).containsExactlyInAnyOrder(name(top), name("neighbour"));
        assertThat(blobs().delete(name(name)).status()).isEqualTo(200);
        assertMissing(name);
        assertThat(blobs().list(folder())).containsExactly(name("neighbour"));
    }

    @Test
    default void formsOfUnicodeAreDifferentNames() {
        given("\u00e9", "composed");
        given("e\u0301", "decomposed");
        given("K", "letter");
        given("\u212A", "sign");

        assertBlob("\u00e9", "composed");
        assertBlob("e\u0301", "decomposed");
        assertBlob("K", "letter");
        assertBlob("\u212A", "sign");
        blobs().delete(name("\u00e9"));
        assertBlob("e\u0301", "decomposed");
    }

    @Test
    default void caseMatters() {
        given("Name", "upper");
        given("name", "lower");

        assertBlob("Name", "upper");
        blobs().delete(name("name"));
        assertBlob("Name", "upper");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "//FOLDER//a//b",
                "/FOLDER/./a/./b/.",
                "/FOLDER/a/c/../b",
                "/FOLDER/a/b/",
                "/FOLDER/a/b/c/..",
                "/FOLDER/%61/b",
                "/FOLDER/a%2Fb",
                "/FOLDER/a%2F%2Fb",
                "/FOLDER/a/%2E/b",
                "/FOLDER/a/%2e%2E/a/b",
                "/x/../FOLDER/a/b",
                "/../FOLDER/a/b",
                "/FOLDER/../../FOLDER/a/b",
                "/FOLDER/a/b?query=1",
                "/FOLDER/a/b?"
            })
    default void pathsAreCleaned(String target) {
        String path = target.replace("FOLDER", folder().substring(1));

        assertThat(blobs().send("PUT", path, bytes("x")).status()).isEqualTo(200);

        assertBlob("a/b", "x");
        assertThat(blobs().list(name("a"))).containsExactly(name("a/b"));
        assertThat(blobs().send("HEAD", path, new byte[0]).status()).isEqualTo(200);
        assertThat(blobs().send("DELETE", path, new byte[0]).status()).isEqualTo(200);
        assertMissing("a/b");
    }

    @Test
    default void targetMayNameTheServer() throws IOException {
        given("a", "x");

        assertThat(raw("HEAD http://example.com%s HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"
                        .formatted(encoded(name("a")))))
                .startsWith("HTTP/1.1 200 ");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "%FF",
                "%00",
                "a%00b",
                "a%",
                "a%2",
                "a%zz",
                "%C0%AF",
                "%ED%A0%80",
                "%F5%80%80%80",
                "\u00ff",
                "a\u00fe",
                "\u00e2\u0082"
            })
    default void pathsThatNoNameCanHaveAreRefused(String path) throws IOException {
        for (String method : List.of("PUT", "GET", "HEAD", "DELETE")) {
            assertThat(raw("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                            .formatted(method, name(path))))
                    .as(method)
                    .startsWith("HTTP/1.1 400 ");
        }
        assertThat(blobs().list(folder())).isEmpty();
    }

    @Test
    default void rawBytesInThePathAreUtf8() {
        assertThat(blobs().send("PUT", folder() + "/" + Blobstore.raw("ünï|\"{}^`<>"), bytes("x"))
                        .status())
                .isEqualTo(200);

        assertBlob("ünï|\"{}^`<>", "x");
    }

    @Test
    default void nameOf4KibIsStoredOrRefusedButNeverCut() {
        String compressible = "long name ".repeat(400) + "end";
        given(compressible, "x");
        assertBlob(compressible, "x");

        String random = new Random(1)
                .ints(4_000, 'a', 'z')
                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                .toString();
        Answer answer = blobs().put(name(random), "x");
        assertThat(answer.status()).isIn(200, 400);
        assertThat(blobs().list(folder())).hasSize(answer.status() == 200 ? 2 : 1);
        assertThat(blobs().get(name(random.substring(0, 3_999))).status()).isEqualTo(404);
    }

    @Test
    default void nameBesideAndBelowAnother() {
        given("a", "file");
        given("a/b", "below");
        given("a/b/c", "below that");

        assertBlob("a", "file");
        assertBlob("a/b", "below");
        assertBlob("a/b/c", "below that");
        assertThat(blobs().list(folder())).containsExactly(name("a"), name("a/"));
    }
}
