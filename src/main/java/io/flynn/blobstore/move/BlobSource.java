package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.store.CheckedBody;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Where a move takes bytes from. Thread-safe; blocks, and throws {@link io.flynn.blobstore.store.StorageFailure} if the world
 * fails; bytes that are not there are {@code Missing} with {@code SourceMissing} where they can't be empty.
 */
interface BlobSource {

    /**
     * A small blob.
     *
     * @param bytes its bytes, empty if they are not there; more or fewer than the row says if so many are there
     */
    record Small(BlobRow row, Supplier<Optional<ByteBuffer>> bytes) {}

    /**
     * Reads small blobs whole: all now, where one statement does for many, or each when it is asked for.
     *
     * @param rows together no more than fits in memory
     */
    List<Small> readAll(List<BlobRow> rows);

    /** Whether the row says where its bytes are. */
    boolean isNamed(BlobRow row);

    /**
     * The bytes of a row that does, for an upload.
     *
     * @param checked the digest that the store checks of what it gets: then nobody needs to before
     */
    CheckedBody body(BlobRow row, Optional<Sha512> checked);

    /** Reads the bytes to their end; empty if they are not there. */
    Optional<BlobContent> digest(BlobRow row);
}
