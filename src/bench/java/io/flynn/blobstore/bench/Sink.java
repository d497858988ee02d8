package io.flynn.blobstore.bench;

import io.flynn.blobstore.blob.Digest;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Base64;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;

/**
 * An S3 store that costs next to nothing, to find out what everything else costs: takes every object and forgets it at once, but for
 * tiny ones. One thread for all connections: {@code Sink PORT DELAY_MILLIS [without-sha512]}.
 *
 * <p>It answers every request so much later than its last byte came. Whole bodies are looked at only if they are tiny: there it
 * refuses what a store refuses that checks SHA-512, or, without that, one that checks CRC-64/NVME of objects, of parts, and of objects of
 * one part. So whoever probes finds a store that proves; of what is larger nothing is checked.
 *
 * <p>{@value #FIRST_BYTE} tells by {@link System#nanoTime}, which the processes of a Linux machine share, when the first byte of a body
 * came that is not tiny, since that was asked last.
 */
public final class Sink {

    static final String FIRST_BYTE = "/first-byte";

    private static final int READ_BYTES = 1 << 20;
    private static final int HEAD_BYTES_MAX = 16 << 10;
    private static final int LOOKED_AT_BYTES_MAX = 1023;

    private static final String OK =
            "HTTP/1.1 200 OK\r\nETag: \"0123456789abcdef0123456789abcdef\"\r\nContent-Length: 0\r\n\r\n";
    private static final String CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
    private static final String NONE = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

    static final String WITHOUT_SHA512 = "without-sha512";

    /** As in the NVM Express NVM Command Set Specification, reflected. */
    private static final long CRC64NVME = 0x9A6C_9329_AC4B_C9B5L;

    private final long delayNanos;
    private final boolean knowsSha512;
    private final Selector selector = Selector.open();
    private final ByteBuffer read = ByteBuffer.allocateDirect(READ_BYTES);
    private final Map<String, String> kept = new HashMap<>();
    private final Map<String, String> sumsOfTinyParts = new HashMap<>();
    private final Deque<Answer> answers = new ArrayDeque<>();

    private long firstByteAt;

    private record Answer(long at, SocketChannel to, String text) {}

    private static final class Connection {
        final SocketChannel channel;
        final byte[] head = new byte[HEAD_BYTES_MAX];
        int headLength;
        boolean isInBody;
        long left;
        byte[] looked = new byte[0];
        int lookedLength;
        String request = "";

        Connection(SocketChannel channel) {
            this.channel = channel;
        }
    }

    private Sink(int port, Duration delay, boolean knowsSha512) throws IOException {
        this.knowsSha512 = knowsSha512;
        delayNanos = delay.toNanos();
        ServerSocketChannel server = ServerSocketChannel.open();
        server.setOption(StandardSocketOptions.SO_REUSEADDR, true);
        server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 1024);
        server.configureBlocking(false);
        server.register(selector, SelectionKey.OP_ACCEPT);
    }

    public static void main(String[] arguments) throws IOException {
        boolean knowsSha512 = arguments.length < 3 || !arguments[2].equals(WITHOUT_SHA512);
        new Sink(Integer.parseInt(arguments[0]), Duration.ofMillis(Long.parseLong(arguments[1])), knowsSha512).run();
    }

    private void run() throws IOException {
        while (true) {
            Answer next = answers.peekFirst();
            if (next == null) {
                selector.select(this::ready);
            } else {
                long nanos = next.at() - System.nanoTime();
                if (nanos <= 0) {
                    answers.removeFirst();
                    send(next.to(), next.text());
                } else {
                    selector.select(this::ready, Math.max(1, nanos / 1_000_000));
                }
            }
        }
    }

    private void ready(SelectionKey key) {
        try {
            if (key.isAcceptable()) {
                SocketChannel channel = ((ServerSocketChannel) key.channel()).accept();
                channel.configureBlocking(false);
                channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
                channel.register(selector, SelectionKey.OP_READ, new Connection(channel));
                return;
            }
            Connection connection = (Connection) key.attachment();
            read.clear();
            if (connection.channel.read(read) < 0) {
                connection.channel.close();
                return;
            }
            read.flip();
            take(connection);
        } catch (IOException e) {
            // The client went away, as clients that are killed do.
            key.cancel();
        }
    }

    private void take(Connection connection) throws IOException {
        while (read.hasRemaining() || (connection.isInBody && connection.left == 0)) {
            if (!connection.isInBody) {
                readHead(connection);
            } else {
                int count = (int) Math.min(connection.left, read.remaining());
                if (connection.looked.length > 0) {
                    read.get(connection.looked, connection.lookedLength, count);
                    connection.lookedLength += count;
                } else {
                    firstByteAt = firstByteAt == 0 && count > 0 ? System.nanoTime() : firstByteAt;
                    read.position(read.position() + count);
                }
                connection.left -= count;
                if (connection.left == 0) {
                    connection.isInBody = false;
                    answer(connection, answerTo(connection));
                }
            }
        }
    }

    private void readHead(Connection connection) throws IOException {
        byte[] head = connection.head;
        int length = connection.headLength;
        while (read.hasRemaining()) {
            byte next = read.get();
            head[length++] = next;
            if (next == '\n' && length > 3 && head[length - 3] == '\n') {
                connection.request = new String(head, 0, length, StandardCharsets.ISO_8859_1);
                connection.headLength = 0;
                connection.isInBody = true;
                String contentLength = header(connection.request, "content-length");
                connection.left = contentLength.isEmpty() ? 0 : Long.parseLong(contentLength);
                connection.looked = new byte[connection.left > LOOKED_AT_BYTES_MAX ? 0 : (int) connection.left];
                connection.lookedLength = 0;
                if (!header(connection.request, "expect").isEmpty()) {
                    answer(connection, CONTINUE);
                }
                return;
            }
        }
        connection.headLength = length;
    }

    private static String header(String request, String name) {
        for (int line = request.indexOf('\n') + 1; line < request.length(); line = request.indexOf('\n', line) + 1) {
            if (request.regionMatches(true, line, name, 0, name.length())
                    && request.charAt(line + name.length()) == ':') {
                return request.substring(line + name.length() + 1, request.indexOf('\n', line))
                        .strip();
            }
        }
        return "";
    }

    private String answerTo(Connection connection) {
        String request = connection.request;
        String target = request.substring(0, request.indexOf('\n'));
        String path = target.split("[ ?]", -1)[1];
        if (target.startsWith("HEAD")) {
            return NONE;
        }
        if (target.startsWith("GET") && path.indexOf('/', 1) > 0) {
            String tiny = kept.get(path);
            return tiny == null
                    ? NONE
                    : "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: " + tiny.length() + "\r\n\r\n" + tiny;
        }
        if (path.equals(FIRST_BYTE)) {
            long at = firstByteAt;
            firstByteAt = 0;
            return ok("text/plain", Long.toString(at));
        }
        if (target.startsWith("GET")) {
            return body("ListBucketResult", "<IsTruncated>false</IsTruncated>");
        }
        if (target.startsWith("POST") && target.contains("uploads")) {
            return body("InitiateMultipartUploadResult", "<UploadId>1</UploadId>");
        }
        if (target.startsWith("POST")) {
            String sum = sumsOfTinyParts.remove(path);
            if (sum != null && !isNothingOr(sum, header(request, "x-amz-checksum-crc64nvme"))) {
                return refusal("400 Bad Request", "BadDigest");
            }
            return body("CompleteMultipartUploadResult", "<ETag>\"0123456789abcdef0123456789abcdef-1\"</ETag>");
        }
        String sha512 = header(request, "x-amz-checksum-sha512");
        if (!knowsSha512 && !sha512.isEmpty()) {
            return refusal("501 Not Implemented", "NotImplemented");
        }
        if (connection.looked.length == 0) {
            return OK;
        }
        String crc64Nvme = crc64Nvme(connection.looked);
        if (!isNothingOr(sha512(connection.looked), sha512)
                || !isNothingOr(crc64Nvme, header(request, "x-amz-checksum-crc64nvme"))) {
            return refusal("400 Bad Request", "BadDigest");
        }
        if (target.contains("partNumber")) {
            sumsOfTinyParts.put(path, crc64Nvme);
        } else {
            kept.put(path, new String(connection.looked, StandardCharsets.ISO_8859_1));
        }
        return OK;
    }

    private static boolean isNothingOr(String right, String sent) {
        return sent.isEmpty() || sent.equals(right);
    }

    private static String sha512(byte[] bytes) {
        Digest digest = new Digest();
        digest.update(ByteBuffer.wrap(bytes));
        return Base64.getEncoder().encodeToString(digest.finish().sha512().bytes());
    }

    private static String crc64Nvme(byte[] bytes) {
        long crc = ~0L;
        for (byte next : bytes) {
            crc ^= next & 0xFF;
            for (int bit = 0; bit < Byte.SIZE; bit++) {
                crc = (crc & 1) == 0 ? crc >>> 1 : (crc >>> 1) ^ CRC64NVME;
            }
        }
        return Base64.getEncoder()
                .encodeToString(ByteBuffer.allocate(Long.BYTES).putLong(~crc).array());
    }

    private static String refusal(String status, String code) {
        String xml = "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>no</Message></Error>";
        return "HTTP/1.1 " + status + "\r\nContent-Type: application/xml\r\nContent-Length: " + xml.length()
                + "\r\n\r\n" + xml;
    }

    private static String body(String element, String content) {
        return ok("application/xml", "<?xml version=\"1.0\"?><" + element + ">" + content + "</" + element + ">");
    }

    private static String ok(String type, String text) {
        return "HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\nContent-Length: " + text.length() + "\r\n\r\n" + text;
    }

    private void answer(Connection connection, String text) throws IOException {
        if (delayNanos == 0) {
            send(connection.channel, text);
        } else {
            answers.addLast(new Answer(System.nanoTime() + delayNanos, connection.channel, text));
        }
    }

    /** Answers are smaller than any socket's buffer, and nobody has two outstanding. */
    private static void send(SocketChannel channel, String text) {
        try {
            channel.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.ISO_8859_1)));
        } catch (IOException e) {
            // Gone meanwhile.
        }
    }
}
