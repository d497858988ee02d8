package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.MoveCatalog.Flip;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Brings blobs into the database. A blob's large object is made, written and read back, and its row flipped to it, in one
 * transaction, whose last statements take the row's lock: whatever ends it, at whatever instant, leaves nothing.
 *
 * <p>Thread-safe; blocks, holding a connection for the length of the transfer.
 */
public final class LargeObjectArrivals {

    /** One round trip each; more costs memory and gains little. */
    private static final int CHUNK_BYTES = 256 * 1024;

    private final Database database;
    private final MigrationFence fence;

    /** @param fence inside which all this is done */
    public LargeObjectArrivals(Database database, MigrationFence fence) {
        this.database = database;
        this.fence = fence;
    }

    /**
     * How it went.
     *
     * @param read what came
     * @param flip what was done, empty if nothing was: the row was changed or is held, or what came is not what it describes
     */
    public record Arrival(BlobContent read, Optional<Flip> flip) {}

    /** Nothing is to be committed. */
    private static final class NotDone extends RuntimeException {
        private static final long serialVersionUID = 1L;

        private final transient BlobContent read;

        NotDone(BlobContent read) {
            super("the row is not flipped", null, false, false);
            this.read = read;
        }
    }

    /**
     * @param bytes opened once, within the transaction
     * @throws StorageFailure.OutcomeUnknown if the answer to the commit was lost: {@code made} tells what to look for in the row
     */
    public Arrival take(BlobRow row, BackendName from, Supplier<InputStream> bytes, Consumer<Flip> made) {
        try {
            return database.inTransaction("bring blob " + row.id() + " into the database", connection -> {
                LargeObjectUpload upload = write(connection, bytes);
                if (!row.isDescribedBy(upload.content())) {
                    throw new NotDone(upload.content());
                }
                requireAsWritten(connection, upload);
                Flip flip =
                        Flip.toLargeObject(row, upload.oid(), upload.content().sha512());
                made.accept(flip);
                if (MoveCatalog.flip(connection, fence, List.of(flip), from, BackendName.POSTGRES)
                        .isEmpty()) {
                    throw new NotDone(upload.content());
                }
                return new Arrival(upload.content(), Optional.of(flip));
            });
        } catch (NotDone e) {
            return new Arrival(e.read, Optional.empty());
        }
    }

    private static LargeObjectUpload write(Connection connection, Supplier<InputStream> bytes) throws SQLException {
        try (InputStream stream = bytes.get()) {
            return LargeObjectUpload.of(connection, stream, new Digest(), CHUNK_BYTES);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** By what a reader would get. */
    private static void requireAsWritten(Connection connection, LargeObjectUpload upload) throws SQLException {
        Digest digest = new Digest();
        try (CopyRows copy = new CopyRows(
                connection, LargeObjects.chunks(upload.oid(), upload.content().size()))) {
            for (ByteBuffer row = copy.next(); row != null; row = copy.next()) {
                ByteBuffer chunk = CopyRows.field(row);
                if (chunk != null) {
                    digest.update(chunk);
                }
            }
        }
        if (!digest.finish().equals(upload.content())) {
            throw new StorageFailure.OutcomeUnknown(
                    Reasons.TARGET_DIFFERS,
                    "large object " + upload.oid() + " reads back wrong after it was written",
                    null);
        }
    }
}
