package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.Digest;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.SQLException;
import org.postgresql.PGConnection;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/**
 * A stream that was written to a new large object, which is gone again if the transaction is not committed.
 *
 * @param content of all that was digested: the stream, after what the digest had taken in before
 */
record LargeObjectUpload(long oid, BlobContent content) {

    /** One round trip each; more costs memory for each upload and gains little. */
    private static final int CHUNK_BYTES = 256 * 1024;

    /**
     * Reads {@code body} to its end.
     *
     * @throws UncheckedIOException if it can't be read to its end
     */
    static LargeObjectUpload of(Connection connection, InputStream body, Digest digest) throws SQLException {
        LargeObjectManager objects = connection.unwrap(PGConnection.class).getLargeObjectAPI();
        long oid = objects.createLO(LargeObjectManager.WRITE);
        LargeObject object = objects.open(oid, LargeObjectManager.WRITE);
        byte[] chunk = new byte[CHUNK_BYTES];
        for (int read = read(body, chunk); read > 0; read = read(body, chunk)) {
            digest.update(ByteBuffer.wrap(chunk, 0, read));
            object.write(chunk, 0, read);
        }
        // Closed on success only: after a failure the transaction is over, and the descriptor with it.
        object.close();
        return new LargeObjectUpload(oid, digest.finish());
    }

    private static int read(InputStream body, byte[] chunk) {
        try {
            return body.readNBytes(chunk, 0, chunk.length);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
