package io.flynn.blobstore.conformance;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.SocketException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A client of the blobstore, which keeps its connection as long as the server does. Not thread-safe. */
final class Blobstore implements AutoCloseable {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final byte[] NOTHING = new byte[0];

    private final URI server;
    private final @Nullable Blobstore other;
    private int uploads;
    private @Nullable Wire wire;

    /** @param server scheme, host and port */
    Blobstore(URI server) {
        this.server = server;
        other = null;
    }

    /** @param other the same blobstore by another server, which takes every second upload */
    Blobstore(URI server, URI other) {
        this.server = server;
        this.other = new Blobstore(other);
    }

    /** Every byte but letters, digits and slashes is escaped, so that no name means anything to anybody on the way. */
    static String encoded(String name) {
        StringBuilder encoded = new StringBuilder();
        for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
            boolean isPlain = b == '/' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z';
            encoded.append(isPlain ? String.valueOf((char) b) : "%%%02X".formatted(b));
        }
        return encoded.toString();
    }

    /** As headers and raw targets carry it: a byte a character. */
    static String raw(String text) {
        return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** The tag of a blob with these bytes: the Base64 of their SHA-512, in quotes. */
    static String etag(byte[] bytes) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-512").digest(bytes);
            return "\"" + Base64.getEncoder().encodeToString(digest) + "\"";
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    URI server() {
        return server;
    }

    Answer put(String name, String body, String... headers) {
        return put(name, bytes(body), headers);
    }

    Answer put(String name, byte[] body, String... headers) {
        uploads++;
        if (other != null && uploads % 2 == 0) {
            return other.put(name, body, headers);
        }
        return send("PUT", encoded(name), body, headers);
    }

    Answer get(String name, String... headers) {
        return send("GET", encoded(name), NOTHING, headers);
    }

    Answer head(String name, String... headers) {
        return send("HEAD", encoded(name), NOTHING, headers);
    }

    Answer delete(String name, String... headers) {
        return send("DELETE", encoded(name), NOTHING, headers);
    }

    /** GET, and once more where a redirect points to. */
    Answer read(String name, String... headers) {
        Answer answer = get(name, headers);
        return answer.isRedirect() ? follow(answer, headers) : answer;
    }

    /** The direct children. */
    List<String> list(String directory) {
        Answer answer = send("GET", "/?dir=" + encoded(directory), NOTHING);
        if (answer.status() != 200) {
            throw new AssertionError("list of " + directory + ": " + answer);
        }
        try {
            return Arrays.asList(JSON.readValue(answer.body(), String[].class));
        } catch (IOException e) {
            throw new AssertionError("no JSON array of strings: " + answer, e);
        }
    }

    /** What anybody gets who has the link. */
    static Answer follow(Answer redirect, String... headers) {
        URI link = URI.create(redirect.required("Location"));
        try (Blobstore store = new Blobstore(link)) {
            return store.send("GET", link.getRawPath() + "?" + link.getRawQuery(), NOTHING, headers);
        }
    }

    /**
     * Sends the target as it is.
     *
     * @param headers name, value, name, value
     */
    Answer send(String method, String target, byte[] body, String... headers) {
        String head = head(method, target, body.length, headers);
        try {
            Optional<Answer> answer = wire == null ? Optional.empty() : exchange(wire, method, head, body);
            if (answer.isEmpty()) {
                closeWire();
                wire = Wire.to(server);
                answer = exchange(wire, method, head, body);
            }
            Answer came = answer.orElseThrow(() -> new AssertionError(method + " " + target + ": no answer"));
            if (came.header("Connection").filter("close"::equalsIgnoreCase).isPresent()) {
                closeWire();
            }
            return came;
        } catch (IOException e) {
            closeWire();
            throw new UncheckedIOException(method + " " + target, e);
        }
    }

    private String head(String method, String target, int length, String... headers) {
        StringBuilder head = new StringBuilder("%s %s HTTP/1.1\r\nHost: %s\r\n".formatted(method, target, authority()));
        if (method.equals("PUT") || length > 0) {
            head.append("Content-Length: ").append(length).append("\r\n");
        }
        for (int i = 0; i < headers.length; i += 2) {
            head.append(headers[i]).append(": ").append(headers[i + 1]).append("\r\n");
        }
        return head.append("\r\n").toString();
    }

    private String authority() {
        return server.getPort() < 0 ? server.getHost() : server.getHost() + ":" + server.getPort();
    }

    /** @return empty if the connection was closed before */
    private static Optional<Answer> exchange(Wire wire, String method, String head, byte[] body) throws IOException {
        try {
            wire.send(head);
            wire.send(body);
            return wire.answer(!method.equals("HEAD"));
        } catch (SocketException e) {
            // Nothing of an answer came, or a part, which then fails by itself.
            return Optional.empty();
        }
    }

    @Override
    public void close() {
        if (other != null) {
            other.close();
        }
        closeWire();
    }

    private void closeWire() {
        if (wire != null) {
            try {
                wire.close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            } finally {
                wire = null;
            }
        }
    }
}
