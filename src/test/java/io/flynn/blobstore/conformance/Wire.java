package io.flynn.blobstore.conformance;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import javax.net.ssl.SSLSocketFactory;

/**
 * One HTTP/1.1 connection that sends what it is told, byte for byte: a character of a request's head is a byte. It corrects
 * nothing, encodes nothing, follows nothing and repeats nothing.
 */
final class Wire implements AutoCloseable {

    /** An answer that takes longer is a hang. */
    private static final int PATIENCE_MILLIS = 60_000;

    private final Socket socket;
    private final InputStream in;
    private final OutputStream out;

    private Wire(Socket socket) throws IOException {
        this.socket = socket;
        socket.setSoTimeout(PATIENCE_MILLIS);
        socket.setTcpNoDelay(true);
        in = new BufferedInputStream(socket.getInputStream());
        out = socket.getOutputStream();
    }

    /** To the server of {@code uri}. */
    static Wire to(URI uri) throws IOException {
        boolean isTls = "https".equals(uri.getScheme());
        int port = uri.getPort() >= 0 ? uri.getPort() : isTls ? 443 : 80;
        if (isTls) {
            return new Wire(SSLSocketFactory.getDefault().createSocket(uri.getHost(), port));
        }
        Socket socket = new Socket();
        socket.connect(new InetSocketAddress(uri.getHost(), port), PATIENCE_MILLIS);
        return new Wire(socket);
    }

    void send(byte[] bytes) throws IOException {
        out.write(bytes);
        out.flush();
    }

    void send(String head) throws IOException {
        send(head.getBytes(StandardCharsets.ISO_8859_1));
    }

    /** Sends no more, and says so. */
    void end() throws IOException {
        socket.shutdownOutput();
    }

    /** Breaks the connection off as a client does that died: whatever wasn't read yet is lost. */
    void reset() throws IOException {
        socket.setSoLinger(true, 0);
        socket.close();
    }

    /** All that still comes until the server closes the connection or breaks it off. */
    byte[] rest() throws IOException {
        ByteArrayOutputStream rest = new ByteArrayOutputStream();
        byte[] buffer = new byte[8192];
        try {
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                rest.write(buffer, 0, read);
            }
        } catch (java.net.SocketException broken) {
            return rest.toByteArray();
        }
        return rest.toByteArray();
    }

    /**
     * The answer to the request before.
     *
     * @param hasBody false after HEAD
     * @return empty if the server closed the connection instead of answering
     */
    Optional<Answer> answer(boolean hasBody) throws IOException {
        int first = in.read();
        if (first < 0) {
            return Optional.empty();
        }
        String statusLine = (char) first + line();
        if (!statusLine.matches("HTTP/1\\.1 \\d{3}( .*)?")) {
            throw new IOException("no status line: " + statusLine);
        }
        int status = Integer.parseInt(statusLine.substring(9, 12));
        List<Map.Entry<String, String>> headers = new ArrayList<>();
        for (String line = line(); !line.isEmpty(); line = line()) {
            int colon = line.indexOf(':');
            if (colon <= 0) {
                throw new IOException("no header: " + line);
            }
            headers.add(Map.entry(
                    line.substring(0, colon), line.substring(colon + 1).strip()));
        }
        boolean isEmpty = !hasBody || status < 200 || status == 204 || status == 304;
        Answer head = new Answer(status, headers, new byte[0]);
        return Optional.of(isEmpty ? head : new Answer(status, headers, body(head)));
    }

    private byte[] body(Answer head) throws IOException {
        if (head.header("Transfer-Encoding").filter("chunked"::equals).isPresent()) {
            return chunks();
        }
        Optional<String> length = head.header("Content-Length");
        if (length.isEmpty()) {
            return in.readAllBytes();
        }
        return exactly(Integer.parseInt(length.get()));
    }

    private byte[] chunks() throws IOException {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        for (int size = Integer.parseInt(line(), 16); size > 0; size = Integer.parseInt(line(), 16)) {
            body.write(exactly(size));
            line();
        }
        line();
        return body.toByteArray();
    }

    private byte[] exactly(int length) throws IOException {
        byte[] bytes = in.readNBytes(length);
        if (bytes.length < length) {
            throw new EOFException("%d bytes of %d came".formatted(bytes.length, length));
        }
        return bytes;
    }

    private String line() throws IOException {
        StringBuilder line = new StringBuilder();
        for (int next = in.read(); next != '\n'; next = in.read()) {
            if (next < 0) {
                throw new EOFException("the answer's head ends after: " + line);
            }
            line.append((char) next);
        }
        int end = line.length() - 1;
        return end >= 0 && line.charAt(end) == '\r' ? line.substring(0, end) : line.toString();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
