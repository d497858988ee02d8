package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.EmbeddedPg;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Several servers on one database, from the first start on. */
class ReplicasIT {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private static final int ROWS = 5_000;

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final Map<String, String> environment = new HashMap<>(database.environment(EmbeddedPg.SUPERUSER));
    private final List<ServerProcess> started = new ArrayList<>();

    @AfterEach
    void stop() {
        started.forEach(ServerProcess::close);
        database.close();
    }

    @Test
    void serversThatStartAtOnceOnAnEmptyDatabaseAllGetReady() throws IOException {
        startAtOnce(4);

        assertThat(database.texts("SELECT id::text FROM schema_migrations ORDER BY id"))
                .containsExactly("1", "2");
    }

    @Test
    void serversThatStartAtOnceOnAnOldDatabaseUpgradeItOnce() throws IOException {
        makeVersionOne();

        startAtOnce(4);

        assertIsUpgraded();
        for (ServerProcess server : started) {
            try (InputStream blob = server.uri("/old/4999").toURL().openStream()) {
                assertThat(new String(blob.readAllBytes(), StandardCharsets.US_ASCII))
                        .isEqualTo("blob 4999");
            }
        }
    }

    @Test
    void serverThatIsKilledInMidUpgradeLeavesTheOldDatabaseWhole() throws Exception {
        makeVersionOne();
        String before = versionOne();
        ServerProcess killed;
        try (Connection reader = database.connect();
                Statement statement = reader.createStatement()) {
            reader.setAutoCommit(false);
            // The upgrade has copied the rows when it comes to dropping the old table, and waits for whoever reads it.
            statement.execute("SELECT FROM files LIMIT 1");
            killed = start();
            Awaitility.await().atMost(PATIENCE).until(() -> sessions("AND wait_event_type = 'Lock'") == 1);
            killed.close();
            assertThat(killed.exitCode()).isNotZero();
            reader.rollback();
        }

        Awaitility.await().atMost(PATIENCE).until(() -> sessions("") == 0);
        assertThat(versionOne()).isEqualTo(before);
        assertThat(database.texts("SELECT id::text FROM schema_migrations")).containsExactly("1");
        assertThat(database.count("SELECT count(*) FROM pg_class WHERE relname = 'new_files'"))
                .isZero();

        start().awaitReady();
        assertIsUpgraded();
    }

    private void startAtOnce(int servers) throws IOException {
        for (int i = 0; i < servers; i++) {
            start();
        }
        started.forEach(ServerProcess::awaitReady);
    }

    private ServerProcess start() throws IOException {
        ServerProcess server = new ServerProcess(environment, true);
        started.add(server);
        return server;
    }

    /** As the program of 2015 made and filled it. */
    private void makeVersionOne() {
        database.execute("""
                CREATE TABLE schema_migrations (id bigint PRIMARY KEY);
                INSERT INTO schema_migrations VALUES (1);
                CREATE TABLE files (
                    file_id oid PRIMARY KEY DEFAULT lo_create(0),
                    name text UNIQUE NOT NULL,
                    size bigint,
                    type text,
                    digest text,
                    created_at timestamp with time zone NOT NULL DEFAULT current_timestamp);
                CREATE FUNCTION delete_file() RETURNS TRIGGER AS $$
                    BEGIN
                        PERFORM lo_unlink(OLD.file_id);
                        RETURN NULL;
                    END;
                $$ LANGUAGE plpgsql;
                CREATE TRIGGER delete_file AFTER DELETE ON files FOR EACH ROW EXECUTE PROCEDURE delete_file();
                INSERT INTO files (file_id, name, size, type, digest)
                    SELECT lo_from_bytea(0, ('blob ' || i)::bytea), '/old/' || i, length('blob ' || i), 'text/plain',
                           encode(sha512(('blob ' || i)::bytea), 'hex')
                    FROM generate_series(1, %d) i;
                """.formatted(ROWS));
    }

    private String versionOne() {
        return database.texts("""
                        SELECT md5(string_agg(concat_ws('|', file_id, name, size, type, digest, created_at,
                                                        encode(lo_get(file_id), 'escape')), ',' ORDER BY name))
                        FROM files
                        """).getFirst();
    }

    private void assertIsUpgraded() {
        assertThat(database.texts("SELECT id::text FROM schema_migrations ORDER BY id"))
                .containsExactly("1", "2");
        assertThat(database.count("""
                SELECT count(*) FROM files WHERE backend = 'postgres' AND deleted_at IS NULL AND type = 'text/plain'
                    AND sha512 = sha512(lo_get(file_oid)) AND size = length(lo_get(file_oid))
                """)).isEqualTo(ROWS);
        assertThat(database.count("SELECT count(*) FROM files")).isEqualTo(ROWS);
        assertThat(database.count("SELECT count(*) FROM pg_largeobject_metadata"))
                .isEqualTo(ROWS);
    }

    private long sessions(String which) {
        return database.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                + " AND application_name = 'blobstore server' " + which);
    }
}
