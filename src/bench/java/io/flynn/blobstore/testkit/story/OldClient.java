package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;

/**
 * A client of a double of the old server, with the old server's habits. Those that lose data whoever looks after the blobs, since an
 * object is deleted before the row's change is committed, it has only where a large object can stand in.
 */
public final class OldClient extends Writer {

    private static final int PAUSE_MILLIS_MAX = 150;

    /** Whether nothing is lost if the object that the row names is deleted and the row's change then breaks off. */
    private static final String STANDS_IN = "SELECT backend = 'postgres' OR file_oid IS NOT NULL"
            + " AND substring(external_id::text FROM 15 FOR 1) = '5' FROM files WHERE name = ? AND deleted_at IS NULL";

    private final Database database;
    private final Bucket bucket;
    private final OldProgram program;

    /** @param isDefault whether new blobs go to the bucket */
    public OldClient(
            Database database,
            Bucket.Location location,
            boolean isDefault,
            int number,
            Ledger ledger,
            SplittableRandom random) {
        super("/old/" + number + "/", ledger, random);
        this.database = database;
        bucket = new Bucket(location);
        program = new OldProgram(bucket, isDefault);
    }

    @Override
    Optional<byte[]> read(String name) throws SQLException, IOException, InterruptedException {
        return inTransaction(connection -> {
            Optional<byte[]> bytes = program.bytes(connection, name);
            if (bytes.isEmpty() && isThere(connection, name)) {
                throw new InDoubtException("the large object has not been made to stand in yet");
            }
            return bytes;
        });
    }

    @Override
    void write(String name, Optional<byte[]> present) throws InterruptedException {
        int luck = random.nextInt(100);
        byte[] bytes = bytes();
        if (present.isEmpty()) {
            change(
                    name,
                    Optional.of(bytes),
                    () -> inTransaction(connection -> {
                        program.insert(connection, name, "", bytes);
                        return name;
                    }));
        } else if (luck < 70 && !isFull(present.get())) {
            byte[] whole = concatenated(present.get(), bytes);
            changeWhereItCanBeHeld(name, Optional.of(whole), connection -> {
                program.append(connection, name, whole, bytes, this::pause);
            });
        } else if (luck < 80) {
            changeWhereItCanBeHeld(name, Optional.of(bytes), connection -> {
                program.deleteOld(connection, name);
                pause();
                program.insert(connection, name, "", bytes);
            });
        } else if (luck < 85) {
            changeWhereItCanBeHeld(name, Optional.empty(), connection -> program.delete(connection, name));
        }
    }

    private interface Change {
        void make(Connection connection) throws SQLException, IOException, InterruptedException;
    }

    private interface Work<T> {
        T on(Connection connection) throws SQLException, IOException, InterruptedException;
    }

    /** A row that names an object is held meanwhile, so that its large object stays; one in the database is not, as ever. */
    private void changeWhereItCanBeHeld(String name, Optional<byte[]> after, Change change)
            throws InterruptedException {
        try (Connection connection = database.connect()) {
            connection.setAutoCommit(false);
            if (!is(connection, STANDS_IN + " AND backend = 'postgres'", name)
                    && !is(connection, STANDS_IN + " FOR UPDATE", name)) {
                return;
            }
            change(name, after, () -> {
                change.make(connection);
                // A client that goes away.
                if (random.nextInt(10) == 0) {
                    connection.rollback();
                    throw new InDoubtException("broken off");
                }
                connection.commit();
            });
        } catch (SQLException notNow) {
            // Nothing was begun.
            return;
        }
    }

    private <T> T inTransaction(Work<T> work) throws SQLException, IOException, InterruptedException {
        try (Connection connection = database.connect()) {
            connection.setAutoCommit(false);
            T result = work.on(connection);
            connection.commit();
            return result;
        }
    }

    private static boolean isThere(Connection connection, String name) throws SQLException {
        return is(connection, "SELECT true FROM files WHERE name = ? AND deleted_at IS NULL", name);
    }

    private static boolean is(Connection connection, String query, String name) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement(query)) {
            select.setString(1, name);
            try (ResultSet rows = select.executeQuery()) {
                return rows.next() && rows.getBoolean(1);
            }
        }
    }

    private void pause() throws InterruptedException {
        TimeUnit.MILLISECONDS.sleep(random.nextInt(PAUSE_MILLIS_MAX));
    }

    @Override
    public void close() {
        super.close();
        bucket.close();
    }
}
