package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.decide.MoveDecision.Fault;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import io.flynn.blobstore.store.postgres.LargeObjectArrivals;
import io.flynn.blobstore.store.postgres.LargeObjectArrivals.Arrival;
import io.flynn.blobstore.store.postgres.LargeObjects;
import io.flynn.blobstore.store.postgres.MoveCatalog;
import io.flynn.blobstore.store.postgres.MoveCatalog.Flip;
import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

/**
 * Moves blobs into the database. One whose large object was kept, and still is the blob, comes back by a flip of its row alone;
 * others get a new large object.
 */
final class LargeObjectMover implements Mover {

    private final ObjectSource source;
    private final LargeObjects largeObjects;
    private final LargeObjectArrivals arrivals;
    private final MoveCatalog catalog;
    private final Traffic traffic;
    private final AtomicLong uploads;

    /**
     * @param traffic limits how fast is read, and is told how long is waited for the database
     * @param uploads counts what is written
     */
    LargeObjectMover(
            ObjectSource source,
            LargeObjects largeObjects,
            LargeObjectArrivals arrivals,
            MoveCatalog catalog,
            Traffic traffic,
            AtomicLong uploads) {
        this.source = source;
        this.largeObjects = largeObjects;
        this.arrivals = arrivals;
        this.catalog = catalog;
        this.traffic = traffic;
        this.uploads = uploads;
    }

    @Override
    public Moved move(BlobSource.Small blob) {
        Optional<Moved> back = comeBack(blob.row());
        if (back.isPresent()) {
            return back.get();
        }
        Optional<ByteBuffer> bytes = blob.bytes().get();
        return bytes.isEmpty()
                ? new Moved.Faulty(Fault.SOURCE_MISSING)
                : arrive(
                        blob.row(),
                        () -> new Paced(new ByteArrayInputStream(bytes.get().array())));
    }

    @Override
    public Moved moveStreamed(BlobRow row) {
        return comeBack(row).orElseGet(() -> {
            if (!source.isNamed(row)) {
                return new Moved.Faulty(Fault.SOURCE_MISSING);
            }
            try {
                return arrive(row, () -> new Paced(source.open(row)));
            } catch (StorageFailure.Missing e) {
                if (e.reason().equals(Reasons.SOURCE_MISSING)) {
                    return new Moved.Faulty(Fault.SOURCE_MISSING);
                }
                throw e;
            } catch (StorageFailure.Corrupt e) {
                if (e.reason().equals(Reasons.SIZE_DIFFERS)) {
                    return new Moved.Faulty(Fault.SIZE_DIFFERS);
                }
                throw e;
            }
        });
    }

    /** Only a recorded digest tells that a large object is not an older version of the blob. */
    private Optional<Moved> comeBack(BlobRow row) {
        if (row.oid().isEmpty() || row.sha512().isEmpty()) {
            return Optional.empty();
        }
        long oid = row.oid().getAsLong();
        return largeObjects
                .digest(oid, row.size())
                .filter(row::isDescribedBy)
                .map(content -> new Moved.Proven(Flip.toLargeObject(row, oid, content.sha512())));
    }

    private Moved arrive(BlobRow row, Supplier<InputStream> bytes) {
        List<Flip> made = new ArrayList<>(1);
        uploads.incrementAndGet();
        Arrival arrival;
        try {
            arrival = arrivals.take(row, source.backend(), bytes, made::add);
        } catch (StorageFailure.OutcomeUnknown e) {
            return made.stream()
                    .filter(flip -> catalog.row(row.id())
                            .filter(present -> flip.isDoneIn(present, BackendName.POSTGRES))
                            .isPresent())
                    .<Moved>map(Moved.Flipped::new)
                    .findFirst()
                    .orElseThrow(() -> e);
        }
        if (arrival.flip().isPresent()) {
            return new Moved.Flipped(arrival.flip().get());
        }
        return fault(row, arrival.read()).<Moved>map(Moved.Faulty::new).orElseGet(Moved.Left::new);
    }

    private static Optional<Fault> fault(BlobRow row, BlobContent read) {
        if (row.isDescribedBy(read)) {
            return Optional.empty();
        }
        return Optional.of(read.size() == row.size() ? Fault.DIGEST_DIFFERS : Fault.SIZE_DIFFERS);
    }

    /** Read as fast as may be. While nothing is read, the database is waited for. */
    private final class Paced extends FilterInputStream {

        private final long opened = System.nanoTime();
        private long inReads;

        Paced(InputStream bytes) {
            super(bytes);
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            long start = System.nanoTime();
            int read = super.read(target, offset, length);
            if (read > 0) {
                traffic.pass(read);
            }
            inReads += System.nanoTime() - start;
            return read;
        }

        @Override
        public void close() throws IOException {
            traffic.waited(Traffic.Wait.STORE, System.nanoTime() - opened - inReads);
            super.close();
        }
    }
}
