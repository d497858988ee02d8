package io.flynn.blobstore.serve;

import static io.flynn.blobstore.serve.RunningServer.text;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.Blobs;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the blobstore promises over HTTP, wherever the bytes are kept. */
abstract class BlobServerContract extends BlobChangeContract {

    @Test
    void whatWasPutIsGot() {
        assertThat(blobs().put("/a/slug.tgz", "hello", "Content-Type", "application/x-tar")
                        .statusCode())
                .isEqualTo(200);

        HttpResponse<byte[]> got = blobs().follow("/a/slug.tgz");
        assertThat(got.statusCode()).isEqualTo(200);
        assertThat(text(got)).isEqualTo("hello");
        assertThat(got.headers().firstValue("Content-Type")).contains("application/x-tar");
    }

    @Test
    void rowTellsAllAboutTheBlob() {
        blobs().put("/a", "hello", "Content-Type", "text/plain");

        assertThat(database()
                        .count("SELECT count(*) FROM files WHERE name = '/a' AND backend = '%s' AND type = 'text/plain'"
                                        .formatted(backendName())
                                + " AND size = 5 AND encode(sha512, 'hex') = '%s' AND sha512_state IS NULL AND deleted_at IS NULL"
                                        .formatted(Blobs.contentOf("hello").sha512())))
                .isOne();
    }

    @Test
    void headTellsAllAndNeverRedirects() {
        blobs().put("/a", "hello", "Content-Type", "text/plain");

        HttpResponse<byte[]> head = blobs().head("/a");

        assertThat(head.statusCode()).isEqualTo(200);
        assertThat(head.body()).isEmpty();
        assertThat(head.headers().firstValue("Content-Length")).contains("5");
        assertThat(head.headers().firstValue("Content-Type")).contains("text/plain");
        assertThat(head.headers().firstValue("Accept-Ranges")).contains("bytes");
        assertThat(head.headers().firstValue("Etag"))
                .contains("\"" + Blobs.contentOf("hello").sha512().base64() + "\"");
        assertThat(head.headers().firstValue("Last-Modified")).isPresent();
        assertThat(blobs().head(
                                "/a",
                                "If-None-Match",
                                head.headers().firstValue("Etag").orElseThrow())
                        .statusCode())
                .isEqualTo(304);
    }

    @Test
    void missingNameIsNotFound() {
        HttpResponse<byte[]> got = blobs().get("/nothing/here");

        assertThat(got.statusCode()).isEqualTo(404);
        assertThat(text(got)).isEqualTo("NotFound\n");
        assertThat(blobs().head("/nothing/here").statusCode()).isEqualTo(404);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 262_143, 262_144, 262_145, 8_388_607, 8_388_608, 8_388_609, 20_000_000})
    void everyLengthComesBackWhole(int length) {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);

        assertThat(blobs().put("/sized", bytes).statusCode()).isEqualTo(200);

        assertThat(blobs().follow("/sized").body()).isEqualTo(bytes);
        assertThat(database()
                        .count("SELECT count(*) FROM files WHERE size = %d AND encode(sha512, 'hex') = '%s'"
                                .formatted(length, Blobs.sha512(bytes))))
                .isOne();
    }

    @Test
    void uploadOfUnknownLengthComesBackWhole() throws IOException {
        String answer =
                raw("PUT /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                        + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");

        assertThat(answer).startsWith("HTTP/1.1 200 ");
        assertThat(text(blobs().follow("/chunked"))).isEqualTo("hello world");
    }

    @Test
    void putReplacesAndLeavesOnlyTheNewBytes() {
        blobs().put("/a", "old", "Content-Type", "text/plain");
        blobs().put("/a", "new one", "Content-Type", "text/html");

        HttpResponse<byte[]> got = blobs().follow("/a");
        assertThat(text(got)).isEqualTo("new one");
        assertThat(got.headers().firstValue("Content-Type")).contains("text/html");
        assertThat(database().count("SELECT count(*) FROM files WHERE deleted_at IS NULL"))
                .isOne();
        assertThat(database().count("SELECT count(*) FROM files WHERE deleted_at IS NOT NULL"))
                .isOne();
        assertThat(largeObjects()).isEqualTo(backendName().equals("postgres") ? 1 : 0);
    }

    @Test
    void uploadsOfOneNameAtOnceAllSucceedAndOneOfThemIsLeft() throws Exception {
        List<Callable<Integer>> uploads = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            String body = "version " + i;
            uploads.add(() -> blobs().put("/contended", body).statusCode());
        }
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (Future<Integer> status : threads.invokeAll(uploads)) {
                assertThat(status.get()).isEqualTo(200);
            }
        }

        assertThat(text(blobs().follow("/contended"))).matches("version [0-7]");
        assertThat(database().count("SELECT count(*) FROM files WHERE deleted_at IS NULL"))
                .isOne();
        assertThat(database().count("SELECT count(*) FROM files")).isEqualTo(8);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "/with space",
                "/ leading",
                "/trailing ",
                "/100%",
                "/100%25",
                "/a_b",
                "/a+b",
                "/a&b=c?d#e",
                "/a;b",
                "/a.b",
                "/.*",
                "/(x",
                "/[x]",
                "/a|b^c",
                "/quote'\"`",
                "/back\\slash",
                "/tab\tnew\nline",
                "/ünï/cödé",
                "/\u00e9",
                "/e\u0301",
                "/日本/語",
                "/\uD83D\uDE00",
                "/~user",
                "/%2F",
                "/{x}",
                "/$(HOME)",
                "/\u0001\u007f",
                "/CON",
                "/...",
                "/a/b/c/d"
            })
    void namesAreOpaque(String name) {
        assertThat(blobs().put(name, "of " + name).statusCode()).isEqualTo(200);
        blobs().put("/neighbour", "neighbour");

        assertThat(text(blobs().follow(name))).isEqualTo("of " + name);
        assertThat(names()).containsExactlyInAnyOrder(name, "/neighbour");
        assertThat(blobs().delete(name).statusCode()).isEqualTo(200);
        assertThat(names()).containsExactly("/neighbour");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "//a//b",
                "/a/./b",
                "/a/c/../b",
                "/a/b/",
                "/%61/b",
                "/a%2Fb",
                "/a/%2E/b",
                "/x/%2e%2e/a/b",
                "/../a/b",
                "/a/../../a/b",
                "/%2E%2E/a/b",
                "/../../a%2Fx%2f../b",
                "/../a/b?dir=/../x",
                "/a/b/."
            })
    void pathsAreCleanedAsGoDoes(String target) {
        assertThat(blobs().send("PUT", target, "x".getBytes(StandardCharsets.UTF_8))
                        .statusCode())
                .isEqualTo(200);

        assertThat(names()).containsExactly("/a/b");
    }

    @ParameterizedTest
    @ValueSource(strings = {"/%FF", "/%00", "/a%", "/a%2", "/a%zz", "/%C0%AF", "/../%00", "/../a%", "/../%FF"})
    void pathsThatNoNameCanHaveAreRefused(String target) throws IOException {
        assertThat(raw("PUT " + target + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
                .startsWith("HTTP/1.1 400 ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"/", "/..", "/../", "//", "/a/../..", "/%2e%2e/%2e"})
    void rootIsTheRootHoweverItIsWritten(String target) {
        HttpResponse<byte[]> got = blobs().send("GET", target, new byte[0]);

        assertThat(got.statusCode()).isEqualTo(200);
        assertThat(text(got)).isEqualTo("[]\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"/../ü 1/%25 %23", "/x/../../%C3%BC%201/%25%20%23"})
    void pathThatLeadsAboveTheRootIsOtherwiseTakenAsItIs(String target) throws IOException {
        assertThat(raw("PUT " + target.replace(" ", "%20")
                        + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"))
                .startsWith("HTTP/1.1 200 ");

        assertThat(names()).containsExactly("/ü 1/% #");
    }

    @Test
    void rawBytesInThePathAreUtf8() throws IOException {
        assertThat(raw("PUT /ünï|\"{} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"))
                .startsWith("HTTP/1.1 200 ");

        assertThat(names()).containsExactly("/ünï|\"{}");
    }

    /** As the deployed servers do, which put the header's bytes into the row. */
    @Test
    void contentTypeIsStoredAsTheTextThatItsBytesAreInUtf8() throws IOException {
        assertThat(raw("PUT /a HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain; name=café 日本\r\n"
                        + "Content-Length: 1\r\nConnection: close\r\n\r\nx"))
                .startsWith("HTTP/1.1 200 ");

        assertThat(database().texts("SELECT type FROM files WHERE name = '/a' AND deleted_at IS NULL"))
                .containsExactly("text/plain; name=café 日本");
    }

    @Test
    void longNames() {
        String compressible = "/" + "long name ".repeat(400) + "end";
        assertThat(blobs().put(compressible, "x").statusCode()).isEqualTo(200);
        assertThat(text(blobs().follow(compressible))).isEqualTo("x");

        String random = "/"
                + new Random(1)
                        .ints(4_000, 'a', 'z')
                        .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append);
        HttpResponse<byte[]> refused = blobs().put(random, "x");
        assertThat(refused.statusCode()).isEqualTo(400);
        assertThat(text(refused)).contains("too long");
        assertThat(objects()).isEqualTo(backendName().equals("postgres") ? 0 : 1);
    }

    @Test
    void deleteTakesTheNameAndWhatIsBelowAndNothingElse() {
        for (String name : List.of("/a.b", "/a.b/x", "/a.b/y/z", "/aXb", "/a.bc", "/a", "/a_b", "/a%b", "/A.B")) {
            blobs().put(name, name);
        }

        assertThat(blobs().delete("/a.b").statusCode()).isEqualTo(200);

        assertThat(names()).containsExactlyInAnyOrder("/aXb", "/a.bc", "/a", "/a_b", "/a%b", "/A.B");
        assertThat(blobs().get("/a.b/x").statusCode()).isEqualTo(404);
        assertThat(blobs().delete("/a.b").statusCode()).as("idempotent").isEqualTo(200);
    }

    @Test
    void deleteOfAPatternDeletesNothing() {
        blobs().put("/a", "x");

        for (String pattern : List.of("/.*", "/%", "/_", "/[a]", "/a?")) {
            assertThat(blobs().delete(pattern).statusCode()).isEqualTo(200);
        }

        assertThat(names()).containsExactly("/a");
    }

    @Test
    void deleteUnlinksAndKeepsTheRow() {
        blobs().put("/a", "x");
        database().execute("SELECT 1");

        blobs().delete("/a");

        assertThat(database().count("SELECT count(*) FROM files WHERE deleted_at IS NOT NULL AND file_oid IS NULL"))
                .isOne();
        assertThat(largeObjects()).isZero();
    }

    @Test
    void listsDirectChildrenInByteOrder() {
        for (String name :
                List.of("/z", "/a/b", "/a/c/d", "/a/c/e", "/a b", "/ä", "/Z", "/a", "/a%/x", "/a_/y", "/<&>\"")) {
            blobs().put(name, "x");
        }

        assertThat(list("/"))
                .isEqualTo("[\"/<&>\\\"\",\"/Z\",\"/a\",\"/a b\",\"/a%/\",\"/a/\",\"/a_/\",\"/z\",\"/ä\"]\n");
        assertThat(list("/?dir=/a")).isEqualTo("[\"/a/b\",\"/a/c/\"]\n");
        assertThat(list("/?dir=/a/")).isEqualTo("[\"/a/b\",\"/a/c/\"]\n");
        assertThat(list("/?dir=%2Fa%25")).isEqualTo("[\"/a%/x\"]\n");
        assertThat(list("/?other=1&dir=/a/c")).isEqualTo("[\"/a/c/d\",\"/a/c/e\"]\n");
        assertThat(list("/?dir=/%25")).isEqualTo("[]\n");
        assertThat(list("/?dir=/_")).isEqualTo("[]\n");
        assertThat(list("/?dir=a")).isEqualTo("[]\n");
        assertThat(list("/?dir=")).startsWith("[\"/<&>");
        blobs().put("/with space/x", "x");
        assertThat(list("/?dir=/with+space")).isEqualTo("[\"/with space/x\"]\n");
    }

    @Test
    void emptyListIsAnArray() {
        HttpResponse<byte[]> got = blobs().get("/");

        assertThat(text(got)).isEqualTo("[]\n");
        assertThat(got.headers().firstValue("Content-Type")).contains("application/json");
        assertThat(blobs().head("/").statusCode()).isEqualTo(200);
    }

    @Test
    void otherMethodsAreNotAllowed() {
        for (String method : List.of("POST", "PATCH", "OPTIONS")) {
            HttpResponse<byte[]> response = blobs().send(method, "/a", new byte[0]);
            assertThat(response.statusCode()).isEqualTo(405);
            assertThat(response.headers().firstValue("Allow")).isPresent();
        }
        assertThat(blobs().send("POST", "/", new byte[0]).statusCode()).isEqualTo(405);
        assertThat(blobs().send("PUT", "/", new byte[0]).statusCode()).isEqualTo(404);
        assertThat(blobs().send("DELETE", "/", new byte[0]).statusCode()).isEqualTo(404);
    }

    @Test
    void statusAsksTheDatabase() {
        HttpResponse<byte[]> status = blobs().send("GET", "/.well-known/status", new byte[0]);

        assertThat(status.statusCode()).isEqualTo(200);
        assertThat(text(status)).isEqualTo("{\"data\":{\"status\":\"healthy\"}}\n");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 300_000, 9_000_000})
    void uploadThatBreaksOffLeavesTheOldVersionAndNothingElse(int sent) throws IOException {
        blobs().put("/a", "old");
        long rows = database().count("SELECT count(*) FROM files");
        long largeObjects = largeObjects();
        long objects = objects();

        try (SlowPut upload = new SlowPut(blobs().port(), "/a", 10_000_000)) {
            byte[] part = new byte[sent];
            Arrays.fill(part, (byte) 'n');
            upload.send(part);
        }

        Awaitility.await().atMost(PATIENCE).untilAsserted(() -> {
            assertThat(database()
                            .count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                                    + " AND state LIKE 'idle in transaction%'"))
                    .isZero();
            assertThat(database().count("SELECT count(*) FROM files")).isEqualTo(rows);
            assertThat(largeObjects()).isEqualTo(largeObjects);
            assertThat(objects()).isEqualTo(objects);
        });
        assertThat(text(blobs().follow("/a"))).isEqualTo("old");
    }

    private String list(String target) {
        HttpResponse<byte[]> response = blobs().send("GET", target, new byte[0]);
        assertThat(response.statusCode()).isEqualTo(200);
        return text(response);
    }
}
