package io.flynn.blobstore.testkit;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** The way between two programs: every connection goes through it, and a test may hold up or cut what goes there. */
public final class TcpLink implements AutoCloseable {

    /** Which way bytes go. */
    public enum Direction {
        /** From whoever connected. */
        UP,
        /** To whoever connected. */
        DOWN
    }

    /** Asked before bytes go on their way. */
    @FunctionalInterface
    public interface Gate {
        void pass(Direction direction) throws InterruptedException;
    }

    private static final int BUFFER_BYTES = 64 * 1024;

    /** Longer than any request's head, so its last byte is one of a body. */
    private static final int SURELY_BODY_BYTES = 16 * 1024;

    private static final Gate OPEN = direction -> {};

    private final String host;
    private final int port;
    private final ServerSocket listening;
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private final Map<Direction, Long> passed = new EnumMap<>(Direction.class);
    private volatile Gate gate = OPEN;
    private Direction cut = Direction.UP;
    private long left = Long.MAX_VALUE;
    private boolean staysCut;
    private boolean isCut;
    private int bitsToFlip;

    private TcpLink(String host, int port) throws IOException {
        this.host = host;
        this.port = port;
        listening = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Thread.ofVirtual().name("link").start(this::accept);
    }

    public static TcpLink to(String host, int port) {
        try {
            return new TcpLink(host, port);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public int port() {
        return listening.getLocalPort();
    }

    /** From now on; bytes that wait at the gate before stay there. */
    public void gate(Gate next) {
        gate = next;
    }

    public void open() {
        gate = OPEN;
    }

    /** Once so many bytes went this way from now on, every connection breaks, and none is made until {@link #mend}. */
    public void cutAfter(Direction direction, long bytes) {
        cutAfter(direction, bytes, true);
    }

    /** The same; but others can be made at once if it doesn't stay so. */
    public synchronized void cutAfter(Direction direction, long bytes, boolean stays) {
        cut = direction;
        left = bytes;
        staysCut = stays;
    }

    /** The next bytes this way don't arrive; others can be made at once. */
    public void cutNext(Direction direction) {
        cutAfter(direction, 0, false);
    }

    /** One bit of the next body that is sent up arrives as another; bodies that fit into a few packets are spared. */
    public synchronized void flipNextBit() {
        bitsToFlip = 1;
    }

    /** How many are still to be flipped. */
    public synchronized int bitsToFlip() {
        return bitsToFlip;
    }

    public synchronized void mend() {
        left = Long.MAX_VALUE;
        isCut = false;
    }

    public synchronized boolean isCut() {
        return isCut;
    }

    /** Bytes that went this way. */
    public synchronized long passed(Direction direction) {
        return passed.getOrDefault(direction, 0L);
    }

    private void accept() {
        while (!listening.isClosed()) {
            try {
                Socket near = listening.accept();
                if (isCut()) {
                    reset(near);
                    continue;
                }
                Socket far = new Socket(host, port);
                near.setTcpNoDelay(true);
                far.setTcpNoDelay(true);
                sockets.add(near);
                sockets.add(far);
                Thread.ofVirtual().start(() -> pump(near, far, Direction.UP));
                Thread.ofVirtual().start(() -> pump(far, near, Direction.DOWN));
            } catch (IOException e) {
                // The next one may succeed; the end is told by the loop.
                Thread.yield();
            }
        }
    }

    private void pump(Socket from, Socket to, Direction direction) {
        byte[] buffer = new byte[BUFFER_BYTES];
        try (from;
                to) {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                gate.pass(direction);
                int allowed = allowed(direction, read);
                if (isFlipped(direction, allowed)) {
                    buffer[allowed - 1] ^= 1;
                }
                out.write(buffer, 0, allowed);
                if (allowed < read) {
                    breakAll();
                }
            }
        } catch (IOException e) {
            // Whoever is at the other end finds out by the closed connection.
            sockets.remove(from);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            sockets.remove(from);
            sockets.remove(to);
        }
    }

    private synchronized boolean isFlipped(Direction direction, int bytes) {
        boolean isFlipped = bitsToFlip > 0 && direction == Direction.UP && bytes >= SURELY_BODY_BYTES;
        bitsToFlip -= isFlipped ? 1 : 0;
        return isFlipped;
    }

    private synchronized int allowed(Direction direction, int bytes) {
        int allowed = direction == cut ? (int) Math.min(left, bytes) : bytes;
        if (direction == cut && left != Long.MAX_VALUE) {
            left -= allowed;
        }
        passed.merge(direction, (long) allowed, Long::sum);
        if (allowed < bytes) {
            left = Long.MAX_VALUE;
            isCut = staysCut;
        }
        return allowed;
    }

    private void breakAll() {
        sockets.forEach(TcpLink::reset);
    }

    /** Without a word: whoever is at the other end gets no orderly end. */
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
        breakAll();
    }
}
