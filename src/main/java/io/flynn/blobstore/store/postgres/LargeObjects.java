package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.Traffic;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;

/**
 * Reads large objects by {@code COPY} of {@code lo_get}, which needs no more than the right to read them and gives sparse
 * objects as they read, not as they are stored. Thread-safe; each read takes one connection of the pool while it lasts.
 */
public final class LargeObjects {

    /** What one {@code lo_get} returns: larger ones cost the server page faults, smaller ones messages (measured). */
    private static final int CHUNK_BYTES = 256 * 1024;

    /** The longest there can be, 4 TiB but for a page (PostgreSQL manual, "Large Objects"; large_object.h). */
    public static final long BYTES_MAX = 2048L * Integer.MAX_VALUE;

    /** No object has it (PostgreSQL manual, "Object Identifier Types"). */
    private static final long NO_OID = 0;

    private final Database database;
    private final Traffic traffic;

    public LargeObjects(Database database) {
        this(database, new Traffic());
    }

    /** @param traffic is told how long is waited for the database */
    public LargeObjects(Database database, Traffic traffic) {
        this.traffic = traffic;
        this.database = database;
    }

    /** A small blob, whole. */
    public record Bytes(BlobRow row, Optional<ByteBuffer> bytes) {}

    /**
     * Reads many small blobs in one statement. Of an object that is longer than its row says, one byte more than that is
     * read, so the difference shows.
     *
     * @param rows together no more than fits in memory
     * @return for each row its bytes, empty if the large object is not there, or the row names none
     * @throws StorageFailure if the database fails
     */
    public List<Bytes> readAll(List<BlobRow> rows) {
        String numbers = "(SELECT * FROM unnest('{%s}'::oid[], '{%s}'::int4[]) WITH ORDINALITY AS w(oid, most, n))"
                .formatted(
                        joined(rows, row -> row.oid().orElse(NO_OID)),
                        joined(rows, row -> Math.max(row.size(), 0) + 1));
        // Of an EXISTS the planner would make a hash table of all large objects that there are, for every batch.
        String query = "SELECT CASE WHEN (SELECT true FROM pg_largeobject_metadata m WHERE m.oid = w.oid)"
                + " THEN lo_get(w.oid, 0, w.most) END FROM " + numbers + " w ORDER BY n";
        return database.with("read " + rows.size() + " large objects", connection -> {
            List<Bytes> read = new ArrayList<>(rows.size());
            try (CopyRows copy = new CopyRows(connection, query)) {
                for (ByteBuffer row = copy.next(); row != null; row = copy.next()) {
                    read.add(new Bytes(rows.get(read.size()), Optional.ofNullable(CopyRows.field(row))));
                }
            }
            return read;
        });
    }

    /**
     * Reads one large object to its end, or one byte past what its row says, and digests it.
     *
     * @return empty if the large object is not there
     * @throws StorageFailure if the database fails
     */
    public Optional<BlobContent> digest(long oid, long size) {
        try {
            return database.with("read large object " + oid, connection -> {
                Digest digest = new Digest();
                try (CopyRows copy = new CopyRows(connection, chunks(oid, size))) {
                    for (ByteBuffer row = copy.next(); row != null; row = copy.next()) {
                        ByteBuffer chunk = CopyRows.field(row);
                        if (chunk != null) {
                            digest.update(chunk);
                        }
                    }
                }
                return Optional.of(digest.finish());
            });
        } catch (StorageFailure.Missing e) {
            if (e.reason().equals(Reasons.SOURCE_MISSING)) {
                return Optional.empty();
            }
            throw e;
        }
    }

    /**
     * The bytes of a row that names its large object, for an upload: each subscription is a statement of its own.
     *
     * @param checked the digest that the store checks of what it gets: then nobody needs to here
     */
    public LargeObjectBody body(BlobRow row, Optional<Sha512> checked) {
        return new LargeObjectBody(database, row, checked, traffic);
    }

    /** All that a large object of {@code size} bytes has, in chunks, and one byte more, so that a longer one shows. */
    static String chunks(long oid, long size) {
        return chunks(oid, 0, Math.max(size, 0) + 1);
    }

    /**
     * What of these bytes there is, in chunks and in order. The numbers are made one by one: as a table they would be written to a
     * file first, for the largest of large objects 16 million of them.
     *
     * @param length at least 1
     */
    static String chunks(long oid, long first, long length) {
        return "SELECT lo_get(%d, %d + g * %d, least(%d, %d - g * %d)::int) FROM (SELECT generate_series(0::bigint, %d) g) n"
                .formatted(oid, first, CHUNK_BYTES, CHUNK_BYTES, length, CHUNK_BYTES, (length - 1) / CHUNK_BYTES);
    }

    private static String joined(List<BlobRow> rows, ToLongFunction<BlobRow> number) {
        return rows.stream().map(row -> Long.toString(number.applyAsLong(row))).collect(Collectors.joining(","));
    }
}
