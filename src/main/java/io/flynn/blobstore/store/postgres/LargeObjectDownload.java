package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BlobVersion;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.SQLException;

/** The bytes of one version, readable while its transaction lasts. */
final class LargeObjectDownload implements ServedCatalog.Bytes {

    private final Connection connection;
    private final BlobVersion version;
    private final int chunkBytes;
    private final Runnable handingOn;

    /**
     * @param chunkBytes what one {@code lo_get} returns
     * @param handingOn run before bytes are written
     */
    LargeObjectDownload(Connection connection, BlobVersion version, int chunkBytes, Runnable handingOn) {
        this.connection = connection;
        this.version = version;
        this.chunkBytes = chunkBytes;
        this.handingOn = handingOn;
    }

    @Override
    public void copyTo(OutputStream target, long first, long length) throws IOException {
        read(first, length, chunk -> {
            handingOn.run();
            target.write(chunk.array(), chunk.arrayOffset() + chunk.position(), chunk.remaining());
        });
    }

    /**
     * Reads all bytes that the version has, and digests them.
     *
     * @throws StorageFailure.Missing if there is no large object
     * @throws StorageFailure.Corrupt if its bytes are not those that the row records
     */
    void digest(Digest digest) {
        try {
            read(0, version.size(), chunk -> digest.update(chunk.duplicate()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        if (version.sha512()
                .filter(recorded -> !recorded.equals(digest.soFar().sha512()))
                .isPresent()) {
            throw new StorageFailure.Corrupt(
                    Reasons.DIGEST_DIFFERS, "the blob's large object has another digest than its row", null);
        }
    }

    @FunctionalInterface
    private interface Chunks {
        void take(ByteBuffer chunk) throws IOException;
    }

    private void read(long first, long length, Chunks chunks) throws IOException {
        long oid = version.oid().orElseThrow(LargeObjectDownload::missing);
        if (length == 0) {
            return;
        }
        String tried = "read large object " + oid;
        long left = length;
        try (CopyRows copy = new CopyRows(connection, query(oid, first, length))) {
            for (ByteBuffer row = copy.next(); row != null; row = copy.next()) {
                ByteBuffer chunk = CopyRows.field(row);
                if (chunk != null) {
                    left -= chunk.remaining();
                    chunks.take(chunk);
                }
            }
        } catch (SQLException e) {
            throw PgFailures.translate(tried, e);
        }
        if (left > 0) {
            throw tooShort(oid, left);
        }
    }

    static StorageFailure tooShort(long oid, long missing) {
        return new StorageFailure.Corrupt(
                Reasons.SIZE_DIFFERS,
                "could not read large object " + oid + ": it ends " + missing + " bytes too early",
                null);
    }

    static StorageFailure missing() {
        return new StorageFailure.Missing(Reasons.SOURCE_MISSING, "the blob's row names no large object", null);
    }

    private String query(long oid, long first, long length) {
        return "SELECT lo_get(%d, %d + g * %d, least(%d, %d - g * %d)::int) FROM generate_series(0::bigint, %d) g"
                .formatted(oid, first, chunkBytes, chunkBytes, length, chunkBytes, (length - 1) / chunkBytes);
    }
}
