package io.flynn.blobstore.testkit.story;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.InflaterInputStream;
import org.postgresql.PGConnection;

/**
 * Does over JDBC what {@code pg_dump} does: the tables' rows by COPY, then every large object under its own oid, owned by a row or
 * not, from one REPEATABLE READ snapshot, deflated.
 */
final class OwnDump implements Backup {

    private static final int MAGIC = 0x424C4F42;
    private static final int CHUNK_BYTES = 1 << 20;
    private static final List<String> TABLES = List.of("schema_migrations", "files");

    @Override
    public String how() {
        return "our own dump over JDBC";
    }

    @Override
    public void take(Database database, Path file) throws IOException, SQLException {
        Deflater fastest = new Deflater(Deflater.BEST_SPEED);
        try (Connection connection = database.connect();
                DataOutputStream out = new DataOutputStream(new BufferedOutputStream(
                        new DeflaterOutputStream(Files.newOutputStream(file), fastest, 64 * 1024), CHUNK_BYTES))) {
            connection.setAutoCommit(false);
            connection.setReadOnly(true);
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            out.writeInt(MAGIC);
            for (String table : TABLES) {
                try (OutputStream chunks = new Chunks(out)) {
                    connection
                            .unwrap(PGConnection.class)
                            .getCopyAPI()
                            .copyOut("COPY " + table + " TO STDOUT (FORMAT binary)", chunks);
                }
            }
            for (long oid : largeObjects(connection)) {
                out.writeLong(oid);
                copyLargeObject(connection, oid, out);
            }
            out.writeLong(0);
            connection.rollback();
        } finally {
            fastest.end();
        }
    }

    @Override
    public void restore(Path file, Database empty) throws IOException, SQLException {
        OldState.createSchema(empty);
        try (Connection connection = empty.connect();
                DataInputStream in = new DataInputStream(
                        new BufferedInputStream(new InflaterInputStream(Files.newInputStream(file)), CHUNK_BYTES))) {
            connection.setAutoCommit(false);
            if (in.readInt() != MAGIC) {
                throw new IOException(file + " is no backup of ours");
            }
            for (String table : TABLES) {
                try (Statement statement = connection.createStatement()) {
                    statement.execute("TRUNCATE " + table);
                }
                connection
                        .unwrap(PGConnection.class)
                        .getCopyAPI()
                        .copyIn("COPY " + table + " FROM STDIN (FORMAT binary)", new Unchunked(in), CHUNK_BYTES);
            }
            for (long oid = in.readLong(); oid != 0; oid = in.readLong()) {
                restoreLargeObject(connection, oid, in);
            }
            connection.commit();
        }
    }

    private static List<Long> largeObjects(Connection connection) throws SQLException {
        List<Long> oids = new ArrayList<>();
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT oid FROM pg_largeobject_metadata ORDER BY oid")) {
            while (rows.next()) {
                oids.add(rows.getLong(1));
            }
        }
        return oids;
    }

    private static void copyLargeObject(Connection connection, long oid, DataOutputStream out)
            throws SQLException, IOException {
        try (PreparedStatement get = connection.prepareStatement("SELECT lo_get(?, ?, " + CHUNK_BYTES + ")")) {
            long offset = 0;
            while (true) {
                get.setLong(1, oid);
                get.setLong(2, offset);
                byte[] chunk;
                try (ResultSet row = get.executeQuery()) {
                    row.next();
                    chunk = row.getBytes(1);
                }
                out.writeInt(chunk.length);
                out.write(chunk);
                if (chunk.length == 0) {
                    return;
                }
                offset += chunk.length;
            }
        }
    }

    private static void restoreLargeObject(Connection connection, long oid, DataInputStream in)
            throws SQLException, IOException {
        Database.number(connection, "SELECT lo_create(" + oid + ")");
        try (PreparedStatement put = connection.prepareStatement("SELECT lo_put(?, ?, ?)")) {
            long offset = 0;
            for (int length = in.readInt(); length > 0; length = in.readInt()) {
                put.setLong(1, oid);
                put.setLong(2, offset);
                put.setBytes(3, in.readNBytes(length));
                put.execute();
                offset += length;
            }
        }
    }

    /** A stream inside the stream: chunks with their length before them, the last one empty. */
    private static final class Chunks extends FilterOutputStream {
        private final DataOutputStream data;

        Chunks(DataOutputStream data) {
            super(data);
            this.data = data;
        }

        @Override
        public void write(int b) throws IOException {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            if (length > 0) {
                data.writeInt(length);
                data.write(bytes, offset, length);
            }
        }

        @Override
        public void close() throws IOException {
            data.writeInt(0);
        }
    }

    /** What {@link Chunks} wrote. */
    private static final class Unchunked extends InputStream {
        private final DataInputStream data;
        private int leftBytes;
        private boolean atEnd;

        Unchunked(DataInputStream data) {
            this.data = data;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            if (leftBytes == 0 && !atEnd) {
                leftBytes = data.readInt();
                atEnd = leftBytes == 0;
            }
            if (atEnd) {
                return -1;
            }
            int count = data.read(target, offset, Math.min(length, leftBytes));
            if (count < 0) {
                throw new IOException("the backup ends in the middle");
            }
            leftBytes -= count;
            return count;
        }
    }
}
