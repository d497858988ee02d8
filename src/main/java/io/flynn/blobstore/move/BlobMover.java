package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.MoveDecision;
import io.flynn.blobstore.decide.MoveDecision.Facts;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.LargeObjectBody;
import io.flynn.blobstore.store.postgres.LargeObjects;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Brings one blob to the point where its row may be flipped: uploaded under its key and read back right. Changes no row.
 * Thread-safe; blocks, and throws {@link StorageFailure} if the world fails, with which nothing is lost.
 */
final class BlobMover {

    /** An upload that reads back wrong is sent once more; a store that does it twice is not trusted with this blob now. */
    private static final int UPLOADS_PER_TRY = 2;

    private final LargeObjects largeObjects;
    private final BlobStore store;
    private final BackendName target;
    private final AtomicLong uploads;

    /** @param uploads counts what is sent */
    BlobMover(LargeObjects largeObjects, BlobStore store, BackendName target, AtomicLong uploads) {
        this.largeObjects = largeObjects;
        this.store = store;
        this.target = target;
        this.uploads = uploads;
    }

    /** Where the bytes of a blob come from. */
    private interface Source {
        ReplayableBody body();

        /** What is known of the bytes by now: read, or recorded. */
        Optional<BlobContent> content();
    }

    /** A blob whose bytes were read already; {@code bytes} empty = its large object is not there. */
    MoveDecision prove(BlobRow row, Optional<ByteBuffer> bytes) {
        Optional<BlobContent> content = bytes.map(read -> {
            Digest digest = new Digest();
            digest.update(read.duplicate());
            return digest.finish();
        });
        // Sending a small blob again costs less than asking first whether it is there.
        return prove(row, new InMemory(row, bytes.orElse(ByteBuffer.allocate(0)), content), Optional.empty());
    }

    /** A blob too large for memory: streamed, unless it is found in place. */
    MoveDecision proveStreamed(BlobRow row) {
        if (row.oid().isEmpty()) {
            return new MoveDecision.Quarantine(MoveDecision.Fault.SOURCE_MISSING);
        }
        Optional<BlobContent> recorded = row.sha512().isPresent()
                ? row.sha512().map(digest -> new BlobContent(row.size(), digest))
                : largeObjects.digest(row.oid().getAsLong(), row.size());
        Streamed source = new Streamed(row, recorded);
        Optional<BlobContent> inPlace = recorded.map(content -> ObjectKey.of(row.id(), content.sha512()))
                .filter(key -> store.sizeOf(key).orElse(-1) == row.size())
                .flatMap(store::readBack);
        return prove(row, source, inPlace);
    }

    private MoveDecision prove(BlobRow row, Source source, Optional<BlobContent> seenInPlace) {
        Optional<BlobContent> object = seenInPlace;
        Optional<ObjectKey> stored = Optional.empty();
        for (int sent = 0; ; sent++) {
            MoveDecision decision = MoveDecision.decide(new Facts(row, source.content(), object), target);
            if (decision instanceof MoveDecision.Flip flip) {
                requireStored(row, stored, flip.key());
            }
            if (!(decision instanceof MoveDecision.Copy copy)) {
                return decision;
            }
            ObjectKey key = copy.key();
            if (sent == UPLOADS_PER_TRY) {
                throw new StorageFailure.OutcomeUnknown(
                        Reasons.TARGET_DIFFERS, "object " + key + " reads back wrong after it was stored", null);
            }
            uploads.incrementAndGet();
            try {
                store.put(key, source.body());
                stored = Optional.of(key);
                object = store.readBack(key);
            } catch (StorageFailure.Corrupt e) {
                if (source.content().filter(row::isDescribedBy).isPresent()) {
                    throw e;
                }
                // Reading it told what the source really holds: decide on that.
            } catch (StorageFailure.Missing e) {
                if (e.reason().equals(Reasons.SOURCE_MISSING)) {
                    return new MoveDecision.Quarantine(MoveDecision.Fault.SOURCE_MISSING);
                }
                throw e;
            }
        }
    }

    /** A row without a digest has the key of what was read first; if another read brought other bytes, they lie under it. */
    private static void requireStored(BlobRow row, Optional<ObjectKey> stored, ObjectKey key) {
        if (stored.filter(other -> !other.equals(key)).isPresent()) {
            throw new StorageFailure.OutcomeUnknown(
                    Reasons.TARGET_DIFFERS, "blob " + row.id() + " changed while it was copied", null);
        }
    }

    private record InMemory(BlobRow row, ByteBuffer bytes, Optional<BlobContent> content) implements Source {
        @Override
        public ReplayableBody body() {
            return new BytesBody(bytes, row.type());
        }
    }

    private final class Streamed implements Source {

        private final LargeObjectBody body;
        private final Optional<BlobContent> recorded;

        Streamed(BlobRow row, Optional<BlobContent> recorded) {
            this.recorded = recorded;
            body = largeObjects.body(row);
        }

        @Override
        public ReplayableBody body() {
            return body;
        }

        @Override
        public Optional<BlobContent> content() {
            return body.lastRead().or(() -> recorded);
        }
    }
}
