package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.CheckedBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;

/**
 * Blobs in a bucket, under whatever keys their rows have.
 *
 * @param traffic is told how long is waited for the bytes of those that are streamed
 */
record ObjectSource(BackendName backend, BlobStore store, Traffic traffic) implements BlobSource {

    /** As large as a large object's chunk; the client's own buffers are smaller and would cost an upload more calls. */
    private static final int CHUNK_BYTES = 256 * 1024;

    /** Each by itself and only when it is needed: many can be read at once. */
    @Override
    public List<Small> readAll(List<BlobRow> rows) {
        return rows.stream().map(row -> new Small(row, () -> read(row))).toList();
    }

    private Optional<ByteBuffer> read(BlobRow row) {
        if (!isNamed(row)) {
            return Optional.empty();
        }
        if (row.size() <= 0) {
            // What there are no bytes of can't be read: only whether it is there, and as long as it should be.
            return store.sizeOf(key(row)).stream()
                    .mapToObj(size -> ByteBuffer.allocate(size == 0 ? 0 : 1))
                    .findFirst();
        }
        try (InputStream bytes = store.open(key(row), row.size())) {
            return Optional.of(ByteBuffer.wrap(bytes.readAllBytes()));
        } catch (StorageFailure.Missing e) {
            if (e.reason().equals(Reasons.OBJECT_MISSING)) {
                return Optional.empty();
            }
            throw e;
        } catch (StorageFailure.Corrupt e) {
            if (e.reason().equals(Reasons.SIZE_DIFFERS)) {
                // Of any other length than the row's: what it is doesn't matter.
                return Optional.of(ByteBuffer.allocate(Math.toIntExact(row.size()) + 1));
            }
            throw e;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public boolean isNamed(BlobRow row) {
        return row.externalId().isPresent();
    }

    @Override
    public CheckedBody body(BlobRow row, Optional<Sha512> checked) {
        return new Body(row, checked);
    }

    /** The bytes of a row that names its object, as many as it says. */
    InputStream open(BlobRow row) {
        return open(row, 0, row.size());
    }

    private InputStream open(BlobRow row, long first, long length) {
        ObjectKey key = key(row);
        long start = System.nanoTime();
        try {
            return new Awaited(
                    length == row.size() ? store.open(key, length) : store.open(key, row.size(), first, length));
        } catch (StorageFailure.Missing e) {
            // Missing at the source is the blob's failure; missing at the target would be the store's.
            throw e.reason().equals(Reasons.OBJECT_MISSING)
                    ? new StorageFailure.Missing(Reasons.SOURCE_MISSING, String.valueOf(e.getMessage()), e)
                    : e;
        } finally {
            traffic.waited(Traffic.Wait.SOURCE, System.nanoTime() - start);
        }
    }

    @Override
    public Optional<BlobContent> digest(BlobRow row) {
        return row.externalId().flatMap(key -> store.readBack(key, row.size()));
    }

    private static ObjectKey key(BlobRow row) {
        return row.externalId().orElseThrow();
    }

    /** Tells how long each read takes. */
    private final class Awaited extends FilterInputStream {

        Awaited(InputStream bytes) {
            super(bytes);
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            long start = System.nanoTime();
            try {
                return super.read(target, offset, length);
            } finally {
                traffic.waited(Traffic.Wait.SOURCE, System.nanoTime() - start);
            }
        }
    }

    private final class Body extends CheckedBody {

        private final BlobRow row;

        Body(BlobRow row, Optional<Sha512> checked) {
            super(row, "its object at " + backend, checked, traffic);
            this.row = row;
        }

        @Override
        protected void read(long first, long length, Chunks chunks) {
            try (InputStream bytes = ObjectSource.this.open(row, first, length)) {
                byte[] chunk = bytes.readNBytes(CHUNK_BYTES);
                while (chunk.length > 0 && chunks.take(ByteBuffer.wrap(chunk))) {
                    chunk = bytes.readNBytes(CHUNK_BYTES);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
