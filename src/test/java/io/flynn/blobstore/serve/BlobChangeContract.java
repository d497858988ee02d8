package io.flynn.blobstore.serve;

import static io.flynn.blobstore.serve.RunningServer.text;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.testkit.Blobs;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Copies, appends, and changes on condition, wherever the bytes are kept. */
abstract class BlobChangeContract extends BlobServerFixture {

    private static final String COPY_FROM = "Blobstore-Copy-From";
    private static final String OFFSET = "Blobstore-Offset";
    private static final String LONG_AGO = "Wed, 03 Jun 2015 12:00:00 GMT";

    @Test
    void copyIsTheSourceWithItsTypeAndDigest() {
        blobs().put("/from", "hello", "Content-Type", "text/css");

        assertThat(copy("/from", "/to").statusCode()).isEqualTo(200);

        HttpResponse<byte[]> got = blobs().follow("/to");
        assertThat(text(got)).isEqualTo("hello");
        assertThat(got.headers().firstValue("Content-Type")).contains("text/css");
        assertIs("/to", "hello".getBytes(StandardCharsets.UTF_8));
        assertThat(text(blobs().follow("/from"))).isEqualTo("hello");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 262_144, 262_145, 9_000_001})
    void copiesOfEveryLengthAreWhole(int length) {
        byte[] bytes = random(length);
        blobs().put("/from", bytes);

        assertThat(copy("/from", "/to").statusCode()).isEqualTo(200);
        blobs().delete("/from");

        assertIs("/to", bytes);
    }

    @Test
    void copyReplaces() {
        blobs().put("/from", "new");
        blobs().put("/to", "old one");

        assertThat(copy("/from", "/to").statusCode()).isEqualTo(200);

        assertThat(text(blobs().follow("/to"))).isEqualTo("new");
        assertThat(names()).containsExactlyInAnyOrder("/from", "/to");
        assertThat(largeObjects()).isEqualTo(isInPostgres() ? 2 : 0);
    }

    @Test
    void copyOntoItselfIsHarmless() {
        blobs().put("/a", "hello");

        assertThat(copy("/a", "/a").statusCode()).isEqualTo(200);
        assertThat(copy("/b", "/b").statusCode()).isEqualTo(404);

        assertThat(text(blobs().follow("/a"))).isEqualTo("hello");
        assertThat(names()).containsExactly("/a");
    }

    @Test
    void copyOfAMissingNameIsNotFoundAndChangesNothing() {
        blobs().put("/to", "old");
        blobs().put("/from/below", "x");
        Leftovers before = leftovers();

        assertThat(copy("/from", "/to").statusCode()).isEqualTo(404);
        assertThat(copy("/", "/to").statusCode()).isEqualTo(404);

        assertThat(text(blobs().follow("/to"))).isEqualTo("old");
        assertThat(leftovers()).isEqualTo(before);
    }

    @ParameterizedTest
    @ValueSource(strings = {"/a%20b/%C3%BC", "//a%20b/./x/../%C3%BC/", "/../a%20b/\u00fc"})
    void whatToCopyIsAPathAsInARequestTarget(String value) throws IOException {
        blobs().put("/a b/ü", "hello");

        assertThat(raw("PUT /to HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n" + COPY_FROM + ": "
                        + value + "\r\n\r\n"))
                .startsWith("HTTP/1.1 200 ");

        assertThat(text(blobs().follow("/to"))).isEqualTo("hello");
    }

    @ParameterizedTest
    @ValueSource(strings = {"from", "/%zz", "/%FF", "/%00", "http://x/from"})
    void whatIsNoPathCantBeCopied(String value) {
        blobs().put("/from", "x");

        assertThat(copy(value, "/to").statusCode()).isEqualTo(400);
    }

    @Test
    void copyAndAppendExcludeEachOther() {
        blobs().put("/from", "x");

        assertThat(blobs().put("/to", "", COPY_FROM, "/from", OFFSET, "0").statusCode())
                .isEqualTo(400);
    }

    @Test
    void copyGetsTheDigestThatTheSourceLacks() {
        byte[] bytes = random(300_000);
        blobs().put("/from", bytes);
        database().execute("UPDATE files SET sha512 = NULL");

        assertThat(copy("/from", "/to").statusCode()).isEqualTo(200);

        assertIs("/to", bytes);
    }

    @Test
    void copyOfABlobThatIsDeletedMeanwhileIsWholeOrNone() throws Exception {
        byte[] bytes = random(400_000);
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int turn = 0; turn < 20; turn++) {
                blobs().put("/from", bytes);
                blobs().delete("/to");
                Future<HttpResponse<byte[]>> copy = threads.submit(() -> copy("/from", "/to"));
                Future<HttpResponse<byte[]>> delete = threads.submit(() -> blobs().delete("/from"));
                assertThat(delete.get().statusCode()).isEqualTo(200);
                if (copy.get().statusCode() == 200) {
                    assertIs("/to", bytes);
                } else {
                    assertThat(copy.get().statusCode()).isEqualTo(404);
                    assertThat(blobs().get("/to").statusCode()).isEqualTo(404);
                }
            }
        }
        assertNoIntents();
    }

    @ParameterizedTest
    @CsvSource({
        "0, 5",
        "5, 0",
        "5, 6",
        "2047, 2",
        "262144, 262145",
        "300000, 9000000",
        "5242879, 10",
        "5242880, 10",
        "8388608, 8388608",
        "9000000, 1"
    })
    void appendAddsToWhatIsThere(int before, int added) {
        byte[] whole = random(before + added);
        blobs().put("/a", Arrays.copyOf(whole, before), "Content-Type", "text/css");

        assertThat(append("/a", before, Arrays.copyOfRange(whole, before, whole.length), "Content-Type", "text/html")
                        .statusCode())
                .isEqualTo(200);

        assertIs("/a", whole);
        assertThat(blobs().head("/a").headers().firstValue("Content-Type")).contains("text/css");
        assertThat(largeObjects()).isEqualTo(isInPostgres() ? 1 : 0);
        assertNoIntents();
    }

    @Test
    void appendsFollowOneAnother() {
        byte[] whole = random(50_000);
        blobs().put("/a", new byte[0]);
        for (int offset = 0; offset < whole.length; offset += 5_000) {
            assertThat(append("/a", offset, Arrays.copyOfRange(whole, offset, offset + 5_000))
                            .statusCode())
                    .isEqualTo(200);
        }

        assertIs("/a", whole);
    }

    @Test
    void appendElsewhereThanAtTheEndIsAConflictThatSaysWhereTheEndIs() {
        blobs().put("/a", "hello");
        Leftovers before = leftovers();

        for (int offset : List.of(3, 4, 6)) {
            HttpResponse<byte[]> refused = append("/a", offset, new byte[10]);
            assertThat(refused.statusCode()).isEqualTo(409);
            assertThat(text(refused)).contains(" " + offset + ",").contains(" 5 ");
        }
        assertThat(text(blobs().follow("/a"))).isEqualTo("hello");
        assertThat(leftovers()).isEqualTo(before);
    }

    @Test
    void appendToAMissingNameIsNotFound() {
        assertThat(append("/a", 5, new byte[1]).statusCode()).isEqualTo(404);
        assertThat(names()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"-1", "x", "5.0", "0x5", "99999999999999999999", "5 5", "+5"})
    void offsetThatIsNoNumberIsRefused(String offset) {
        blobs().put("/a", "hello");

        HttpResponse<byte[]> refused = blobs().put("/a", " world", OFFSET, offset);

        assertThat(refused.statusCode()).isEqualTo(400);
        assertThat(text(refused)).contains(OFFSET);
        assertThat(text(blobs().follow("/a"))).isEqualTo("hello");
    }

    @Test
    void offsetZeroIsAPlainUpload() {
        assertThat(blobs().put("/a", "new", OFFSET, "0").statusCode()).isEqualTo(200);
        assertThat(text(blobs().follow("/a"))).isEqualTo("new");
        assertThat(blobs().put("/a", "again", OFFSET, "0").statusCode()).isEqualTo(200);
        assertThat(text(blobs().follow("/a"))).isEqualTo("again");
    }

    @Test
    void ofTwoAppendsAtOnceOneIsAConflict() throws IOException {
        blobs().put("/a", "hello");
        byte[] ones = new byte[300_000];
        Arrays.fill(ones, (byte) '1');
        byte[] twos = new byte[300_000];
        Arrays.fill(twos, (byte) '2');

        try (SlowPut one = slowPut("/a", ones.length, OFFSET + ": 5");
                SlowPut two = slowPut("/a", twos.length, OFFSET + ": 5")) {
            one.send(Arrays.copyOf(ones, 100_000));
            two.send(Arrays.copyOf(twos, 100_000));
            assertThat(one.send(Arrays.copyOf(ones, 200_000)).status()).isEqualTo(200);
            assertThat(two.send(Arrays.copyOf(twos, 200_000)).status()).isEqualTo(409);
        }

        assertIs("/a", joined("hello".getBytes(StandardCharsets.UTF_8), ones));
        assertThat(largeObjects()).isEqualTo(isInPostgres() ? 1 : 0);
        assertNoIntents();
    }

    @Test
    void ofManyAppendsAtOnceOneIsDone() throws Exception {
        blobs().put("/a", "hello");
        List<Callable<Integer>> appends = IntStream.range(0, 6)
                .<Callable<Integer>>mapToObj(i ->
                        () -> append("/a", 5, new byte[] {(byte) i}).statusCode())
                .toList();

        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Integer> statuses = threads.invokeAll(appends).stream()
                    .map(Future::resultNow)
                    .sorted()
                    .toList();
            assertThat(statuses).containsExactly(200, 409, 409, 409, 409, 409);
        }
        assertThat(blobs().follow("/a").body()).hasSize(6);
    }

    @Test
    void appendToABlobThatIsReplacedMeanwhileIsAConflict() throws IOException {
        blobs().put("/a", "hello");

        try (SlowPut append = slowPut("/a", 6, OFFSET + ": 5")) {
            append.send(" wo");
            assertThat(blobs().put("/a", "other").statusCode()).isEqualTo(200);
            assertThat(append.send("rld").status()).isEqualTo(409);
        }

        assertThat(text(blobs().follow("/a"))).isEqualTo("other");
        assertThat(largeObjects()).isEqualTo(isInPostgres() ? 1 : 0);
        assertNoIntents();
    }

    @Test
    void appendToABlobThatIsDeletedMeanwhileIsAConflict() throws IOException {
        blobs().put("/a", "hello");

        try (SlowPut append = slowPut("/a", 6, OFFSET + ": 5")) {
            append.send(" wo");
            assertThat(blobs().delete("/a").statusCode()).isEqualTo(200);
            assertThat(append.send("rld").status()).isEqualTo(409);
        }

        assertThat(names()).isEmpty();
        assertThat(largeObjects()).isZero();
        assertNoIntents();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 9_000_000})
    void appendThatBreaksOffLeavesTheOldBytesAndNothingElse(int sent) throws IOException {
        byte[] bytes = random(6_000_000);
        blobs().put("/a", bytes);
        Leftovers before = leftovers();

        try (SlowPut append = slowPut("/a", 10_000_000, OFFSET + ": 6000000")) {
            append.send(new byte[sent]);
        }

        Awaitility.await().atMost(PATIENCE).untilAsserted(() -> {
            assertThat(database()
                            .count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                                    + " AND state LIKE 'idle in transaction%'"))
                    .isZero();
            assertThat(leftovers()).isEqualTo(before);
        });
        assertIs("/a", bytes);
    }

    @Test
    void appendToABlobWhoseBytesAreNotWhatItsRowSaysIsAFailure() {
        blobs().put("/a", "hello");
        database().execute("UPDATE files SET sha512 = decode(repeat('00', 64), 'hex')");

        assertThat(append("/a", 5, new byte[1]).statusCode()).isEqualTo(500);
        assertThat(blobs().head("/a").headers().firstValue("Content-Length")).contains("5");
        assertNoIntents();
    }

    @Test
    void changesOnConditionAreMadeIfItHolds() {
        assertThat(put("If-None-Match", "*")).isEqualTo(200);
        assertThat(put("If-Match", etag())).isEqualTo(200);
        assertThat(put("If-Match", "\"other\", " + etag())).isEqualTo(200);
        assertThat(put("If-Match", "*")).isEqualTo(200);
        assertThat(put("If-None-Match", "\"other\"")).isEqualTo(200);
        assertThat(put("If-Unmodified-Since", lastModified())).isEqualTo(200);
        assertThat(put("If-Unmodified-Since", "yesterday")).isEqualTo(200);
        assertThat(put("If-Match", etag(), "If-Unmodified-Since", LONG_AGO)).isEqualTo(200);
        assertThat(put("If-Modified-Since", lastModified()))
                .as("is not for changes")
                .isEqualTo(200);
        assertThat(append("/a", 1, new byte[] {'b'}, "If-Match", etag()).statusCode())
                .isEqualTo(200);
        assertThat(copy("/a", "/b", "If-None-Match", "*").statusCode()).isEqualTo(200);
        assertThat(blobs().delete("/a", "If-Match", etag()).statusCode()).isEqualTo(200);
        assertThat(blobs().delete("/a", "If-None-Match", "*").statusCode()).isEqualTo(200);
        assertThat(put("If-Unmodified-Since", LONG_AGO))
                .as("there is nothing that has a date")
                .isEqualTo(200);
    }

    @Test
    void changesOnConditionAreNotMadeIfItDoesNotHold() {
        blobs().put("/a", "old");
        blobs().put("/a/below", "x");
        Leftovers before = leftovers();

        for (String[] condition : List.of(
                new String[] {"If-Match", "\"other\""},
                new String[] {"If-Match", "W/" + etag()},
                new String[] {"If-None-Match", "*"},
                new String[] {"If-None-Match", etag()},
                new String[] {"If-None-Match", "\"other\", W/" + etag()},
                new String[] {"If-Unmodified-Since", LONG_AGO})) {
            assertThat(put(condition)).isEqualTo(412);
            assertThat(append("/a", 3, new byte[1], condition).statusCode()).isEqualTo(412);
            assertThat(copy("/a/below", "/a", condition).statusCode()).isEqualTo(412);
            assertThat(copy("/a", "/a", condition).statusCode()).isEqualTo(412);
            assertThat(blobs().delete("/a", condition).statusCode()).isEqualTo(412);
        }
        assertThat(blobs().put("/b", "x", "If-Match", "*").statusCode()).isEqualTo(412);
        assertThat(blobs().delete("/b", "If-Match", "*").statusCode()).isEqualTo(412);

        assertThat(text(blobs().follow("/a"))).isEqualTo("old");
        assertThat(names()).containsExactlyInAnyOrder("/a", "/a/below");
        assertThat(leftovers()).isEqualTo(before);
    }

    @Test
    void uselessUploadIsRefusedBeforeItIsSent() throws IOException {
        blobs().put("/a", "old");

        for (String condition : List.of("If-None-Match: *", OFFSET + ": 2", "Content-Range: bytes 0-1/2")) {
            try (SlowPut refused = new SlowPut(blobs().port(), "/a", 1_000, condition)) {
                assertThat(refused.isWanted()).as(condition).isFalse();
                assertThat(refused.status()).isBetween(400, 412);
            }
        }
    }

    @Test
    void conditionIsLookedAtAgainWhenTheUploadHasEnded() throws IOException {
        blobs().put("/a", "old");

        try (SlowPut upload = slowPut("/a", 6, "If-Match: " + etag())) {
            upload.send("new");
            assertThat(blobs().put("/a", "other").statusCode()).isEqualTo(200);
            Leftovers before = leftovers();
            assertThat(upload.send("new").status()).isEqualTo(412);
            assertThat(leftovers().objects()).isLessThanOrEqualTo(before.objects());
        }

        assertThat(text(blobs().follow("/a"))).isEqualTo("other");
        assertThat(largeObjects()).isEqualTo(isInPostgres() ? 1 : 0);
        assertNoIntents();
    }

    @Test
    void ofManyThatCreateANameOneSucceeds() throws Exception {
        List<Callable<Integer>> uploads = IntStream.range(0, 6)
                .<Callable<Integer>>mapToObj(i -> () -> put("If-None-Match", "*"))
                .toList();

        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            assertThat(threads.invokeAll(uploads).stream()
                            .map(Future::resultNow)
                            .sorted()
                            .toList())
                    .containsExactly(200, 412, 412, 412, 412, 412);
        }
        assertNoIntents();
    }

    @Test
    void partOfABlobCantBeReplaced() {
        blobs().put("/a", "old");

        HttpResponse<byte[]> refused = blobs().put("/a", "n", "Content-Range", "bytes 0-0/3");

        assertThat(refused.statusCode()).isEqualTo(400);
        assertThat(text(refused)).contains("Content-Range");
        assertThat(text(blobs().follow("/a"))).isEqualTo("old");
    }

    final SlowPut slowPut(String target, long length, String... headers) throws IOException {
        SlowPut upload = new SlowPut(blobs().port(), target, length, headers);
        assertThat(upload.isWanted()).isTrue();
        return upload;
    }

    final HttpResponse<byte[]> append(String name, long offset, byte[] more, String... headers) {
        return blobs().put(name, more, with(headers, OFFSET, Long.toString(offset)));
    }

    final HttpResponse<byte[]> copy(String source, String target, String... headers) {
        return blobs().put(target, new byte[0], with(headers, COPY_FROM, source));
    }

    /** The name's bytes, and all that its row says of them. */
    final void assertIs(String name, byte[] bytes) {
        Sha512 digest = Blobs.sha512(bytes);
        assertThat(blobs().follow(name).body()).isEqualTo(bytes);
        assertThat(blobs().head(name).headers().firstValue("Etag")).contains("\"" + digest.base64() + "\"");
        assertThat(database()
                        .count(("SELECT count(*) FROM files WHERE name = '%s' AND deleted_at IS NULL AND backend = '%s'"
                                        + " AND size = %d AND encode(sha512, 'hex') = '%s' AND sha512_state IS NULL")
                                .formatted(name, backendName(), bytes.length, digest)))
                .isOne();
    }

    /** All that an upload could leave behind. */
    record Leftovers(long rows, long largeObjects, long objects) {}

    final Leftovers leftovers() {
        return new Leftovers(database().count("SELECT count(*) FROM files"), largeObjects(), objects());
    }

    final void assertNoIntents() {
        assertThat(database().count("SELECT count(*) FROM files WHERE size IS NULL"))
                .isZero();
        assertThat(objects())
                .isEqualTo(database()
                        .count("SELECT count(DISTINCT external_id) FROM files WHERE external_id IS NOT NULL"));
    }

    final byte[] random(int length) {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return bytes;
    }

    private boolean isInPostgres() {
        return backendName().equals("postgres");
    }

    private int put(String... condition) {
        return blobs().put("/a", "x", condition).statusCode();
    }

    private String etag() {
        return blobs().head("/a").headers().firstValue("Etag").orElseThrow();
    }

    private String lastModified() {
        return blobs().head("/a").headers().firstValue("Last-Modified").orElseThrow();
    }

    private static String[] with(String[] headers, String name, String value) {
        String[] all = Arrays.copyOf(headers, headers.length + 2);
        all[headers.length] = name;
        all[headers.length + 1] = value;
        return all;
    }

    private static byte[] joined(byte[] first, byte[] second) {
        byte[] whole = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, whole, first.length, second.length);
        return whole;
    }
}
