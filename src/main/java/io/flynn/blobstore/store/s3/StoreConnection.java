package io.flynn.blobstore.store.s3;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import org.jspecify.annotations.Nullable;

/**
 * One kept connection to a store, for one request after the other (RFC 9112). Reading ends by itself when nothing comes; writing
 * doesn't, so somebody must look at {@link #isStalled} and close it. For one thread but for these two.
 */
final class StoreConnection implements AutoCloseable {

    /** A small blob and its head leave in one piece. */
    private static final int OUT_BYTES = 32 * 1024;

    private static final int IN_BYTES = 4 * 1024;

    /** More than any answer to a PUT or HEAD has. */
    private static final int HEAD_BYTES_MAX = 64 * 1024;

    private static final int BODY_BYTES_MAX = 256 * 1024;

    private final Socket socket;
    private final InputStream in;
    private final OutputStream out;
    private volatile long writingSince;
    private boolean hasAnswered;
    private boolean isKept = true;

    /** @param body of at most 256 KiB, cut there; a store's errors are a few hundred bytes */
    record Answer(int status, Map<String, String> headers, String body) {}

    private StoreConnection(Socket socket) throws IOException {
        this.socket = socket;
        in = new BufferedInputStream(socket.getInputStream(), IN_BYTES);
        out = new BufferedOutputStream(socket.getOutputStream(), OUT_BYTES);
    }

    /** @param stall how long a byte is waited for */
    static StoreConnection open(URI store, Duration connect, Duration stall) throws IOException {
        boolean isSecure = "https".equals(store.getScheme());
        int port = store.getPort() < 0 ? (isSecure ? 443 : 80) : store.getPort();
        Socket plain = new Socket();
        try {
            plain.setTcpNoDelay(true);
            plain.setKeepAlive(true);
            plain.connect(new InetSocketAddress(store.getHost(), port), (int) connect.toMillis());
            plain.setSoTimeout((int) stall.toMillis());
            return new StoreConnection(isSecure ? secure(plain, store.getHost(), port) : plain);
        } catch (IOException e) {
            plain.close();
            throw e;
        }
    }

    private static Socket secure(Socket plain, String host, int port) throws IOException {
        SSLSocket secured =
                (SSLSocket) ((SSLSocketFactory) SSLSocketFactory.getDefault()).createSocket(plain, host, port, true);
        SSLParameters parameters = secured.getSSLParameters();
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        secured.setSSLParameters(parameters);
        secured.startHandshake();
        return secured;
    }

    /** Begins a request; its bytes may wait here until {@link #flush}. */
    void begin(String method, String path, Map<String, String> headers) throws IOException {
        hasAnswered = false;
        StringBuilder head = new StringBuilder(1024);
        head.append(method).append(' ').append(path).append(" HTTP/1.1\r\n");
        headers.forEach(
                (name, value) -> head.append(name).append(": ").append(value).append("\r\n"));
        write(head.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1));
    }

    void write(byte[] bytes) throws IOException {
        write(ByteBuffer.wrap(bytes));
    }

    /** Takes the remaining bytes, when the store takes them. */
    void write(ByteBuffer bytes) throws IOException {
        writingSince = System.nanoTime() | 1;
        if (bytes.hasArray()) {
            out.write(bytes.array(), bytes.arrayOffset() + bytes.position(), bytes.remaining());
        } else {
            byte[] copy = new byte[bytes.remaining()];
            bytes.get(copy);
            out.write(copy);
        }
        writingSince = 0;
    }

    void flush() throws IOException {
        writingSince = System.nanoTime() | 1;
        out.flush();
        writingSince = 0;
    }

    /** Whether the store has taken no byte for so long that was offered to it. For any thread. */
    boolean isStalled(Duration stall) {
        long since = writingSince;
        return since != 0 && System.nanoTime() - since > stall.toNanos();
    }

    /** Whether any byte of the answer to the present request came: if none did, the connection may have been dead before. */
    boolean hasAnswered() {
        return hasAnswered;
    }

    /** Whether another request may follow. */
    boolean isKept() {
        return isKept;
    }

    /** The final answer; anything before it is skipped. */
    Answer answer() throws IOException {
        Answer head = head();
        while (head.status() < 200) {
            head = head();
        }
        return whole(head);
    }

    /**
     * Whether the store refuses the request by its head alone.
     *
     * @param patience for an interim answer: silence is consent
     * @param stall what reading has from then on
     * @return null if the body may follow
     */
    @Nullable
    Answer refusal(Duration patience, Duration stall) throws IOException {
        socket.setSoTimeout((int) patience.toMillis());
        try {
            in.mark(1);
            if (in.read() >= 0) {
                in.reset();
            }
        } catch (SocketTimeoutException e) {
            return null;
        } finally {
            socket.setSoTimeout((int) stall.toMillis());
        }
        Answer head = head();
        return head.status() < 200 ? null : whole(head);
    }

    /** What the store said before it stopped reading: a refusal, if it said anything. */
    Answer answerAfter(IOException broken) throws IOException {
        isKept = false;
        try {
            Answer answer = answer();
            if (answer.status() >= 300) {
                return answer;
            }
        } catch (IOException e) {
            broken.addSuppressed(e);
        }
        throw broken;
    }

    private Answer whole(Answer head) throws IOException {
        int status = head.status();
        String body = status == 204 || status == 304 ? "" : body(head.headers());
        String connection = head.headers().getOrDefault("connection", "");
        isKept &= !connection.toLowerCase(Locale.ROOT).contains("close");
        return new Answer(status, head.headers(), body);
    }

    private Answer head() throws IOException {
        int[] left = {HEAD_BYTES_MAX};
        String first = line(left);
        String[] words = first.split(" ", 3);
        if (words.length < 2 || !words[0].startsWith("HTTP/1.") || !words[1].matches("[1-5]\\d\\d")) {
            throw new IOException("the answer is not one of HTTP/1.1");
        }
        isKept &= words[0].equals("HTTP/1.1");
        Map<String, String> headers = new TreeMap<>();
        for (String line = line(left); !line.isEmpty(); line = line(left)) {
            int colon = line.indexOf(':');
            if (colon > 0) {
                headers.put(
                        line.substring(0, colon).toLowerCase(Locale.ROOT),
                        line.substring(colon + 1).strip());
            }
        }
        return new Answer(Integer.parseInt(words[1]), headers, "");
    }

    private String line(int[] left) throws IOException {
        StringBuilder line = new StringBuilder(64);
        for (int next = next(); next != '\n'; next = next()) {
            if (left[0]-- == 0) {
                throw new IOException("the answer's head has no end");
            }
            if (next != '\r') {
                line.append((char) next);
            }
        }
        return line.toString();
    }

    private int next() throws IOException {
        int next = in.read();
        if (next < 0) {
            throw new EOFException("the store closed the connection");
        }
        hasAnswered = true;
        return next;
    }

    private String body(Map<String, String> headers) throws IOException {
        @Nullable String length = headers.get("content-length");
        byte[] bytes;
        if (headers.getOrDefault("transfer-encoding", "")
                .toLowerCase(Locale.ROOT)
                .contains("chunked")) {
            bytes = chunks();
        } else if (length == null) {
            isKept = false;
            bytes = in.readNBytes(BODY_BYTES_MAX);
        } else {
            bytes = exactly(number(length, 10));
        }
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private byte[] exactly(int length) throws IOException {
        byte[] bytes = in.readNBytes(length);
        if (bytes.length < length) {
            throw new EOFException("the store closed the connection");
        }
        return bytes;
    }

    private byte[] chunks() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        int[] left = {HEAD_BYTES_MAX};
        for (int size = chunkSize(left); size > 0; size = chunkSize(left)) {
            bytes.write(exactly(size));
            line(left);
            if (bytes.size() > BODY_BYTES_MAX) {
                throw new IOException("the answer is too long");
            }
        }
        // Trailers say nothing that is asked here.
        String trailer = line(left);
        while (!trailer.isEmpty()) {
            trailer = line(left);
        }
        return bytes.toByteArray();
    }

    private int chunkSize(int[] left) throws IOException {
        return number(line(left).split(";", 2)[0].strip(), 16);
    }

    private static int number(String text, int radix) throws IOException {
        try {
            int number = Integer.parseInt(text, radix);
            if (number >= 0 && number <= BODY_BYTES_MAX) {
                return number;
            }
        } catch (NumberFormatException e) {
            throw new IOException("the answer has no length", e);
        }
        throw new IOException("the answer is too long");
    }

    @Override
    public void close() {
        try {
            socket.close();
        } catch (IOException e) {
            // It is gone either way.
        }
    }
}
