package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.store.NameRefused;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;

/**
 * Makes a few bytes the version of a name, of which nothing is demanded, in one round trip: what {@link LiveRows#publish} does in
 * four or five, after others for the bytes and before one to commit.
 */
final class SmallUpload {

    /**
     * Each part reads what the one before it returns, and so comes after it: the bound for waiting, the old version, the bytes, the new
     * version. The statement sees what there was at its beginning. A row that came by its large object later is left as it is, and so
     * is one that lost it: both take more than one look. Then, or if the row that was waited for is gone and another one is in its place,
     * there is no room for the new version, and its bytes go again.
     */
    private static final String REPLACE = """
            WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', ?, true)),
            retired AS (
                UPDATE files f SET deleted_at = clock_timestamp() FROM patience
                WHERE f.name = ? AND f.deleted_at IS NULL
                    AND (f.file_oid IS NULL OR EXISTS (SELECT FROM pg_largeobject_metadata m WHERE m.oid = f.file_oid))
                RETURNING f.file_id),
            made AS MATERIALIZED (
                SELECT lo_from_bytea(0, ?) AS oid FROM patience, (SELECT count(*) FROM retired) replaced),
            published AS (
                INSERT INTO files (file_oid, backend, name, type, size, sha512, created_at, updated_at)
                SELECT oid, ?, ?, ?, ?, ?, clock_timestamp(), clock_timestamp() FROM made
                ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING
                RETURNING file_id)
            SELECT p.file_id IS NOT NULL, CASE WHEN p.file_id IS NULL THEN lo_unlink(made.oid) END
            FROM made LEFT JOIN published p ON true""";

    private SmallUpload() {}

    /**
     * @param connection in autocommit mode
     * @param tried in words that complete "could not …"
     * @return false, with nothing changed, if that takes a look at what the name has
     * @throws NameRefused if the database can't hold the name
     * @throws StorageFailure.OutcomeUnknown if the answer was lost: the bytes may have been published
     */
    static boolean isPublished(
            Connection connection, String tried, BlobName name, String type, byte[] bytes, BlobContent content) {
        try (PreparedStatement statement = connection.prepareStatement(REPLACE)) {
            statement.setString(1, LiveRows.LOCK_TIMEOUT);
            statement.setString(2, name.value());
            statement.setBytes(3, bytes);
            statement.setString(4, BackendName.POSTGRES.value());
            statement.setString(5, name.value());
            statement.setString(6, type);
            statement.setLong(7, content.size());
            statement.setBytes(8, content.sha512().bytes());
            try (ResultSet outcome = statement.executeQuery()) {
                return outcome.next() && outcome.getBoolean(1);
            }
        } catch (SQLException e) {
            throw PgFailures.translateCommit(tried, LiveRows.refusedOr(name, e));
        }
    }
}
