package io.flynn.blobstore.serve;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/** An upload whose body is sent piece by piece, from the moment on at which the server wants it. */
final class SlowPut implements AutoCloseable {

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final Socket socket;
    private final BufferedReader answers;
    private final String first;

    /** @param headers lines with their names */
    SlowPut(int port, String target, long length, String... headers) throws IOException {
        this(port, target, length, PATIENCE, headers);
    }

    /** @param patience with each answer */
    SlowPut(int port, String target, long length, Duration patience, String... headers) throws IOException {
        socket = new Socket("127.0.0.1", port);
        socket.setSoTimeout((int) patience.toMillis());
        StringBuilder request = new StringBuilder("PUT " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        request.append("Expect: 100-continue\r\nContent-Length: ")
                .append(length)
                .append("\r\n");
        for (String header : headers) {
            request.append(header).append("\r\n");
        }
        socket.getOutputStream().write(request.append("\r\n").toString().getBytes(StandardCharsets.UTF_8));
        answers = new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
        first = answers.readLine();
    }

    /** Whether the server asked for the body: by then it has looked at what there is. */
    boolean isWanted() {
        return first.startsWith("HTTP/1.1 100 ");
    }

    SlowPut send(byte[] bytes) throws IOException {
        socket.getOutputStream().write(bytes);
        socket.getOutputStream().flush();
        return this;
    }

    SlowPut send(String text) throws IOException {
        return send(text.getBytes(StandardCharsets.UTF_8));
    }

    /** Waits for the answer to all of it. */
    int status() throws IOException {
        String line = isWanted() ? answers.readLine() : first;
        while (line != null && line.isEmpty()) {
            line = answers.readLine();
        }
        return line == null ? -1 : Integer.parseInt(line.split(" ", 3)[1]);
    }

    /** In mid-body, that is a client that has gone. */
    @Override
    public void close() throws IOException {
        socket.close();
    }
}
