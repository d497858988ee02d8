package io.flynn.blobstore.bench;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.locks.LockSupport;

/**
 * A network of some length: {@code DelayProxy PORT TARGET_PORT ROUND_TRIP_MICROS}. Every byte comes half a round trip late in each
 * direction; how many may be on their way is not limited by the delay.
 */
public final class DelayProxy {

    private static final int BUFFER_BYTES = 128 << 10;
    private static final int ON_THEIR_WAY = 1024;

    /** @param bytes none at the end */
    private record Packet(long at, ByteBuffer bytes) {}

    private DelayProxy() {}

    public static void main(String[] arguments) throws IOException {
        int target = Integer.parseInt(arguments[1]);
        long delayNanos = Long.parseLong(arguments[2]) * 1000 / 2;
        try (ServerSocket server =
                new ServerSocket(Integer.parseInt(arguments[0]), 1024, InetAddress.getLoopbackAddress())) {
            while (true) {
                Socket client = server.accept();
                Socket there = new Socket(InetAddress.getLoopbackAddress(), target);
                client.setTcpNoDelay(true);
                there.setTcpNoDelay(true);
                connect(client, there, delayNanos);
                connect(there, client, delayNanos);
            }
        }
    }

    private static void connect(Socket from, Socket to, long delayNanos) {
        BlockingQueue<Packet> packets = new ArrayBlockingQueue<>(ON_THEIR_WAY);
        Thread.ofPlatform().daemon().start(() -> {
            byte[] buffer = new byte[BUFFER_BYTES];
            try (InputStream in = from.getInputStream()) {
                for (int read = in.read(buffer); read > 0; read = in.read(buffer)) {
                    packets.put(
                            new Packet(System.nanoTime() + delayNanos, ByteBuffer.wrap(Arrays.copyOf(buffer, read))));
                }
            } catch (IOException e) {
                // The end of the connection is what follows, however it came.
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } finally {
                putEnd(packets);
            }
        });
        Thread.ofPlatform().daemon().start(() -> {
            try (OutputStream out = to.getOutputStream()) {
                for (Packet packet = packets.take(); packet.bytes().hasRemaining(); packet = packets.take()) {
                    for (long left = packet.at() - System.nanoTime();
                            left > 0;
                            left = packet.at() - System.nanoTime()) {
                        LockSupport.parkNanos(left);
                    }
                    out.write(packet.bytes().array());
                }
            } catch (IOException e) {
                // Closing tells the other side.
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
    }

    private static void putEnd(BlockingQueue<Packet> packets) {
        try {
            packets.put(new Packet(0, ByteBuffer.allocate(0)));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
