package io.flynn.blobstore.bench;

import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.store.postgres.Schema;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.postgresql.PGConnection;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/** What there is to be moved: the sets of the issue, and how they get into a database. */
enum BlobSet {
    LARGE("20 x 100 MiB", false, new Part(20, 100 << 20)),
    SMALL("10,000 x 16 KiB", false, new Part(10_000, 16 << 10)),
    MIXED(
            "mixed",
            false,
            new Part(5, 100 << 20),
            new Part(100, 1 << 20),
            new Part(5_000, 16 << 10),
            new Part(5_000, 1 << 10)),
    COMPRESSIBLE("5 x 100 MiB compressible", true, new Part(5, 100 << 20)),
    TINY("100,000 x 1 KiB", false, new Part(100_000, 1 << 10)),
    /** Whether a blob costs the more the more there are. */
    TINY_FEWER("10,000 x 1 KiB", false, new Part(10_000, 1 << 10)),
    TINY_MORE("1,000,000 x 1 KiB", false, new Part(1_000_000, 1 << 10)),
    /** To try a change quickly. */
    FEW("1,000 x 16 KiB and 2 x 20 MiB", false, new Part(1_000, 16 << 10), new Part(2, 20 << 20));

    private static final int CHUNK_BYTES = 1 << 20;
    private static final int BATCH = 1_000;
    private static final int SEED = 5;

    final String title;
    private final boolean isCompressible;

    @SuppressWarnings("ImmutableEnumChecker") // It is made by List.of.
    private final List<Part> parts;

    private record Part(int blobs, int bytes) {}

    BlobSet(String title, boolean isCompressible, Part... parts) {
        this.title = title;
        this.isCompressible = isCompressible;
        this.parts = List.of(parts);
    }

    long bytes() {
        return parts.stream()
                .mapToLong(part -> (long) part.blobs() * part.bytes())
                .sum();
    }

    int blobs() {
        return parts.stream().mapToInt(Part::blobs).sum();
    }

    /** Whether its rate is better told in blobs than in bytes. */
    boolean isOfSmall() {
        return bytes() / blobs() <= CHUNK_BYTES;
    }

    void write(Connection connection) throws SQLException {
        Schema.upgrade(connection);
        connection.setAutoCommit(false);
        Random random = new Random(SEED);
        for (Part part : parts) {
            if (part.bytes() <= CHUNK_BYTES) {
                writeSmall(connection, part, random);
            } else {
                writeLarge(connection, part, random);
            }
        }
        connection.setAutoCommit(true);
        try (Statement statement = connection.createStatement()) {
            statement.execute("VACUUM ANALYZE");
            statement.execute("CHECKPOINT");
        }
    }

    private void writeSmall(Connection connection, Part part, Random random) throws SQLException {
        byte[] bytes = new byte[part.bytes()];
        try (PreparedStatement insert = connection.prepareStatement(
                "INSERT INTO files (file_oid, backend, name, type, size, sha512) VALUES (lo_from_bytea(0, ?), 'postgres', ?, '', ?, ?)")) {
            for (int number = 1; number <= part.blobs(); number++) {
                random.nextBytes(bytes);
                Digest digest = new Digest();
                digest.update(ByteBuffer.wrap(bytes));
                insert.setBytes(1, bytes.clone());
                insert.setString(2, "/" + part.bytes() + "/" + number);
                insert.setLong(3, bytes.length);
                insert.setBytes(4, digest.finish().sha512().bytes());
                insert.addBatch();
                if (number % BATCH == 0 || number == part.blobs()) {
                    insert.executeBatch();
                    connection.commit();
                }
            }
        }
    }

    /** Every blob has the same bytes behind its number: making random ones takes longer than moving them. */
    private void writeLarge(Connection connection, Part part, Random random) throws SQLException {
        List<byte[]> chunks = new ArrayList<>();
        for (int number = 0; number < part.bytes() / CHUNK_BYTES; number++) {
            byte[] chunk = new byte[CHUNK_BYTES];
            random.nextBytes(chunk);
            if (isCompressible) {
                for (int at = 0; at < chunk.length; at += 64) {
                    Arrays.fill(chunk, at + 16, at + 64, (byte) at);
                }
            }
            chunks.add(chunk);
        }
        LargeObjectManager manager = connection.unwrap(PGConnection.class).getLargeObjectAPI();
        for (int number = 0; number < part.blobs(); number++) {
            Digest digest = new Digest();
            long oid = manager.createLO();
            try (LargeObject object = manager.open(oid, LargeObjectManager.WRITE)) {
                chunks.getFirst()[0] = (byte) number;
                for (byte[] chunk : chunks) {
                    digest.update(ByteBuffer.wrap(chunk));
                    object.write(chunk);
                }
            }
            try (PreparedStatement insert = connection.prepareStatement(
                    "INSERT INTO files (file_oid, backend, name, type, size, sha512) VALUES (?, 'postgres', ?, '', ?, ?)")) {
                insert.setLong(1, oid);
                insert.setString(2, "/" + part.bytes() + "/" + number);
                insert.setLong(3, part.bytes());
                insert.setBytes(4, digest.finish().sha512().bytes());
                insert.executeUpdate();
            }
            connection.commit();
        }
    }

    /** All at the source again, as if nobody had moved them. */
    static void reset(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("DROP TRIGGER IF EXISTS blobstore_move_guard ON files");
            statement.execute("UPDATE files SET backend = 'postgres', external_id = NULL WHERE backend <> 'postgres'");
            statement.execute("VACUUM files");
            statement.execute("CHECKPOINT");
        }
    }

    /** @throws IllegalStateException if the rows are not all at the target: then there is nothing to measure */
    static void requireMoved(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT count(*) FROM files WHERE backend = 'postgres'")) {
            rows.next();
            if (rows.getLong(1) > 0) {
                throw new IllegalStateException(rows.getLong(1) + " rows were not moved");
            }
        }
    }
}
