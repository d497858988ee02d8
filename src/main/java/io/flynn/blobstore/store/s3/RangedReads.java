package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.ObjectKey;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Objects;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;

/**
 * Large objects of one bucket, fetched by ranges of which several come at once: a store gives one connection less than the way to it
 * carries. Only a few are, so that memory is bounded; many objects fill the way by themselves. Thread-safe.
 */
final class RangedReads {

    /** Ranges of one object that are in memory at once, coming or being read. */
    private static final int AT_ONCE = 4;

    /** Objects that are read so at once: two fill most ways to a store, and hold 32 MiB. */
    private static final int OBJECTS = 2;

    private final S3Calls calls;
    private final TransferSizes sizes;
    private final Semaphore room = new Semaphore(OBJECTS);
    private final Queue<ByteBuffer> unused = new ConcurrentLinkedQueue<>();

    RangedReads(S3Calls calls, TransferSizes sizes) {
        this.calls = calls;
        this.sizes = sizes;
    }

    /** Whether so many bytes would be fetched by several ranges at once. */
    boolean isWorthIt(long bytes) {
        return bytes >= sizes.rangedMin();
    }

    /**
     * Some bytes of an object that has {@code size} bytes. For one thread; the caller's to close. Reading blocks and throws {@code
     * StorageFailure} if the store fails, or the object changes.
     *
     * @return empty if they are few, or there is no room
     * @throws io.flynn.blobstore.store.StorageFailure.Corrupt if the object has another size
     */
    Optional<InputStream> open(ObjectKey key, long size, long first, long length) {
        if (!isWorthIt(length) || !room.tryAcquire()) {
            return Optional.empty();
        }
        Ranges ranges = new Ranges(key, new ObjectRange(size, first, length));
        try {
            ranges.begin();
        } catch (RuntimeException e) {
            ranges.close();
            throw e;
        }
        return Optional.of(ranges);
    }

    private ByteBuffer buffer() {
        ByteBuffer free = unused.poll();
        return free == null ? ByteBuffer.allocate(sizes.range()) : free;
    }

    /** A range that comes, or is there. */
    private record Fetched(ObjectRange range, ByteBuffer bytes, S3Calls.Call<GetObjectResponse> call) {}

    private final class Ranges extends InputStream {

        private final ObjectKey key;
        private final String tried;
        private final Queue<Fetched> coming = new ArrayDeque<>(AT_ONCE);
        private ObjectRange toFetch;
        private @Nullable String etag;
        private @Nullable Fetched current;
        private int position;
        private boolean isClosed;

        Ranges(ObjectKey key, ObjectRange all) {
            this.key = key;
            tried = "read object " + key + " in " + calls.place();
            toFetch = all;
        }

        /** One tells which version the others must be of. */
        void begin() {
            fetch();
            next();
        }

        private void fetch() {
            ObjectRange range = toFetch.head(sizes.range());
            toFetch = toFetch.after(range.length());
            ByteBuffer bytes = buffer();
            coming.add(new Fetched(
                    range,
                    bytes,
                    calls.start(s3 -> s3.getObject(
                            r -> r.bucket(calls.bucket())
                                    .key(key.toString())
                                    .range(range.header())
                                    .ifMatch(etag),
                            new FillingTransformer(bytes)))));
        }

        /** @return false at the end */
        private boolean next() {
            giveBack();
            Fetched next = coming.poll();
            if (next == null) {
                return false;
            }
            GetObjectResponse answer;
            try {
                answer = next.call().answer().join();
            } catch (CompletionException e) {
                throw next.range().refused(tried, e);
            }
            next.range().requireIn(answer, tried);
            etag = answer.eTag();
            current = next;
            position = 0;
            while (toFetch.length() > 0 && coming.size() < AT_ONCE - 1) {
                fetch();
            }
            return true;
        }

        private void giveBack() {
            if (current != null) {
                unused.add(current.bytes());
                current = null;
            }
        }

        @Override
        public int read() {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte[] target, int offset, int length) {
            if (length == 0) {
                return 0;
            }
            if ((current == null || position == current.range().length()) && !next()) {
                return -1;
            }
            Fetched from = Objects.requireNonNull(current);
            int taken = (int) Math.min(length, from.range().length() - position);
            from.bytes().get(position, target, offset, taken);
            position += taken;
            return taken;
        }

        @Override
        public void close() {
            if (isClosed) {
                return;
            }
            isClosed = true;
            giveBack();
            // Their bytes may still be written to: they are nobody's any more.
            coming.forEach(fetched -> fetched.call().sent().cancel(true));
            coming.clear();
            room.release();
        }
    }
}
