package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.store.CheckedBody;
import java.nio.ByteBuffer;

/** One large object as an upload's body: the server's messages are handed on without copying, one for each that is asked for. */
public final class LargeObjectBody extends CheckedBody {

    private final Database database;
    private final long oid;
    private final String query;

    LargeObjectBody(Database database, BlobRow row, String query) {
        super(row, "its large object");
        this.database = database;
        this.oid = row.oid().orElseThrow();
        this.query = query;
    }

    @Override
    protected void read(Chunks chunks) {
        database.with("read large object " + oid, connection -> {
            try (CopyRows copy = new CopyRows(connection, query)) {
                for (ByteBuffer next = copy.next(); next != null; next = copy.next()) {
                    ByteBuffer chunk = CopyRows.field(next);
                    if (chunk != null && !chunks.take(chunk)) {
                        break;
                    }
                }
            }
            return oid;
        });
    }
}
