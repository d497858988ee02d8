package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.NameRefused;
import io.flynn.blobstore.store.Precondition;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An object that is about to be stored in an external backend, recorded before its first byte goes there: whatever becomes of
 * this process, a row knows the key. The row is soft-deleted and has no size, so nobody serves or moves it; publishing makes it
 * the name's live one. Whoever collects deleted versions finds the key of an upload that ended without a word, too, by a
 * {@code deleted_at} that is old: while the upload runs, it is kept young.
 *
 * <p>For one thread; closing it ends no more than that.
 */
public final class UploadIntent implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(UploadIntent.class);

    static final Duration SIGN_OF_LIFE = Duration.ofMinutes(1);

    private static final String RECORD = """
            INSERT INTO files (external_id, backend, name, type, created_at, updated_at, deleted_at)
            VALUES (?, ?, ?, ?, clock_timestamp(), clock_timestamp(), clock_timestamp()) RETURNING file_id""";

    private static final String AS_RECORDED =
            " WHERE file_id = ? AND external_id = ? AND deleted_at IS NOT NULL AND size IS NULL";

    /** One that said nothing for longer may be collected, or have been half collected by a server that died over it. */
    private static final String ALIVE = AS_RECORDED + " AND deleted_at > clock_timestamp() - interval '4 minutes'";

    private static final String TOUCH = "UPDATE files SET deleted_at = clock_timestamp()" + ALIVE;

    /** The time at which the upload ended: one that took long would seem older than what it replaces. */
    private static final String ACTIVATE = """
            UPDATE files SET deleted_at = NULL, size = ?, sha512 = ?, created_at = clock_timestamp(),
                updated_at = clock_timestamp()""" + ALIVE;

    private static final String WITHDRAW = "DELETE FROM files" + AS_RECORDED;

    /** Unique violation: another row of the name is live. */
    private static final String TAKEN = "23505";

    private final Database database;
    private final BlobName name;
    private final ObjectKey key;
    private final UUID id;
    private final CountDownLatch done = new CountDownLatch(1);

    private UploadIntent(Database database, BlobName name, ObjectKey key, UUID id) {
        this.database = database;
        this.name = name;
        this.key = key;
        this.id = id;
    }

    /**
     * @param missedSigns counts the signs of life that failed
     * @throws NameRefused if the database can't hold the name
     */
    static UploadIntent record(
            Database database,
            BlobName name,
            String type,
            BackendName backend,
            ObjectKey key,
            Duration signOfLife,
            LongAdder missedSigns) {
        UUID id = database.with("record an upload", connection -> {
            try (PreparedStatement statement = connection.prepareStatement(RECORD)) {
                statement.setObject(1, key.value());
                statement.setString(2, backend.value());
                statement.setString(3, name.value());
                statement.setString(4, type);
                try (ResultSet recorded = statement.executeQuery()) {
                    recorded.next();
                    return recorded.getObject(1, UUID.class);
                }
            } catch (SQLException e) {
                throw LiveRows.refusedOr(name, e);
            }
        });
        UploadIntent intent = new UploadIntent(database, name, key, id);
        Thread.ofVirtual().name("upload-" + id).start(() -> intent.stayAlive(signOfLife, missedSigns));
        return intent;
    }

    /** Where the bytes are to go; nobody else uses it. */
    public ObjectKey key() {
        return key;
    }

    /**
     * Makes the object the name's version, once it is stored whole.
     *
     * @throws StorageFailure.OutcomeUnknown if the answer to the commit was lost: the row may be live
     * @throws StorageFailure.Busy if the upload was taken for dead meanwhile, and its object perhaps deleted
     * @throws NameRefused if the database can't hold the name
     */
    public void publish(Precondition precondition, BlobContent content) {
        database.repeatableInTransaction("record a blob", connection -> {
            LiveRows.publish(connection, name, precondition, publishing -> activate(publishing, content));
            return content;
        });
    }

    /**
     * Forgets the upload, because of {@code cause}, once nothing of it is left in the store; a failure to do so is added to it,
     * and does no harm: the row is collected.
     */
    public void withdraw(Exception cause) {
        try {
            database.with("forget an upload", connection -> execute(connection, WITHDRAW));
        } catch (StorageFailure e) {
            cause.addSuppressed(e);
        }
    }

    private boolean activate(Connection connection, BlobContent content) throws SQLException {
        Savepoint before = connection.setSavepoint();
        try (PreparedStatement statement = connection.prepareStatement(ACTIVATE)) {
            statement.setLong(1, content.size());
            statement.setBytes(2, content.sha512().bytes());
            statement.setObject(3, id);
            statement.setObject(4, key.value());
            if (statement.executeUpdate() == 0) {
                throw new StorageFailure.Busy(
                        Reasons.STORE_BUSY,
                        "could not record a blob: its upload said nothing for so long that it was taken for dead",
                        null);
            }
            return true;
        } catch (SQLException e) {
            if (!TAKEN.equals(e.getSQLState())) {
                throw e;
            }
            connection.rollback(before);
            return false;
        }
    }

    /** A sign that fails is not made up for: the next one comes soon, and publishing finds out what it caused. */
    private void stayAlive(Duration signOfLife, LongAdder missedSigns) {
        try {
            while (!done.await(signOfLife.toMillis(), TimeUnit.MILLISECONDS)) {
                try {
                    database.with("keep an upload", connection -> execute(connection, TOUCH));
                } catch (StorageFailure e) {
                    missedSigns.increment();
                    LOG.atWarn().addKeyValue("problem", e.getMessage()).log("an upload could not show that it goes on");
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private int execute(Connection connection, String statement) throws SQLException {
        try (PreparedStatement prepared = connection.prepareStatement(statement)) {
            prepared.setObject(1, id);
            prepared.setObject(2, key.value());
            return prepared.executeUpdate();
        }
    }

    @Override
    public void close() {
        done.countDown();
    }
}
