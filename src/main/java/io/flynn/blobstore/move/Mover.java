package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.decide.MoveDecision;
import io.flynn.blobstore.store.postgres.MoveCatalog.Flip;

/** Brings one blob to the target. Thread-safe; blocks, and throws {@code StorageFailure} if the world fails: nothing is lost then. */
interface Mover {

    /** How far a blob came. */
    sealed interface Moved {

        /** Its bytes are at the target and were read back right: its row may be flipped, with others. */
        record Proven(Flip flip) implements Moved {}

        /** It is there, row and all. */
        record Flipped(Flip flip) implements Moved {}

        /** It is not to be moved any more, or not as it was read. */
        record Left() implements Moved {}

        /** No retry can help. */
        record Faulty(MoveDecision.Fault fault) implements Moved {}
    }

    /** A blob that fits in memory. */
    Moved move(BlobSource.Small blob);

    /** A blob that need not. */
    Moved moveStreamed(BlobRow row);
}
