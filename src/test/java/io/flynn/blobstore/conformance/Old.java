package io.flynn.blobstore.conformance;

import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.story.Bucket;
import io.flynn.blobstore.testkit.story.Database;
import io.flynn.blobstore.testkit.story.OldBlobstore;
import io.flynn.blobstore.testkit.story.OldState;
import java.sql.SQLException;

/** The old program on the databases and the bucket of these tests. */
final class Old {

    private Old() {}

    static Database database(EmbeddedPg.Database database) {
        return new Database(database.host(), database.port(), database.name(), EmbeddedPg.SUPERUSER, "");
    }

    /** An empty database that the old program has just been started on. */
    static EmbeddedPg.Database started() throws SQLException {
        EmbeddedPg.Database database = EmbeddedPg.database();
        OldState.createSchema(database(database));
        return database;
    }

    static OldBlobstore onPostgres(EmbeddedPg.Database database) {
        return OldBlobstore.onPostgres(database(database));
    }

    static OldBlobstore onBucket(EmbeddedPg.Database database, S3 s3) {
        return OldBlobstore.onBucket(
                database(database),
                new Bucket.Location(
                        s3.store().endpoint(),
                        LocalS3.REGION,
                        S3.BUCKET,
                        LocalS3.ACCESS_KEY_ID,
                        LocalS3.SECRET_ACCESS_KEY));
    }
}
