package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.MoveDecision;
import io.flynn.blobstore.decide.MoveDecision.Facts;
import io.flynn.blobstore.decide.MoveDecision.Fault;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.BytesBody;
import io.flynn.blobstore.store.CheckedBody;
import io.flynn.blobstore.store.Proof;
import io.flynn.blobstore.store.ReplayableBody;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.MoveCatalog.Flip;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/** Moves blobs into a bucket: uploaded under a key that row and digest make, and read back right. Changes no row. */
final class BlobMover implements Mover {

    /** An upload that reads back wrong is sent once more; a store that does it twice is not trusted with this blob now. */
    private static final int UPLOADS_PER_TRY = 2;

    private final BlobSource source;
    private final BlobStore store;
    private final BackendName target;
    private final AtomicLong uploads;

    /** @param uploads counts what is sent */
    BlobMover(BlobSource source, BlobStore store, BackendName target, AtomicLong uploads) {
        this.source = source;
        this.store = store;
        this.target = target;
        this.uploads = uploads;
    }

    /** The bytes of one blob. */
    private interface Bytes {
        ReplayableBody body();

        /** What is known of them by now: read, or recorded. */
        Optional<BlobContent> content();

        /** The same, known by reading. */
        Optional<BlobContent> readAgain();
    }

    @Override
    public Moved move(BlobSource.Small blob) {
        BlobRow row = blob.row();
        Optional<ByteBuffer> bytes = blob.bytes().get();
        if (bytes.isEmpty()) {
            return withoutSource(row);
        }
        // Of a blob that is as long as recorded, the store can tell whether it is what is recorded.
        Optional<BlobContent> known =
                store.proof(row.size()) == Proof.DIGEST && bytes.get().remaining() == row.size()
                        ? recorded(row)
                        : Optional.empty();
        // Sending a small blob again costs less than asking first whether it is there.
        return prove(
                row, new InMemory(row, bytes.get(), known.orElseGet(() -> digested(bytes.get()))), Optional.empty());
    }

    @Override
    public Moved moveStreamed(BlobRow row) {
        if (!source.isNamed(row)) {
            return withoutSource(row);
        }
        Optional<BlobContent> recorded = recorded(row).or(() -> source.digest(row));
        Optional<BlobContent> inPlace = inPlace(row, recorded);
        return prove(row, new Streamed(row, recorded), inPlace);
    }

    /** An old server's overwrite that broke off has deleted an object that an earlier run may have brought here. */
    private Moved withoutSource(BlobRow row) {
        Optional<BlobContent> recorded = recorded(row);
        Optional<BlobContent> inPlace = inPlace(row, recorded);
        return inPlace.isPresent()
                        && MoveDecision.decide(new Facts(row, recorded, inPlace), target)
                                instanceof MoveDecision.Flip flip
                ? new Moved.Proven(Flip.toObject(row, flip.key(), flip.sha512()))
                : new Moved.Faulty(Fault.SOURCE_MISSING);
    }

    private static Optional<BlobContent> recorded(BlobRow row) {
        return row.size() < 0 ? Optional.empty() : row.sha512().map(digest -> new BlobContent(row.size(), digest));
    }

    private Optional<BlobContent> inPlace(BlobRow row, Optional<BlobContent> content) {
        return content.map(known -> ObjectKey.of(row.id(), known.sha512()))
                .filter(key -> store.sizeOf(key).orElse(-1) == row.size())
                .flatMap(key -> store.readBack(key, row.size()));
    }

    private Moved prove(BlobRow row, Bytes bytes, Optional<BlobContent> seenInPlace) {
        Optional<BlobContent> object = seenInPlace;
        Optional<ObjectKey> stored = Optional.empty();
        for (int sent = 0; ; sent++) {
            switch (MoveDecision.decide(new Facts(row, bytes.content(), object), target)) {
                case MoveDecision.Leave leave -> {
                    return new Moved.Left();
                }
                case MoveDecision.Quarantine quarantine -> {
                    return new Moved.Faulty(quarantine.fault());
                }
                case MoveDecision.Flip flip -> {
                    requireStored(row, stored, flip.key());
                    return new Moved.Proven(Flip.toObject(row, flip.key(), flip.sha512()));
                }
                case MoveDecision.Copy copy -> {
                    if (sent == UPLOADS_PER_TRY) {
                        throw new StorageFailure.OutcomeUnknown(
                                Reasons.TARGET_DIFFERS,
                                "object " + copy.key() + " reads back wrong after it was stored",
                                null);
                    }
                    uploads.incrementAndGet();
                    try {
                        ReplayableBody body = bytes.body();
                        store.put(copy.key(), body);
                        stored = Optional.of(copy.key());
                        object = isProven(body) ? bytes.content() : store.readBack(copy.key(), row.size());
                        if (!object.equals(bytes.content())) {
                            // Of what was sent by parts nobody has seen the digest yet.
                            bytes.readAgain();
                        }
                    } catch (StorageFailure.Corrupt e) {
                        if (e.reason().equals(Reasons.SIZE_DIFFERS)) {
                            return new Moved.Faulty(Fault.SIZE_DIFFERS);
                        }
                        if (bytes.readAgain().filter(row::isDescribedBy).isPresent()) {
                            throw e;
                        }
                        // Reading it told what the source really holds: decide on that.
                    } catch (StorageFailure.Missing e) {
                        if (e.reason().equals(Reasons.SOURCE_MISSING)) {
                            return new Moved.Faulty(Fault.SOURCE_MISSING);
                        }
                        throw e;
                    }
                }
            }
        }
    }

    /** Whether the store has shown by taking it that the object holds what was to be stored. */
    private boolean isProven(ReplayableBody body) {
        return switch (store.proof(body.size())) {
            case NONE -> false;
            case CONTENT -> true;
            case DIGEST -> body.sha512().isPresent();
        };
    }

    private static BlobContent digested(ByteBuffer bytes) {
        Digest digest = new Digest();
        digest.update(bytes.duplicate());
        return digest.finish();
    }

    /** A row without a digest has the key of what was read first; if another read brought other bytes, they lie under it. */
    private static void requireStored(BlobRow row, Optional<ObjectKey> stored, ObjectKey key) {
        if (stored.filter(other -> !other.equals(key)).isPresent()) {
            throw new StorageFailure.OutcomeUnknown(
                    Reasons.TARGET_DIFFERS, "blob " + row.id() + " changed while it was copied", null);
        }
    }

    private static final class InMemory implements Bytes {

        private final BlobRow row;
        private final ByteBuffer bytes;
        private BlobContent known;

        /** @param known what the row says, where the store is asked to check that; else what was read */
        InMemory(BlobRow row, ByteBuffer bytes, BlobContent known) {
            this.row = row;
            this.bytes = bytes;
            this.known = known;
        }

        @Override
        public ReplayableBody body() {
            return new BytesBody(bytes, row.type(), Optional.of(known.sha512()));
        }

        @Override
        public Optional<BlobContent> content() {
            return Optional.of(known);
        }

        @Override
        public Optional<BlobContent> readAgain() {
            known = digested(bytes);
            return content();
        }
    }

    private final class Streamed implements Bytes {

        private final BlobRow row;
        private final CheckedBody body;
        private Optional<BlobContent> known;

        Streamed(BlobRow row, Optional<BlobContent> recorded) {
            this.row = row;
            known = recorded;
            body = source.body(
                    row,
                    store.proof(row.size()) == Proof.DIGEST ? recorded.map(BlobContent::sha512) : Optional.empty());
        }

        @Override
        public ReplayableBody body() {
            return body;
        }

        @Override
        public Optional<BlobContent> content() {
            return body.lastRead().or(() -> known);
        }

        @Override
        public Optional<BlobContent> readAgain() {
            if (body.lastRead().isEmpty()) {
                known = source.digest(row);
            }
            return content();
        }
    }
}
