package io.flynn.blobstore.bench;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.Statement;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * What the machine can do at most: large objects from one socket to the other, without a driver, without a client, unsigned, nothing
 * repeated, no row read twice or written. {@code RawBound PLACE THREADS sha512|none}; it knows the sink only.
 */
public final class RawBound {

    private static final int CHUNK_BYTES = 256 << 10;
    private static final int SMALL_BYTES = 1 << 20;
    private static final int BATCH = 200;
    private static final int HEADER_BYTES = 19;
    private static final int PROTOCOL = 196_608;

    private record Blob(long oid, int size) {}

    private interface Bytes {
        void take(ByteBuffer bytes) throws IOException;
    }

    private RawBound() {}

    public static void main(String[] arguments) throws Exception {
        Place place = Place.of(arguments);
        int threads = Integer.parseInt(arguments[Place.ARGUMENTS]);
        boolean isDigested = arguments[Place.ARGUMENTS + 1].equals("sha512");
        Turns.take(() -> move(place, threads, isDigested));
    }

    private static void move(Place place, int threads, boolean isDigested) throws Exception {
        Queue<Blob> blobs = new ConcurrentLinkedQueue<>();
        try (Connection connection = place.connect();
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT file_oid, size FROM files ORDER BY size DESC")) {
            while (rows.next()) {
                blobs.add(new Blob(rows.getLong(1), rows.getInt(2)));
            }
        }
        List<Future<?>> workers = new ArrayList<>();
        try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
            for (int number = 0; number < threads; number++) {
                workers.add(executor.submit(() -> {
                    try (Postgres postgres =
                                    new Postgres(URI.create(place.jdbcUrl().substring("jdbc:".length())));
                            Store store = new Store(place.store())) {
                        new Worker(postgres, store, place.bucket(), isDigested).move(blobs);
                    }
                    return null;
                }));
            }
        }
        for (Future<?> worker : workers) {
            worker.get();
        }
    }

    private record Worker(Postgres postgres, Store store, String bucket, boolean isDigested) {

        void move(Queue<Blob> blobs) throws Exception {
            MessageDigest sha512 = MessageDigest.getInstance("SHA-512");
            ByteBuffer small = ByteBuffer.allocateDirect(SMALL_BYTES);
            for (Blob blob = blobs.poll(); blob != null; blob = blobs.poll()) {
                if (blob.size() > SMALL_BYTES) {
                    store.begin(bucket, blob.size());
                    postgres.copy(
                            "SELECT lo_get(%d, g * %d, %d) FROM generate_series(0::bigint, %d) g"
                                    .formatted(blob.oid(), CHUNK_BYTES, CHUNK_BYTES, (blob.size() - 1) / CHUNK_BYTES),
                            bytes -> {
                                digest(sha512, bytes);
                                store.write(bytes);
                            });
                    store.finish();
                    sha512.digest();
                } else {
                    moveSmall(blob, blobs, sha512, small);
                }
            }
        }

        private void moveSmall(Blob first, Queue<Blob> blobs, MessageDigest sha512, ByteBuffer one) throws Exception {
            Deque<Blob> batch = new ArrayDeque<>(List.of(first));
            for (Blob blob = blobs.poll(); blob != null; blob = batch.size() < BATCH ? blobs.poll() : null) {
                batch.add(blob);
            }
            String oids = String.join(
                    ",", batch.stream().map(blob -> Long.toString(blob.oid())).toList());
            postgres.copy("SELECT lo_get(o) FROM unnest('{" + oids + "}'::oid[]) o", bytes -> {
                one.put(bytes);
                if (one.position() == batch.peekFirst().size()) {
                    batch.removeFirst();
                    one.flip();
                    digest(sha512, one);
                    sha512.digest();
                    store.put(bucket, one);
                    one.clear();
                }
            });
        }

        private void digest(MessageDigest sha512, ByteBuffer bytes) {
            if (isDigested) {
                sha512.update(bytes.duplicate());
            }
        }
    }

    /** The protocol's fewest messages, to a server that trusts everybody (PostgreSQL manual, "Message Flow"). */
    private static final class Postgres implements AutoCloseable {
        private final SocketChannel channel;
        private final ByteBuffer in = ByteBuffer.allocateDirect(1 << 20).limit(0);

        Postgres(URI database) throws IOException {
            channel = SocketChannel.open(new InetSocketAddress(database.getHost(), database.getPort()));
            channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            byte[] words = ("user\0postgres\0database\0" + database.getPath().substring(1) + "\0\0")
                    .getBytes(StandardCharsets.UTF_8);
            channel.write(ByteBuffer.allocate(8 + words.length)
                    .putInt(8 + words.length)
                    .putInt(PROTOCOL)
                    .put(words)
                    .flip());
            skipUntilReady();
        }

        private void need(int count) throws IOException {
            if (in.remaining() < count) {
                in.compact();
                while (in.position() < count) {
                    if (channel.read(in) < 0) {
                        throw new EOFException("the database went away");
                    }
                }
                in.flip();
            }
        }

        private void skipUntilReady() throws IOException {
            byte type = 0;
            while (type != 'Z') {
                need(5);
                type = in.get();
                int length = in.getInt() - 4;
                need(length);
                in.position(in.position() + length);
                if (type == 'E') {
                    throw new IOException("the database refuses");
                }
            }
        }

        /** A query of one column without NULL: its bytes as they come. */
        void copy(String query, Bytes taker) throws IOException {
            byte[] words = ("COPY (" + query + ") TO STDOUT (FORMAT binary)\0").getBytes(StandardCharsets.UTF_8);
            channel.write(ByteBuffer.allocate(5 + words.length)
                    .put((byte) 'Q')
                    .putInt(4 + words.length)
                    .put(words)
                    .flip());
            boolean isFirst = true;
            while (true) {
                need(5);
                byte type = in.get();
                int length = in.getInt() - 4;
                if (type != 'd') {
                    need(length);
                    in.position(in.position() + length);
                    if (type == 'Z') {
                        return;
                    }
                    if (type == 'E') {
                        throw new IOException("the database refuses");
                    }
                    continue;
                }
                if (isFirst) {
                    isFirst = false;
                    need(HEADER_BYTES);
                    in.position(in.position() + HEADER_BYTES);
                    length -= HEADER_BYTES;
                }
                if (length >= 2) {
                    need(2);
                    if (in.getShort() > 0) {
                        need(4);
                        field(in.getInt(), taker);
                    }
                }
            }
        }

        private void field(int length, Bytes taker) throws IOException {
            for (int left = length; left > 0; ) {
                if (!in.hasRemaining()) {
                    need(1);
                }
                int count = Math.min(left, in.remaining());
                int limit = in.limit();
                in.limit(in.position() + count);
                taker.take(in);
                in.limit(limit);
                left -= count;
            }
        }

        @Override
        public void close() throws IOException {
            channel.close();
        }
    }

    /** One kept connection; requests look like ours, so that the sink has as much to read. */
    private static final class Store implements AutoCloseable {
        private static final DateTimeFormatter TIME =
                DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
        private final SocketChannel channel;
        private final String host;
        private final ByteBuffer answer = ByteBuffer.allocate(4096);

        Store(URI store) throws IOException {
            channel = SocketChannel.open(new InetSocketAddress(store.getHost(), store.getPort()));
            channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            host = store.getAuthority();
        }

        private ByteBuffer head(String bucket, long size) {
            return ByteBuffer.wrap(("PUT /" + bucket + "/" + UUID.randomUUID() + " HTTP/1.1\r\nHost: " + host
                            + "\r\nX-Amz-Date: " + TIME.format(Instant.now())
                            + "\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nAuthorization: " + "x".repeat(200)
                            + "\r\nContent-Length: " + size + "\r\n\r\n")
                    .getBytes(StandardCharsets.ISO_8859_1));
        }

        void begin(String bucket, long size) throws IOException {
            write(head(bucket, size));
        }

        void write(ByteBuffer bytes) throws IOException {
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
        }

        void put(String bucket, ByteBuffer body) throws IOException {
            ByteBuffer[] both = {head(bucket, body.remaining()), body};
            while (body.hasRemaining()) {
                channel.write(both);
            }
            finish();
        }

        void finish() throws IOException {
            answer.clear();
            String text = "";
            while (!text.endsWith("\r\n\r\n")) {
                if (channel.read(answer) < 0) {
                    throw new EOFException("the sink went away");
                }
                text = new String(answer.array(), 0, answer.position(), StandardCharsets.ISO_8859_1);
            }
            if (!text.startsWith("HTTP/1.1 200")) {
                throw new IOException(text);
            }
        }

        @Override
        public void close() throws IOException {
            channel.close();
        }
    }
}
