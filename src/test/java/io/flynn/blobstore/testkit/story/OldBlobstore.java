package io.flynn.blobstore.testkit.story;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Optional;

/**
 * A double of the old program's server for one request after the other, each in a transaction and on a connection of its own.
 * Thread-safe.
 */
public final class OldBlobstore implements AutoCloseable {

    private final Database database;
    private final Optional<Bucket> bucket;
    private final OldProgram program;

    private OldBlobstore(Database database, Optional<Bucket> bucket) {
        this.database = database;
        this.bucket = bucket;
        program = new OldProgram(bucket);
    }

    /** New blobs go into the database. */
    public static OldBlobstore onPostgres(Database database) {
        return new OldBlobstore(database, Optional.empty());
    }

    /** New blobs go into the bucket, which rows call {@code s3main}. */
    public static OldBlobstore onBucket(Database database, Bucket.Location bucket) {
        return new OldBlobstore(database, Optional.of(new Bucket(bucket)));
    }

    @FunctionalInterface
    private interface Request<T> {
        T run(Connection connection) throws SQLException, IOException, InterruptedException;
    }

    /** The bytes that a reader gets, redirected or not; empty = 404. */
    public Optional<byte[]> get(String name) throws SQLException, IOException {
        return inTransaction(connection -> program.bytes(connection, name));
    }

    public void put(String name, String type, byte[] bytes) throws SQLException, IOException {
        inTransaction(connection -> {
            program.deleteOld(connection, name);
            program.insert(connection, name, type, bytes);
            return name;
        });
    }

    /** @throws SQLException if there is no such name: the old program panics */
    public void append(String name, byte[] more) throws SQLException, IOException {
        inTransaction(connection -> {
            byte[] old = program.bytes(connection, name).orElseThrow(() -> new SQLException("no row for " + name));
            ByteArrayOutputStream whole = new ByteArrayOutputStream();
            whole.writeBytes(old);
            whole.writeBytes(more);
            return program.append(connection, name, whole.toByteArray(), more, () -> {});
        });
    }

    /** As a regular expression, that is. */
    public void delete(String name) throws SQLException, IOException {
        inTransaction(connection -> {
            program.delete(connection, name);
            return name;
        });
    }

    private <T> T inTransaction(Request<T> request) throws SQLException, IOException {
        try (Connection connection = database.connect()) {
            connection.setAutoCommit(false);
            T answer = request.run(connection);
            connection.commit();
            return answer;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        bucket.ifPresent(Bucket::close);
    }
}
