package io.flynn.blobstore.conformance;

import static io.flynn.blobstore.conformance.Blobstore.encoded;
import static io.flynn.blobstore.conformance.Blobstore.etag;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** PUT of a whole blob: all of it becomes the name's version, or nothing changes. */
interface Uploads extends Suite {

    @Test
    default void whatWasPutIsGot() {
        given("slug.tgz", "hello", "Content-Type", "application/x-tar");

        assertBlob("slug.tgz", "hello");
        assertThat(blobs().read(name("slug.tgz")).header("Content-Type")).contains("application/x-tar");
    }

    @Test
    default void putReplacesBytesAndType() {
        given("a", "old", "Content-Type", "text/plain");
        given("a", "new one", "Content-Type", "text/html");
        given("a", "the newest", "Content-Type", "text/css");

        assertBlob("a", "the newest");
        assertThat(blobs().head(name("a")).header("Content-Type")).contains("text/css");
        assertThat(blobs().list(folder())).containsExactly(name("a"));
    }

    @Test
    default void putReplacesALongBlobByNoBytes() {
        given("a", "x".repeat(100_000));
        given("a", "");

        assertBlob("a", "");
    }

    @ParameterizedTest
    @ValueSource(
            ints = {
                0,
                1,
                2_047,
                2_048,
                2_049,
                262_143,
                262_144,
                262_145,
                5_242_880,
                8_388_607,
                8_388_608,
                8_388_609,
                17_000_000
            })
    default void everyLengthComesBackWhole(int length) {
        byte[] bytes = Suite.random(length);

        assertThat(blobs().put(name("sized"), bytes).status()).isEqualTo(200);

        assertThat(blobs().read(name("sized")).body()).isEqualTo(bytes);
        Answer head = blobs().head(name("sized"));
        assertThat(head.header("Content-Length")).contains(Integer.toString(length));
        assertThat(head.header("Etag")).contains(etag(bytes));
    }

    @Test
    default void everyByteComesBack() {
        byte[] bytes = new byte[256];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) i;
        }

        blobs().put(name("bytes"), bytes);

        assertThat(blobs().read(name("bytes")).body()).isEqualTo(bytes);
    }

    @Test
    default void uploadOfUnknownLengthComesBackWhole() throws IOException {
        String answer = raw(
                "PUT %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5;extension=\"1\"\r\nhello\r\n006\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
                        .formatted(encoded(name("chunked"))));

        assertThat(answer).startsWith("HTTP/1.1 200 ");
        assertBlob("chunked", "hello world");
    }

    @Test
    default void clientThatExpectsIsToldToContinue() throws IOException {
        try (Wire wire = Wire.to(blobs().server())) {
            wire.send("PUT %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
                    .formatted(encoded(name("a"))));
            assertThat(wire.answer(true).orElseThrow().status()).isEqualTo(100);
            wire.send("hello");
            assertThat(wire.answer(true).orElseThrow().status()).isEqualTo(200);
        }

        assertBlob("a", "hello");
    }

    @Test
    default void requestsMayFollowEachOtherUnanswered() throws IOException {
        String target = encoded(name("a"));
        String answers = raw(
                "PUT %1$s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirstPUT %1$s HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nsecondDELETE %1$s-b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                        .formatted(target));

        assertThat(answers.split("HTTP/1.1 200 ", -1)).hasSize(4);
        assertBlob("a", "second");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "text/html; charset=UTF-8",
                "TEXT/Html;Charset=utf-8",
                "text/plain; name=\"a, b; c\\\"d\"",
                "not a type at all",
                "text/plain; name=caf\u00c3\u00a9",
                "text/plain; name=\u00e6\u0097\u00a5\u00e6\u009c\u00ac",
                "text/plain;\tx=y",
                "%41%00",
                "<script>"
            })
    default void contentTypeComesBackByteByByte(String type) {
        given("a", "x", "Content-Type", type);

        assertThat(blobs().head(name("a")).header("Content-Type")).contains(type);
        Answer got = blobs().get(name("a"));
        if (!got.isRedirect()) {
            assertThat(got.header("Content-Type")).contains(type);
        }
        assertThat(blobs().read(name("a")).text()).isEqualTo("x");
    }

    /** The deployed servers fail such an upload: their database takes nothing but UTF-8. */
    @Test
    default void contentTypeThatIsNotUtf8ComesBackAsTheSameTextInUtf8() {
        assumeTrue(blobs().put(name("a"), "x", "Content-Type", "text/plain; name=caf\u00e9")
                        .status()
                == 200);

        assertThat(blobs().head(name("a")).header("Content-Type"))
                .contains(Blobstore.raw("text/plain; name=caf\u00e9"));
    }

    @Test
    default void blobWithoutTypeHasNone() {
        given("a", "x");

        assertThat(blobs().head(name("a")).header("Content-Type")).isEmpty();
        assertBlob("a", "x");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 300_000, 6_000_000})
    default void uploadThatBreaksOffLeavesTheOldVersion(int sent) throws IOException {
        given("a", "old");

        try (Wire wire = Wire.to(blobs().server())) {
            wire.send("PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: 7000000\r\n\r\n".formatted(encoded(name("a"))));
            wire.send(new byte[sent]);
            wire.end();
            assertThat(wire.rest()).asString().doesNotStartWith("HTTP/1.1 2");
        }

        assertBlob("a", "old");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "5\r\nhel",
                "5\r\nhello",
                "5\r\nhello\r\n",
                "5\r\nhello!\r\n0\r\n\r\n",
                "x\r\nhello\r\n0\r\n\r\n",
                "-5\r\nhello\r\n0\r\n\r\n",
                "5\r\nhello\r\nFFFFFFFFFFFFFFFFF\r\n"
            })
    default void chunksThatAreNoneLeaveTheOldVersion(String body) throws IOException {
        given("a", "old");

        try (Wire wire = Wire.to(blobs().server())) {
            wire.send("PUT %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%s"
                    .formatted(encoded(name("a")), body));
            wire.end();
            assertThat(wire.rest()).asString().doesNotStartWith("HTTP/1.1 2");
        }

        assertBlob("a", "old");
    }

    @Test
    default void uploadsOfOneNameAtOnceAllSucceedAndOneOfThemIsLeft() throws Exception {
        List<Callable<Integer>> uploads = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            String body = "version " + i;
            uploads.add(() -> {
                try (Blobstore other = new Blobstore(blobs().server())) {
                    return other.put(name("contended"), body).status();
                }
            });
        }
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (Future<Integer> status : threads.invokeAll(uploads)) {
                assertThat(status.get()).isEqualTo(200);
            }
        }

        assertThat(blobs().read(name("contended")).text()).matches("version [0-5]");
        assertThat(blobs().list(folder())).containsExactly(name("contended"));
    }

    @Test
    default void readersDuringUploadsSeeOneVersionWhole() throws Exception {
        byte[] first = Suite.random(400_001);
        byte[] second = Suite.random(300_002);
        blobs().put(name("a"), first);

        try (var threads = Executors.newVirtualThreadPerTaskExecutor();
                Blobstore other = new Blobstore(blobs().server())) {
            Future<?> writing = threads.submit(() -> {
                for (int i = 0; i < 10; i++) {
                    assertThat(other.put(name("a"), i % 2 == 0 ? second : first).status())
                            .isEqualTo(200);
                }
            });
            while (!writing.isDone()) {
                assertThat(blobs().read(name("a")).body()).isIn(first, second);
            }
            writing.get();
        }
        Awaitility.await()
                .atMost(Duration.ofSeconds(20))
                .untilAsserted(
                        () -> assertThat(blobs().head(name("a")).header("Etag")).contains(etag(first)));
    }
}
