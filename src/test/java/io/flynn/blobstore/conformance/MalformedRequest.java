package io.flynn.blobstore.conformance;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * What a client sends that is broken, or hostile.
 *
 * @param bytes all of it
 * @param isBrokenOff the client dies then instead of waiting for the answer
 */
record MalformedRequest(byte[] bytes, boolean isBrokenOff) {

    /** Names that such a request may change. */
    static final String FOLDER = "/malformed";

    /** A name whose uploads never reach their end, so that it has to keep what it had. */
    static final String VICTIM = "/victim/of incomplete uploads";

    private static final List<String> METHODS = List.of("GET", "HEAD", "PUT", "DELETE");

    private static final List<String> ODD_METHODS = List.of(
            "", " ", "G\u0000T", "get", "POST", "CONNECT", "TRACE", "OPTIONS", "PRI", "PUT\t", "P".repeat(20_000));

    private static final List<String> ODD_TARGETS = List.of(
            "",
            "*",
            "/",
            "//",
            "/..",
            "/%",
            "/%0",
            "/%GG",
            "/%00",
            "/%FF%FE",
            "/%C0%80",
            "/%ED%A0%80",
            "?",
            "/?dir=%",
            "/?dir=%FF",
            "/?dir=%00",
            "/?dir=../../..",
            "/?%",
            "/?&&&=&dir",
            "http://",
            "http://[::1/malformed",
            "http://x:99999999/malformed",
            "example.com:443",
            "malformed",
            "/malformed/\u0000",
            "/malformed/\u00ff",
            "/malformed/#fragment",
            "/malformed/;a=b;c",
            "/malformed/\\..\\..",
            "/malformed/" + "x".repeat(9_000),
            "/malformed/" + "%41".repeat(9_000),
            "/malformed" + "/..".repeat(3_000),
            "/malformed" + "/a".repeat(4_000));

    private static final List<String> ODD_VERSIONS = List.of(
            "",
            "HTTP/0.9",
            "HTTP/1.0",
            "HTTP/1.2",
            "HTTP/2.0",
            "HTTP/9.9",
            "HTTP",
            "http/1.1",
            "HTTP/1.1 x",
            "RTSP/1.0");

    private static final List<String> HEADERS = List.of(
            "Range",
            "If-Range",
            "If-Match",
            "If-None-Match",
            "If-Modified-Since",
            "If-Unmodified-Since",
            "Content-Type",
            "Content-Length",
            "Content-Range",
            "Content-Encoding",
            "Transfer-Encoding",
            "Expect",
            "Host",
            "Connection",
            "Upgrade",
            "TE",
            "Trailer",
            "Cookie",
            "Authorization",
            "X-Forwarded-For",
            "X-Request-Id",
            "Blobstore-Offset",
            "Blobstore-Copy-From");

    private static final List<String> ODD_VALUES = List.of(
            "",
            " ",
            ",",
            ";",
            "\"",
            "\"\"",
            "W/",
            "W/\"",
            "*",
            "-",
            "-1",
            "0",
            "1",
            "+5",
            "0x5",
            "5, 5",
            "5,6",
            "1e3",
            "9223372036854775807",
            "9223372036854775808",
            "99999999999999999999999999",
            "-9223372036854775808",
            "\u0663",
            "bytes=",
            "bytes=-",
            "bytes=0-0,",
            "bytes=--1",
            "bytes=-0",
            "bytes=9-1",
            "bytes=0-18446744073709551616",
            "bytes=0-0,1-1,2-2,-1,-2",
            "bytes=" + "0-,".repeat(500) + "0-",
            "bytes 0-1/2",
            "lines=1-2",
            "Thu, 32 Foo 2016 25:61:61 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Fri, 31 Dec 99999999999 23:59:59 GMT",
            "chunked",
            "gzip, chunked",
            "chunked, chunked",
            "identity",
            "xchunked",
            "100-continue",
            "200-maybe",
            "close",
            "Upgrade, HTTP2-Settings",
            "h2c",
            "x\u0000y",
            "x\u0001y",
            "x\ty",
            "\u00e9\u00ff",
            "x\r\n folded",
            "/",
            "/malformed/1",
            "../..",
            "/%",
            "/none",
            "multipart/form-data; boundary=",
            "text/plain; charset=\"",
            "x".repeat(7_000));

    static MalformedRequest next(SplittableRandom random) {
        byte[] bytes = switch (random.nextInt(10)) {
            case 0, 1 -> mutated(random, request(random));
            case 2 -> requestLine(random);
            case 3 -> escapes(random);
            case 4, 5 -> headers(random);
            case 6 -> incompleteUpload(random);
            case 7 -> flood(random);
            case 8 -> cut(random, request(random));
            default -> garbage(random);
        };
        return new MalformedRequest(bytes, random.nextInt(4) == 0);
    }

    /** One that is right. */
    private static byte[] request(SplittableRandom random) {
        String body = "body".repeat(random.nextInt(100));
        return switch (random.nextInt(5)) {
            case 0 -> bytes("GET /?dir=%2Fmalformed HTTP/1.1\r\nHost: x\r\n\r\n");
            case 1 ->
                bytes("PUT %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
                        .formatted(target(random), body.length() + 1, body + "!"));
            case 2 ->
                bytes(
                        "GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=1-2\r\nIf-Range: \"x\"\r\nIf-None-Match: \"y\", W/\"z\"\r\n\r\n"
                                .formatted(target(random)));
            case 3 -> bytes("DELETE %s HTTP/1.1\r\nHost: x\r\n\r\n".formatted(target(random)));
            default ->
                bytes("PUT %s HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s"
                        .formatted(target(random), body.length(), body));
        };
    }

    private static byte[] mutated(SplittableRandom random, byte[] bytes) {
        byte[] mutated = bytes;
        for (int i = random.nextInt(1, 6); i > 0 && mutated.length > 2; i--) {
            int at = random.nextInt(mutated.length);
            byte[] before = Arrays.copyOf(mutated, at);
            byte[] after = Arrays.copyOfRange(mutated, at, mutated.length);
            mutated = switch (random.nextInt(4)) {
                case 0 -> joined(before, new byte[] {(byte) random.nextInt(256)}, after);
                case 1 -> joined(before, Arrays.copyOfRange(after, Math.min(3, after.length), after.length));
                case 2 -> joined(before, after, after);
                default -> {
                    after[0] ^= (byte) (1 << random.nextInt(8));
                    yield joined(before, after);
                }
            };
        }
        return mutated;
    }

    private static byte[] requestLine(SplittableRandom random) {
        String method = one(random, random.nextBoolean() ? METHODS : ODD_METHODS);
        String target = random.nextInt(3) == 0 ? target(random) : one(random, ODD_TARGETS);
        String version = random.nextBoolean() ? "HTTP/1.1" : one(random, ODD_VERSIONS);
        String separator = random.nextInt(5) == 0 ? one(random, List.of("", "  ", "\t", "\u0000", "\u000b")) : " ";
        return bytes(method + separator + target + separator + version + "\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    }

    private static byte[] escapes(SplittableRandom random) {
        StringBuilder path = new StringBuilder(FOLDER + "/");
        for (int i = random.nextInt(1, 40); i > 0; i--) {
            switch (random.nextInt(5)) {
                case 0 -> path.append("%%%02x".formatted(random.nextInt(256)));
                case 1 -> path.append('%').append((char) random.nextInt(33, 127));
                case 2 -> path.append((char) random.nextInt(128, 256));
                case 3 -> path.append("/.%2e/".charAt(random.nextInt(6)));
                default -> path.append((char) random.nextInt(33, 127));
            }
        }
        return bytes(one(random, METHODS) + " " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    }

    private static byte[] headers(SplittableRandom random) {
        StringBuilder head = new StringBuilder("%s %s HTTP/1.1\r\nHost: x\r\n"
                .formatted(one(random, METHODS), random.nextInt(4) == 0 ? "/sentinel/a" : target(random))
                .replaceFirst("^(PUT|DELETE) /sentinel", "GET /sentinel"));
        for (int i = random.nextInt(1, 6); i > 0; i--) {
            head.append(one(random, HEADERS))
                    .append(": ")
                    .append(one(random, ODD_VALUES))
                    .append("\r\n");
        }
        return bytes(head + "\r\nsome body");
    }

    /** Announces more than it sends. */
    private static byte[] incompleteUpload(SplittableRandom random) {
        String head = "PUT " + Blobstore.encoded(VICTIM) + " HTTP/1.1\r\nHost: x\r\n";
        String body = "wrong".repeat(random.nextInt(random.nextInt(20) == 0 ? 200_000 : 100));
        if (random.nextBoolean()) {
            long length = body.length() + 1 + random.nextLong(random.nextBoolean() ? 10 : Long.MAX_VALUE / 2);
            return bytes(head + "Content-Length: " + length + "\r\n\r\n" + body);
        }
        String size = one(
                        random, List.of("%x", "%X", "0%x", "-%x", "%x;", "%xg", " %x", "%x0", "f%x", "ffffffffffff%x"))
                .formatted(body.length() + 1);
        String end = one(
                random, List.of("", "\r\n", "\n", "\r\n1\r\n", "\r\n7fffffff\r\nab", "\r\nz\r\n", "\r\n-1\r\nx\r\n"));
        return bytes(head + "Transfer-Encoding: chunked\r\n\r\n" + size + "\r\n" + body + "!" + end);
    }

    private static byte[] flood(SplittableRandom random) {
        StringBuilder head = new StringBuilder("GET " + target(random) + " HTTP/1.1\r\nHost: x\r\n");
        switch (random.nextInt(4)) {
            case 0 -> head.append("X-Flood: y\r\n".repeat(random.nextInt(10_000)));
            case 1 -> head.append("X-Flood: ").append("y".repeat(random.nextInt(100_000)));
            case 2 -> head.append("y".repeat(random.nextInt(100_000))).append(": x\r\n");
            default -> head.append("\r\n".repeat(random.nextInt(1_000)));
        }
        return bytes(head + "\r\n\r\n");
    }

    private static byte[] cut(SplittableRandom random, byte[] bytes) {
        return Arrays.copyOf(bytes, random.nextInt(bytes.length));
    }

    private static byte[] garbage(SplittableRandom random) {
        byte[] noise = new byte[random.nextInt(500)];
        random.nextBytes(noise);
        String start = one(
                random,
                List.of(
                        "",
                        "\r\n\r\n",
                        "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003",
                        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                        "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
                        "{\"json\": 1}\n",
                        "SSH-2.0-x\r\n"));
        return joined(bytes(start), noise);
    }

    private static String target(SplittableRandom random) {
        return FOLDER + "/" + random.nextInt(50);
    }

    private static String one(SplittableRandom random, List<String> all) {
        return all.get(random.nextInt(all.size()));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static byte[] joined(byte[]... parts) {
        ByteArrayOutputStream joined = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            joined.writeBytes(part);
        }
        return joined.toByteArray();
    }

    /** As a failure shows it: ASCII alone, and not without end. */
    String shown() {
        StringBuilder shown = new StringBuilder();
        for (byte b : Arrays.copyOf(bytes, Math.min(bytes.length, 600))) {
            shown.append(b == '\n' || b >= ' ' && b < 0x7F ? String.valueOf((char) b) : "\\x%02x".formatted(b));
        }
        return shown + (bytes.length > 600 ? "... (%d bytes)".formatted(bytes.length) : "");
    }
}
