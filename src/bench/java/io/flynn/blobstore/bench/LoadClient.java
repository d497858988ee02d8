package io.flynn.blobstore.bench;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/**
 * One client on kept connections, HTTP/1.1 by hand: a full-grown client would be measured along with the server. Knows bodies
 * with a length only. For one thread; closing it from another breaks off what runs.
 */
final class LoadClient implements AutoCloseable {

    private static final int BUFFER_BYTES = 64 * 1024;

    private final URI server;
    private final LongAdder transferred;
    private final byte[] buffer = new byte[BUFFER_BYTES];
    private final Map<String, Connection> connections = new HashMap<>();

    /** @param transferred counts the bodies' bytes as they pass */
    LoadClient(URI server, LongAdder transferred) {
        this.server = server;
        this.transferred = transferred;
    }

    private static final class Connection {
        final Socket socket;
        final InputStream in;
        final OutputStream out;

        Connection(String host, int port) throws IOException {
            socket = new Socket(host, port);
            socket.setTcpNoDelay(true);
            in = new BufferedInputStream(socket.getInputStream(), BUFFER_BYTES);
            out = socket.getOutputStream();
        }

        String line() throws IOException {
            StringBuilder line = new StringBuilder();
            for (int next = in.read(); next != '\n'; next = in.read()) {
                if (next < 0) {
                    throw new EOFException("the server closed the connection");
                }
                if (next != '\r') {
                    line.append((char) next);
                }
            }
            return line.toString();
        }
    }

    private record Answer(int status, long length, String location) {}

    /** Reads a blob to its end, following a redirect. */
    void get(String path) throws IOException {
        Connection connection = connection(server);
        Answer answer = request(connection, "GET", server, path, 0, null);
        skip(connection, answer);
        if (answer.status() == 302) {
            URI link = URI.create(answer.location());
            Connection store = connection(link);
            answer = request(store, "GET", link, link.getRawPath() + "?" + link.getRawQuery(), 0, null);
            skip(store, answer);
        }
        require(answer);
    }

    /** Writes a blob of {@code length} bytes, {@code content} over and over. */
    void put(String path, long length, byte[] content) throws IOException {
        Connection connection = connection(server);
        Answer answer = request(connection, "PUT", server, path, length, content);
        skip(connection, answer);
        require(answer);
    }

    private Connection connection(URI to) throws IOException {
        String key = to.getAuthority();
        Connection connection;
        synchronized (connections) {
            connection = connections.get(key);
        }
        if (connection == null) {
            connection = new Connection(to.getHost(), to.getPort());
            synchronized (connections) {
                connections.put(key, connection);
            }
        }
        return connection;
    }

    private Answer request(Connection connection, String method, URI host, String target, long length, byte[] content)
            throws IOException {
        String head = method + " " + target + " HTTP/1.1\r\nHost: " + host.getAuthority() + "\r\n"
                + (method.equals("PUT") ? "Content-Length: " + length + "\r\n" : "") + "\r\n";
        connection.out.write(head.getBytes(StandardCharsets.ISO_8859_1));
        for (long left = length; left > 0; ) {
            int part = (int) Math.min(left, Math.min(content.length, BUFFER_BYTES));
            connection.out.write(content, (int) ((length - left) % (content.length - part + 1)), part);
            transferred.add(part);
            left -= part;
        }
        int status = Integer.parseInt(connection.line().split(" ", 3)[1]);
        long contentLength = 0;
        String location = "";
        for (String line = connection.line(); !line.isEmpty(); line = connection.line()) {
            int colon = line.indexOf(':');
            String value = line.substring(colon + 1).strip();
            switch (line.substring(0, colon).toLowerCase(Locale.ROOT)) {
                case "content-length" -> contentLength = Long.parseLong(value);
                case "location" -> location = value;
                default -> {}
            }
        }
        return new Answer(status, contentLength, location);
    }

    private void skip(Connection connection, Answer answer) throws IOException {
        for (long left = answer.length(); left > 0; ) {
            int read = connection.in.read(buffer, 0, (int) Math.min(left, buffer.length));
            if (read < 0) {
                throw new EOFException("the body ended " + left + " bytes too early");
            }
            if (answer.status() == 200) {
                transferred.add(read);
            }
            left -= read;
        }
    }

    private static void require(Answer answer) throws IOException {
        if (answer.status() != 200) {
            throw new IOException("status " + answer.status());
        }
    }

    @Override
    public void close() throws IOException {
        synchronized (connections) {
            for (Connection connection : connections.values()) {
                connection.socket.close();
            }
        }
    }
}
