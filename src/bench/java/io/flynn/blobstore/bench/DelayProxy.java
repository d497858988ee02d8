package io.flynn.blobstore.bench;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A network of some length: {@code DelayProxy PORT TARGET_PORT ROUND_TRIP_MICROS}. Every byte comes half a round trip late in each
 * direction; how many may be on their way is not limited by the delay. It shares the processors with what is measured, so a byte is
 * copied by the kernel only.
 */
public final class DelayProxy {

    private static final int PACKET_BYTES = 256 << 10;

    /** What a gigabyte a second has on its way in 16 ms. */
    private static final int ON_THEIR_WAY = 64;

    /** @param bytes null at the end */
    private record Packet(long at, @Nullable ByteBuffer bytes) {}

    private DelayProxy() {}

    public static void main(String[] arguments) throws IOException {
        int target = Integer.parseInt(arguments[1]);
        long delayNanos = Long.parseLong(arguments[2]) * 1000 / 2;
        InetAddress here = InetAddress.getLoopbackAddress();
        try (ServerSocketChannel server =
                ServerSocketChannel.open().bind(new InetSocketAddress(here, Integer.parseInt(arguments[0])), 1024)) {
            while (true) {
                SocketChannel client = server.accept();
                SocketChannel there = SocketChannel.open(new InetSocketAddress(here, target));
                client.setOption(StandardSocketOptions.TCP_NODELAY, true);
                there.setOption(StandardSocketOptions.TCP_NODELAY, true);
                new Direction(client, there, delayNanos).start();
                new Direction(there, client, delayNanos).start();
            }
        }
    }

    /** One of a connection's two. */
    private static final class Direction {

        private final SocketChannel from;
        private final SocketChannel to;
        private final long delayNanos;
        private final BlockingQueue<Packet> packets = new ArrayBlockingQueue<>(ON_THEIR_WAY + 1);
        private final BlockingQueue<ByteBuffer> unused = new ArrayBlockingQueue<>(ON_THEIR_WAY);
        private int made;

        Direction(SocketChannel from, SocketChannel to, long delayNanos) {
            this.from = from;
            this.to = to;
            this.delayNanos = delayNanos;
        }

        void start() {
            Thread.ofPlatform().daemon().start(this::read);
            Thread.ofPlatform().daemon().start(this::write);
        }

        private void read() {
            try {
                for (ByteBuffer bytes = buffer(); from.read(bytes) > 0; bytes = buffer()) {
                    packets.put(new Packet(System.nanoTime() + delayNanos, bytes.flip()));
                }
            } catch (IOException e) {
                // The end of the connection is what follows, however it came.
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } finally {
                // There is always a place for it: there are no more packets than buffers.
                packets.add(new Packet(0, null));
            }
        }

        private ByteBuffer buffer() throws InterruptedException {
            ByteBuffer next = unused.poll();
            if (next == null && made < ON_THEIR_WAY) {
                made++;
                return ByteBuffer.allocateDirect(PACKET_BYTES);
            }
            return next == null ? unused.take().clear() : next.clear();
        }

        private void write() {
            try (SocketChannel closed = to) {
                Packet packet = packets.take();
                for (ByteBuffer bytes = packet.bytes(); bytes != null; bytes = packet.bytes()) {
                    for (long left = packet.at() - System.nanoTime();
                            left > 0;
                            left = packet.at() - System.nanoTime()) {
                        LockSupport.parkNanos(left);
                    }
                    while (bytes.hasRemaining()) {
                        closed.write(bytes);
                    }
                    unused.add(bytes);
                    packet = packets.take();
                }
            } catch (IOException e) {
                // Closing tells the other side.
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
