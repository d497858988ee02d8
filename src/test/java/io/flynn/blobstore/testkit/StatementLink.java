package io.flynn.blobstore.testkit;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The way to a PostgreSQL, which knows where a statement ends (PostgreSQL manual, "Message Formats"): the connection of the n-th one from
 * now on breaks before it arrives, or before its answer does.
 */
public final class StatementLink implements AutoCloseable {

    /** What happens to the statement's connection. */
    public enum Fault {
        /** The statement never arrives. */
        CUT_BEFORE,
        /** It is carried out, and nobody is told. */
        ANSWER_LOST
    }

    private static final int SSL_REQUEST = 80_877_103;
    private static final int BUFFER_BYTES = 64 * 1024;

    /** ReadyForQuery but for its last byte, the transaction's status. */
    private static final byte[] READY = {'Z', 0, 0, 0, 5};

    private final String host;
    private final int port;
    private final ServerSocket listening;
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private long statements;
    private long failing;
    private Fault fault = Fault.CUT_BEFORE;

    private StatementLink(String host, int port) throws IOException {
        this.host = host;
        this.port = port;
        listening = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Thread.ofVirtual().name("statements").start(this::accept);
    }

    public static StatementLink to(String host, int port) {
        try {
            return new StatementLink(host, port);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public int port() {
        return listening.getLocalPort();
    }

    /** Counts from here; 0 = none fails. */
    public synchronized void fail(long n, Fault with) {
        statements = 0;
        failing = n;
        fault = with;
    }

    /** Round trips since it was last told what fails. */
    public synchronized long statements() {
        return statements;
    }

    private synchronized boolean isNext() {
        statements++;
        return statements == failing;
    }

    private void accept() {
        while (!listening.isClosed()) {
            try {
                Socket near = listening.accept();
                Socket far = new Socket(host, port);
                near.setTcpNoDelay(true);
                far.setTcpNoDelay(true);
                Session session = new Session(near, far);
                sockets.add(near);
                sockets.add(far);
                Thread.ofVirtual().start(() -> session.pump(session::up));
                Thread.ofVirtual().start(() -> session.pump(session::down));
            } catch (IOException e) {
                // The next one may succeed; the end is told by the loop.
                Thread.yield();
            }
        }
    }

    private interface Way {
        void carry() throws IOException;
    }

    private final class Session {

        private final Socket near;
        private final Socket far;
        private volatile boolean isAnswerLost;

        Session(Socket near, Socket far) {
            this.near = near;
            this.far = far;
        }

        void pump(Way way) {
            try {
                way.carry();
            } catch (IOException e) {
                // Whoever is at the other end finds out by the closed connection.
                Thread.yield();
            } finally {
                end();
            }
        }

        void up() throws IOException {
            DataInputStream in = new DataInputStream(near.getInputStream());
            OutputStream out = far.getOutputStream();
            ByteArrayOutputStream statement = new ByteArrayOutputStream();
            int code = SSL_REQUEST;
            while (code == SSL_REQUEST) {
                int length = in.readInt();
                code = in.readInt();
                number(statement, length);
                number(statement, code);
                statement.write(in.readNBytes(length - 2 * Integer.BYTES));
                flush(statement, out);
            }
            for (int type = in.read(); type >= 0; type = in.read()) {
                int length = in.readInt();
                statement.write(type);
                number(statement, length);
                statement.write(in.readNBytes(length - Integer.BYTES));
                // Query, Sync and FunctionCall are answered by ReadyForQuery; Parse, Bind, Describe and Execute wait
                // for Sync.
                if (type == 'Q' || type == 'S' || type == 'F') {
                    if (isNext()) {
                        if (fault == Fault.CUT_BEFORE) {
                            return;
                        }
                        isAnswerLost = true;
                    }
                    flush(statement, out);
                } else if (type != 'P' && type != 'B' && type != 'D' && type != 'E' && type != 'C') {
                    flush(statement, out);
                }
            }
        }

        void down() throws IOException {
            InputStream in = far.getInputStream();
            OutputStream out = near.getOutputStream();
            byte[] buffer = new byte[BUFFER_BYTES];
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                if (!isAnswerLost) {
                    out.write(buffer, 0, read);
                } else if (isReady(buffer, read)) {
                    return;
                }
            }
        }

        private static boolean isReady(byte[] buffer, int end) {
            int start = end - READY.length - 1;
            return start >= 0 && java.util.Arrays.equals(buffer, start, start + READY.length, READY, 0, READY.length);
        }

        private static void number(ByteArrayOutputStream target, int number) {
            target.write(number >>> 24);
            target.write(number >>> 16);
            target.write(number >>> 8);
            target.write(number);
        }

        private static void flush(ByteArrayOutputStream from, OutputStream to) throws IOException {
            from.writeTo(to);
            to.flush();
            from.reset();
        }

        /** Without a word, as a cut does. */
        private void end() {
            for (Socket socket : new Socket[] {near, far}) {
                sockets.remove(socket);
                reset(socket);
            }
        }
    }

    private static void reset(Socket socket) {
        try {
            socket.setSoLinger(true, 0);
            socket.close();
        } catch (IOException e) {
            // It is closed already.
            Thread.yield();
        }
    }

    @Override
    public void close() {
        try {
            listening.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        sockets.forEach(StatementLink::reset);
    }
}
