package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;

/** Every row and every large object of a database in one compressed file, from one snapshot, and back into an empty database. */
public sealed interface Backup permits PgDump, OwnDump {

    /** A few words for people: what makes the file. */
    String how();

    void take(Database database, Path file) throws IOException, SQLException, InterruptedException;

    void restore(Path file, Database empty) throws IOException, SQLException, InterruptedException;

    /** What a backup and its restore cost. */
    record Cost(long databaseBytes, long fileBytes, Duration backup, Duration restore) {}

    /**
     * PostgreSQL's own programs where they are installed and know this server's version; a newer server refuses older ones, and
     * then it is our own that does the same.
     */
    static Backup of(Database database) throws SQLException, InterruptedException {
        int serverMajor = (int) (database.number("SHOW server_version_num") / 10_000);
        return PgDump.installed(serverMajor).<Backup>map(found -> found).orElseGet(OwnDump::new);
    }
}
