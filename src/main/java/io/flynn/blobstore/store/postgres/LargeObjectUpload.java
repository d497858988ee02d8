package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.Digest;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.postgresql.PGConnection;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/**
 * A stream that was written to a new large object, which is gone again if the transaction is not committed.
 *
 * @param content of all that was digested: the stream, after what the digest had taken in before
 */
record LargeObjectUpload(long oid, BlobContent content) {

    private static final String CREATE = "SELECT lo_from_bytea(0, ?)";

    private static final ExecutorService WRITERS = Executors.newVirtualThreadPerTaskExecutor();

    /**
     * Reads {@code body} to its end.
     *
     * @param chunkBytes one round trip each, and two of them in memory
     * @throws UncheckedIOException if it can't be read to its end
     */
    static LargeObjectUpload of(Connection connection, InputStream body, Digest digest, int chunkBytes)
            throws SQLException {
        return of(connection, start(body, chunkBytes), body, digest, chunkBytes);
    }

    /**
     * The first bytes of {@code body}: all, if there are fewer than are {@link #isWhole asked for}. Most blobs are small, and
     * memory for a whole chunk would be larger than those.
     */
    static byte[] start(InputStream body, int chunkBytes) {
        try {
            return body.readNBytes(startBytes(chunkBytes));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static boolean isWhole(byte[] start, int chunkBytes) {
        return start.length < startBytes(chunkBytes);
    }

    private static int startBytes(int chunkBytes) {
        return Math.min(LiveRows.SMALL_BYTES, chunkBytes);
    }

    /** The same of a body that {@link #start} was read of already. */
    static LargeObjectUpload of(Connection connection, byte[] start, InputStream body, Digest digest, int chunkBytes)
            throws SQLException {
        if (isWhole(start, chunkBytes)) {
            digest.update(ByteBuffer.wrap(start));
            return new LargeObjectUpload(create(connection, start), digest.finish());
        }
        byte[] chunk = Arrays.copyOf(start, chunkBytes);
        int read = start.length + read(body, chunk, start.length);
        digest.update(ByteBuffer.wrap(chunk, 0, read));
        long oid = create(connection, read < chunkBytes ? Arrays.copyOf(chunk, read) : chunk);
        if (read == chunkBytes) {
            LargeObject object =
                    connection.unwrap(PGConnection.class).getLargeObjectAPI().open(oid, LargeObjectManager.WRITE);
            object.seek(read);
            writeRest(object, body, digest, chunk);
            // Closed on success only: after a failure the transaction is over, and the descriptor with it.
            object.close();
        }
        return new LargeObjectUpload(oid, digest.finish());
    }

    /** All that was written, within the transaction. */
    InputStream read(Connection connection) throws SQLException {
        return connection
                .unwrap(PGConnection.class)
                .getLargeObjectAPI()
                .open(oid, LargeObjectManager.READ)
                .getInputStream();
    }

    /** While a chunk is written, which takes the database longest, the next one is read and digested. */
    private static void writeRest(LargeObject object, InputStream body, Digest digest, byte[] chunk)
            throws SQLException {
        byte[] filling = chunk;
        byte[] free = new byte[chunk.length];
        CompletableFuture<Void> writing = CompletableFuture.completedFuture(null);
        try {
            for (int read = read(body, filling, 0); read > 0; read = read(body, filling, 0)) {
                digest.update(ByteBuffer.wrap(filling, 0, read));
                await(writing);
                writing = write(object, filling, read);
                byte[] full = filling;
                filling = free;
                free = full;
            }
            await(writing);
        } finally {
            // Whatever failed: the connection is not used by two at once.
            writing.exceptionally(failure -> null).join();
        }
    }

    private static CompletableFuture<Void> write(LargeObject object, byte[] chunk, int length) {
        return CompletableFuture.runAsync(
                () -> {
                    try {
                        object.write(chunk, 0, length);
                    } catch (SQLException e) {
                        throw new CompletionException(e);
                    }
                },
                WRITERS);
    }

    private static void await(CompletableFuture<Void> writing) throws SQLException {
        try {
            writing.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof SQLException failure) {
                throw failure;
            }
            throw e;
        }
    }

    /** With its first bytes, which for most are all: one round trip. */
    private static long create(Connection connection, byte[] bytes) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(CREATE)) {
            statement.setBytes(1, bytes);
            try (ResultSet oid = statement.executeQuery()) {
                oid.next();
                return oid.getLong(1);
            }
        }
    }

    private static int read(InputStream body, byte[] chunk, int from) {
        try {
            return body.readNBytes(chunk, from, chunk.length - from);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
