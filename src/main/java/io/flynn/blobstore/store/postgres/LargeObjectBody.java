package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.store.CheckedBody;
import io.flynn.blobstore.store.Traffic;
import java.nio.ByteBuffer;
import java.sql.SQLException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** One large object as an upload's body: the server's messages are handed on without copying, a piece for each that is asked for. */
public final class LargeObjectBody extends CheckedBody {

    /** The SDK's client holds up to 16 of what is handed on, once here and once for the network: so many bytes for each stream. */
    private static final int PIECE_BYTES = 32 * 1024;

    private final Database database;
    private final long oid;
    private final Traffic traffic;

    LargeObjectBody(Database database, BlobRow row, Optional<Sha512> checked, Traffic traffic) {
        super(row, "its large object", checked, traffic);
        this.traffic = traffic;
        this.database = database;
        this.oid = row.oid().orElseThrow();
    }

    @Override
    protected void read(long first, long length, Chunks chunks) {
        String query = LargeObjects.chunks(oid, first, isEnd(first, length) ? length + 1 : length);
        database.with("read large object " + oid, connection -> {
            try (CopyRows copy = new CopyRows(connection, query)) {
                for (ByteBuffer next = next(copy); next != null; next = next(copy)) {
                    ByteBuffer chunk = CopyRows.field(next);
                    if (chunk != null && !handOn(chunk, chunks)) {
                        break;
                    }
                }
            }
            return oid;
        });
    }

    private static boolean handOn(ByteBuffer chunk, Chunks chunks) {
        boolean isWanted = true;
        for (int first = 0; isWanted && first < chunk.remaining(); first += PIECE_BYTES) {
            isWanted = chunks.take(chunk.slice(first, Math.min(PIECE_BYTES, chunk.remaining() - first)));
        }
        return isWanted;
    }

    private @Nullable ByteBuffer next(CopyRows copy) throws SQLException {
        long start = System.nanoTime();
        ByteBuffer next = copy.next();
        traffic.waited(Traffic.Wait.SOURCE, System.nanoTime() - start);
        return next;
    }
}
