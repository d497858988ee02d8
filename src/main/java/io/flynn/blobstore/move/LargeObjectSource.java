package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.store.CheckedBody;
import io.flynn.blobstore.store.postgres.LargeObjects;
import java.util.List;
import java.util.Optional;

/** Blobs in the database. */
record LargeObjectSource(LargeObjects largeObjects) implements BlobSource {

    @Override
    public List<Small> readAll(List<BlobRow> rows) {
        return largeObjects.readAll(rows).stream()
                .map(read -> new Small(read.row(), read::bytes))
                .toList();
    }

    @Override
    public boolean isNamed(BlobRow row) {
        return row.oid().isPresent();
    }

    @Override
    public CheckedBody body(BlobRow row, Optional<Sha512> checked) {
        return largeObjects.body(row, checked);
    }

    @Override
    public Optional<BlobContent> digest(BlobRow row) {
        return row.oid().isPresent() ? largeObjects.digest(row.oid().getAsLong(), row.size()) : Optional.empty();
    }
}
