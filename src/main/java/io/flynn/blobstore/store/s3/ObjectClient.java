package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.BlockingDeque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.services.s3.model.S3Exception;

/**
 * The few requests that a move makes for every blob, without the SDK: a blob of 16 KiB costs it a fifth of the SDK's CPU, and a
 * process that lives for seconds doesn't load it at all. Bodies go from the database's messages to the socket on the thread that
 * reads them. Everything that is rare stays with the SDK.
 *
 * <p>Thread-safe; calls block. They are repeated as the SDK repeats them, and throw what it throws: {@link S3Exception} for an answer
 * that is a failure, {@link UncheckedIOException} for none; what the body's source throws, as it is.
 */
final class ObjectClient implements AutoCloseable {

    private static final Duration CONNECT = Duration.ofSeconds(5);

    /** No byte for this long ends an attempt; a slow transfer that goes on doesn't end. */
    private static final Duration STALL = Duration.ofSeconds(30);

    /** Who knows nothing of interim answers gives none (RFC 9110, section 10.1.1). */
    private static final Duration CONTINUE = Duration.ofSeconds(1);

    /** From here on a refusal is worth a round trip: nothing is read of the source for it. */
    private static final long EXPECT_BYTES = 1024 * 1024;

    private static final int ATTEMPTS = 4;

    /** As many as can be in use at once, so that none is made twice: more small blobs than that are never on their way. */
    private static final int IDLE_MAX = 1024;

    private static final Duration FIRST_PAUSE = Duration.ofMillis(100);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(20);

    private static final int TOO_MANY = 429;
    private static final int UNAVAILABLE = 503;

    private static final String UNSIGNED = "UNSIGNED-PAYLOAD";
    private static final String WITH_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    private static final String TRAILER = "x-amz-checksum-crc64nvme";
    private static final byte[] CRLF = {'\r', '\n'};

    /** MinIO refuses longer ones than 16 MiB. */
    private static final long CHUNK_BYTES = 1024 * 1024;

    /** Of a CRC-64 in base64. */
    private static final int CRC_CHARACTERS = 12;

    private static final Pattern CODE = Pattern.compile("<Code>([A-Za-z0-9]{1,100})</Code>");

    private final URI store;
    private final String folder;
    private final RequestSignature signature;
    private final Traffic traffic;
    private final BlockingDeque<StoreConnection> idle = new LinkedBlockingDeque<>(IDLE_MAX);
    private final Set<StoreConnection> busy = ConcurrentHashMap.newKeySet();
    private final Thread watch;
    private volatile boolean isClosed;

    ObjectClient(BackendSettings backend, Traffic traffic) {
        this.traffic = traffic;
        URI bucket = S3Clients.bucketUri(backend);
        store = bucket;
        folder = bucket.getRawPath().endsWith("/") ? bucket.getRawPath() : bucket.getRawPath() + "/";
        signature =
                new RequestSignature(S3Clients.region(backend).id(), backend.accessKeyId(), backend.secretAccessKey());
        watch = Thread.ofPlatform().daemon().name("stalled-connections").start(this::closeStalled);
    }

    /**
     * Stores {@code body} whole.
     *
     * @param headers beside those that every request has
     */
    void put(String key, ReplayableBody body, Map<String, String> headers) {
        Map<String, String> all = headers(body, UNSIGNED);
        all.putAll(headers);
        exchange("PUT", key, all, connection -> send(body, new Plain(connection)), body.size());
    }

    /** Stores {@code body} whole, its CRC-64/NVME behind it, reckoned as it passes. */
    void putWithTrailer(String key, ReplayableBody body) {
        putWithTrailer(key, body, Optional.empty());
    }

    /** @param instead in the checksum's place, to see whether the store looks at it */
    void putWithTrailer(String key, ReplayableBody body, Optional<String> instead) {
        Map<String, String> all = headers(body, WITH_TRAILER);
        all.put("content-encoding", "aws-chunked");
        all.put("x-amz-decoded-content-length", Long.toString(body.size()));
        all.put("x-amz-trailer", TRAILER);
        exchange(
                "PUT",
                key,
                all,
                connection -> send(body, new Chunked(connection, body.size(), instead)),
                encodedLength(body.size()));
    }

    private static Map<String, String> headers(ReplayableBody body, String contentSha256) {
        return new TreeMap<>(Map.of("content-type", ObjectType.of(body.type()), "x-amz-content-sha256", contentSha256));
    }

    /** Deletes an object, or finds it gone. */
    void delete(String key) {
        Map<String, String> headers = new TreeMap<>(Map.of("x-amz-content-sha256", UNSIGNED));
        exchange("DELETE", key, headers, connection -> {}, 0);
    }

    /** Sends a request's body. */
    private interface Sender {
        void send(StoreConnection connection) throws IOException;
    }

    private void exchange(String method, String key, Map<String, String> headers, Sender body, long length) {
        headers.put("host", host());
        for (int attempt = 1; ; attempt++) {
            StoreConnection.Answer answer;
            try {
                answer = attempt(method, folder + key, headers, body, length);
                if (answer.status() < 300) {
                    traffic.accepted();
                    return;
                }
            } catch (IOException e) {
                if (attempt == ATTEMPTS || isClosed) {
                    throw new UncheckedIOException(e);
                }
                pause(attempt);
                continue;
            }
            if (answer.status() == TOO_MANY || answer.status() == UNAVAILABLE) {
                traffic.refused();
            }
            if (attempt == ATTEMPTS || !isWorthAnotherTry(answer.status())) {
                throw failure(answer);
            }
            pause(attempt);
        }
    }

    private static boolean isWorthAnotherTry(int status) {
        return status == 408 || status == 429 || (status >= 500 && status != 501);
    }

    private static void pause(int attempt) {
        long most = Math.min(FIRST_PAUSE.toMillis() << (2 * attempt), LONGEST_PAUSE.toMillis());
        Pauses.sleep(Duration.ofMillis(ThreadLocalRandom.current().nextLong(most / 2, most)));
    }

    private static S3Exception failure(StoreConnection.Answer answer) {
        Matcher code = CODE.matcher(answer.body());
        return (S3Exception) S3Exception.builder()
                .statusCode(answer.status())
                .message("HTTP status " + answer.status())
                .awsErrorDetails(AwsErrorDetails.builder()
                        .errorCode(code.find() ? code.group(1) : "")
                        .build())
                .build();
    }

    /** On a kept connection, or on a new one if that turns out to have been closed meanwhile. */
    private StoreConnection.Answer attempt(
            String method, String path, Map<String, String> headers, Sender body, long length) throws IOException {
        StoreConnection kept = idle.pollFirst();
        if (kept != null) {
            try {
                return on(kept, method, path, headers, body, length);
            } catch (IOException e) {
                if (kept.hasAnswered()) {
                    throw e;
                }
            }
        }
        return on(StoreConnection.open(store, CONNECT, STALL), method, path, headers, body, length);
    }

    private StoreConnection.Answer on(
            StoreConnection connection,
            String method,
            String path,
            Map<String, String> headers,
            Sender body,
            long length)
            throws IOException {
        busy.add(connection);
        boolean isWhole = false;
        try {
            Map<String, String> signed = signature.sign(method, path, headers, Instant.now());
            signed.put("content-length", Long.toString(length));
            boolean isAnnounced = length > EXPECT_BYTES;
            if (isAnnounced) {
                signed.put("expect", "100-continue");
            }
            connection.begin(method, path, signed);
            if (isAnnounced) {
                connection.flush();
                StoreConnection.Answer early = connection.refusal(CONTINUE, STALL);
                if (early != null) {
                    return early;
                }
            }
            try {
                body.send(connection);
                connection.flush();
            } catch (IOException e) {
                return connection.answerAfter(e);
            }
            long sent = System.nanoTime();
            StoreConnection.Answer answer = connection.answer();
            if (isAnnounced) {
                // Many small ones wait at once: who sends them says how long for.
                traffic.waited(Traffic.Wait.STORE, System.nanoTime() - sent);
            }
            isWhole = connection.isKept();
            return answer;
        } finally {
            busy.remove(connection);
            if (!isWhole || isClosed || !idle.offerFirst(connection)) {
                connection.close();
            }
        }
    }

    private void send(ReplayableBody body, Framing framing) throws IOException {
        Sending sending = new Sending(framing, traffic);
        body.open().subscribe(sending);
        try {
            sending.done.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof IOException broken) {
                throw broken;
            }
            if (e.getCause() instanceof StorageFailure source) {
                throw source;
            }
            throw e;
        }
    }

    private String host() {
        boolean isUsual = store.getPort() < 0 || store.getPort() == ("https".equals(store.getScheme()) ? 443 : 80);
        return isUsual ? store.getHost() : store.getHost() + ":" + store.getPort();
    }

    /** What {@link Chunked} makes of so many bytes. */
    private static long encodedLength(long size) {
        long whole = size / CHUNK_BYTES;
        long rest = size % CHUNK_BYTES;
        return whole * (chunkHead(CHUNK_BYTES).length() + CHUNK_BYTES + CRLF.length)
                + (rest == 0 ? 0 : chunkHead(rest).length() + rest + CRLF.length)
                + chunkHead(0).length()
                + TRAILER.length()
                + 1
                + CRC_CHARACTERS
                + 2L * CRLF.length;
    }

    private static String chunkHead(long size) {
        return Long.toHexString(size) + "\r\n";
    }

    private interface Framing {
        void write(ByteBuffer bytes) throws IOException;

        void end() throws IOException;
    }

    private record Plain(StoreConnection connection) implements Framing {
        @Override
        public void write(ByteBuffer bytes) throws IOException {
            connection.write(bytes);
        }

        @Override
        public void end() {}
    }

    /** A body with a checksum behind it (Amazon S3 API Reference, "Trailing checksums"). */
    private static final class Chunked implements Framing {

        private final StoreConnection connection;
        private final Optional<String> instead;
        private final Crc64Nvme crc = new Crc64Nvme();
        private long left;
        private long leftOfChunk;

        Chunked(StoreConnection connection, long size, Optional<String> instead) {
            this.connection = connection;
            this.instead = instead;
            left = size;
        }

        @Override
        public void write(ByteBuffer bytes) throws IOException {
            crc.update(bytes);
            while (bytes.hasRemaining()) {
                if (leftOfChunk == 0) {
                    leftOfChunk = Math.min(left, CHUNK_BYTES);
                    connection.write(chunkHead(leftOfChunk).getBytes(StandardCharsets.ISO_8859_1));
                }
                int count = (int) Math.min(leftOfChunk, bytes.remaining());
                connection.write(bytes.slice(bytes.position(), count));
                bytes.position(bytes.position() + count);
                left -= count;
                leftOfChunk -= count;
                if (leftOfChunk == 0) {
                    connection.write(CRLF);
                }
            }
        }

        @Override
        public void end() throws IOException {
            String end = chunkHead(0) + TRAILER + ":" + instead.orElseGet(crc::base64) + "\r\n\r\n";
            connection.write(end.getBytes(StandardCharsets.ISO_8859_1));
        }
    }

    /** Writes on the thread that delivers, which so waits for the store. */
    private static final class Sending implements Flow.Subscriber<ByteBuffer> {

        final CompletableFuture<Void> done = new CompletableFuture<>();
        private final Framing framing;
        private final Traffic traffic;
        private Flow.@Nullable Subscription subscription;

        Sending(Framing framing, Traffic traffic) {
            this.traffic = traffic;
            this.framing = framing;
        }

        @Override
        public void onSubscribe(Flow.Subscription started) {
            subscription = started;
            started.request(1);
        }

        @Override
        public void onNext(ByteBuffer bytes) {
            Flow.Subscription running = subscription;
            if (running == null || done.isDone()) {
                return;
            }
            try {
                traffic.pass(bytes.remaining());
                long start = System.nanoTime();
                framing.write(bytes);
                traffic.waited(Traffic.Wait.NETWORK, System.nanoTime() - start);
            } catch (IOException e) {
                running.cancel();
                done.completeExceptionally(e);
                return;
            }
            running.request(1);
        }

        @Override
        public void onError(Throwable failure) {
            done.completeExceptionally(failure);
        }

        @Override
        public void onComplete() {
            try {
                framing.end();
                done.complete(null);
            } catch (IOException e) {
                done.completeExceptionally(e);
            }
        }
    }

    /** A blocked write knows no time-out. */
    private void closeStalled() {
        try {
            while (!isClosed) {
                Thread.sleep(STALL.dividedBy(10));
                busy.stream().filter(connection -> connection.isStalled(STALL)).forEach(StoreConnection::close);
            }
        } catch (InterruptedException e) {
            // Closed.
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        isClosed = true;
        watch.interrupt();
        idle.forEach(StoreConnection::close);
        busy.forEach(StoreConnection::close);
    }
}
