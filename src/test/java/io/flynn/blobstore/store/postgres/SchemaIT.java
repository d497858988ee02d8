package io.flynn.blobstore.store.postgres;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.EmbeddedPg;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SchemaIT {

    private static final String DIGEST = "0123456789abcdef".repeat(8);

    private final EmbeddedPg.Database database = EmbeddedPg.database();

    @AfterEach
    void drop() {
        database.close();
    }

    @Test
    void makesTheColumnsThatOldServersExpect() throws SQLException {
        upgrade();

        assertThat(database.texts("""
                SELECT column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '')
                FROM information_schema.columns WHERE table_name = 'files' ORDER BY ordinal_position
                """))
                .containsExactly(
                        "file_id uuid NO uuid_generate_v4()",
                        "file_oid oid YES ",
                        "external_id uuid YES ",
                        "backend text NO ",
                        "name text NO ",
                        "type text NO ",
                        "size bigint YES ",
                        "sha512 bytea YES ",
                        "sha512_state bytea YES ",
                        "created_at timestamp with time zone NO now()",
                        "updated_at timestamp with time zone NO now()",
                        "deleted_at timestamp with time zone YES ");
        assertThat(database.texts("SELECT id::text FROM schema_migrations ORDER BY id"))
                .containsExactly("1", "2");
    }

    @Test
    void carriesOverTheRowsOfTheFirstSchema() throws SQLException {
        try (Connection connection = database.connect()) {
            Schema.upgradeTo(1, connection);
        }
        database.execute("""
                INSERT INTO files (file_id, name, size, type, digest, created_at) VALUES
                    (lo_from_bytea(0, 'slug'), '/a', 4, 'text/plain', '%s', '2015-06-24 12:00:00+00'),
                    (lo_from_bytea(0, ''), '/no digest', 0, NULL, NULL, '2015-06-24 12:00:00+00'),
                    (lo_from_bytea(0, 'x'), '/bad digest', 1, '', 'not hex', '2015-06-24 12:00:00+00')
                """.formatted(DIGEST));

        upgrade();

        assertThat(database.texts("""
                SELECT concat_ws('|', name, backend, type, size, encode(sha512, 'hex'), encode(lo_get(file_oid), 'escape'),
                                 updated_at AT TIME ZONE 'UTC', deleted_at)
                FROM files ORDER BY name
                """))
                .containsExactlyInAnyOrder(
                        "/a|postgres|text/plain|4|" + DIGEST + "|slug|2015-06-24 12:00:00",
                        "/bad digest|postgres||1|x|2015-06-24 12:00:00",
                        "/no digest|postgres||0||2015-06-24 12:00:00");
    }

    @Test
    void softDeleteUnlinksTheLargeObject() throws SQLException {
        upgrade();
        database.execute("""
                INSERT INTO files (file_oid, backend, name, type) VALUES (lo_from_bytea(0, 'slug'), 'postgres', '/a', '')
                """);

        database.execute("UPDATE files SET deleted_at = now()");

        assertThat(database.count("SELECT count(*) FROM pg_largeobject_metadata"))
                .isZero();
        assertThat(database.count("SELECT count(*) FROM files WHERE file_oid IS NULL"))
                .isOne();
    }

    @Test
    void namesAreUniqueAmongLiveRowsOnly() throws SQLException {
        upgrade();
        database.execute("""
                INSERT INTO files (backend, name, type, deleted_at) VALUES ('postgres', '/a', '', now()), ('postgres', '/a', '', NULL)
                """);

        assertThat(database.count("""
                SELECT count(*) FROM pg_index WHERE indrelid = 'files'::regclass AND indisunique
                    AND pg_get_expr(indpred, indrelid) = '(deleted_at IS NULL)'
                """)).isOne();
    }

    @Test
    void serversThatStartAtOnceOnAnOldDatabaseWaitForEachOther() throws Exception {
        try (Connection connection = database.connect()) {
            Schema.upgradeTo(1, connection);
        }
        database.execute(
                "INSERT INTO files (file_id, name) SELECT lo_from_bytea(0, 'x'), '/' || i FROM generate_series(1, 1000) i");
        upgradeAtOnce();

        assertThat(database.count("SELECT count(*) FROM schema_migrations")).isEqualTo(2);
        assertThat(database.count("SELECT count(*) FROM files JOIN pg_largeobject_metadata m ON m.oid = file_oid"))
                .isEqualTo(1000);
    }

    @Test
    void serversThatStartAtOnceOnAnEmptyDatabaseWaitForEachOther() throws Exception {
        upgradeAtOnce();

        assertThat(database.count("SELECT count(*) FROM schema_migrations")).isEqualTo(2);
    }

    @Test
    void finishedSchemaNeedsNoRightToChangeIt() throws SQLException {
        upgrade();
        String role = EmbeddedPg.role();
        database.execute("GRANT SELECT ON schema_migrations TO " + role);

        try (Connection connection = database.connectAs(role)) {
            Schema.upgrade(connection);
            assertThat(connection.getAutoCommit()).isTrue();
        }
    }

    private void upgradeAtOnce() throws Exception {
        List<Callable<Void>> servers = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            servers.add(() -> {
                upgrade();
                return null;
            });
        }

        try (var threads = Executors.newFixedThreadPool(servers.size())) {
            for (Future<Void> server : threads.invokeAll(servers)) {
                server.get();
            }
        }
    }

    private void upgrade() throws SQLException {
        try (Connection connection = database.connect()) {
            Schema.upgrade(connection);
        }
    }
}
