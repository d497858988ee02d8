package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.core.async.AsyncRequestBody;

/**
 * The bytes of one part, or of an object that is no longer than a part, as they come from a client: whole before they are sent,
 * so the SDK can send them again. In memory while there is room for them, else in a file. For one thread at a time.
 */
final class GatheredPart implements AutoCloseable {

    /** With 10,000 parts, the most that S3 takes, the largest upload is 78 GiB; S3 wants at least 5 MiB. */
    static final int BYTES_MAX = 8 * 1024 * 1024;

    private static final ExecutorService READERS = Executors.newVirtualThreadPerTaskExecutor();

    private final PartRoom room;
    private final List<byte[]> pieces = new ArrayList<>();
    private final MessageDigest md5;
    private Optional<FileChannel> file = Optional.empty();
    private int size;

    GatheredPart(PartRoom room) {
        this.room = room;
        try {
            md5 = MessageDigest.getInstance("MD5");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has MD5", e);
        }
    }

    int size() {
        return size;
    }

    /** How many more bytes it takes. */
    int left() {
        return BYTES_MAX - size;
    }

    /**
     * @param bytes no more than are {@link #left}
     * @throws StorageFailure.Busy if there is room for them neither in memory nor in a file
     */
    void add(ByteBuffer bytes) {
        md5.update(bytes.duplicate());
        while (bytes.hasRemaining()) {
            if (file.isEmpty() && size == pieces.size() * PartRoom.PIECE_BYTES) {
                makeRoom();
            }
            if (file.isPresent()) {
                size += bytes.remaining();
                write(file.get(), bytes);
            } else {
                int taken = size % PartRoom.PIECE_BYTES;
                int length = Math.min(bytes.remaining(), PartRoom.PIECE_BYTES - taken);
                bytes.get(pieces.getLast(), taken, length);
                size += length;
            }
        }
    }

    /** Another piece of memory; or a file, for all of it: others need the memory that it leaves. */
    private void makeRoom() {
        Optional<byte[]> piece = room.pieceIfFree();
        if (piece.isPresent()) {
            pieces.add(piece.get());
            return;
        }
        file = room.file();
        if (file.isEmpty()) {
            pieces.add(room.piece());
            return;
        }
        for (ByteBuffer full : inMemory()) {
            write(file.get(), full);
        }
        giveBack();
    }

    private static void write(FileChannel file, ByteBuffer bytes) {
        try {
            while (bytes.hasRemaining()) {
                file.write(bytes);
            }
        } catch (IOException e) {
            throw new StorageFailure.Busy(
                    Reasons.STORE_BUSY, "could not take an upload in: neither memory nor disk has room for it", e);
        }
    }

    /** What was added, base64 of its MD5; nothing may be added after it. */
    String md5() {
        return Base64.getEncoder().encodeToString(md5.digest());
    }

    /** For any number of attempts, one after the other. */
    AsyncRequestBody body() {
        if (size == 0) {
            return AsyncRequestBody.empty();
        }
        return file.isPresent()
                ? AsyncRequestBody.fromInputStream(new Rereadable(file.get()), (long) size, READERS)
                : AsyncRequestBody.fromByteBuffersUnsafe(inMemory());
    }

    private ByteBuffer[] inMemory() {
        ByteBuffer[] buffers = new ByteBuffer[pieces.size()];
        for (int i = 0; i < buffers.length; i++) {
            int length = Math.min(PartRoom.PIECE_BYTES, size - i * PartRoom.PIECE_BYTES);
            buffers[i] = ByteBuffer.wrap(pieces.get(i), 0, length);
        }
        return buffers;
    }

    private void giveBack() {
        pieces.forEach(room::giveBack);
        pieces.clear();
    }

    /** Not while it is sent. */
    @Override
    public void close() {
        giveBack();
        if (file.isPresent()) {
            try {
                file.get().close();
            } catch (IOException e) {
                throw new IllegalStateException("could not close a file that has no name", e);
            }
        }
    }

    /** Goes back to the file's beginning, which is what the SDK marks. */
    private static final class Rereadable extends InputStream {

        private final FileChannel file;
        private long position;

        Rereadable(FileChannel file) {
            this.file = file;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte @Nullable [] target, int offset, int length) throws IOException {
            int read = file.read(ByteBuffer.wrap(target, offset, length), position);
            position += Math.max(read, 0);
            return read;
        }

        @Override
        public boolean markSupported() {
            return true;
        }

        @Override
        public synchronized void mark(int limit) {
            // Always the beginning.
        }

        @Override
        public synchronized void reset() {
            position = 0;
        }
    }
}
