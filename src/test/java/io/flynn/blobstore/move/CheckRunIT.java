package io.flynn.blobstore.move;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckFinding.Kind;
import io.flynn.blobstore.decide.CheckReport;
import io.flynn.blobstore.decide.CheckReport.Figure;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.move.CheckRun.Bucket;
import io.flynn.blobstore.move.CheckRun.Scope;
import io.flynn.blobstore.store.BucketListing;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.store.s3.S3BucketListing;
import io.flynn.blobstore.store.s3.S3Clients;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.CheckFindings;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.UUID;
import java.util.stream.IntStream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.services.s3.S3AsyncClient;

/** Every kind of damage and of leftovers is found, by its own name, and nothing else is. */
class CheckRunIT {

    private static final LocalS3 S3 = LocalS3.start();
    private static final String POSTGRES = "postgres";
    private static final String MAIN = MoveWorld.S3MAIN.value();

    private final MoveWorld world = new MoveWorld(S3);
    private final S3BucketListing listing = new S3BucketListing(world.settings());
    private final CheckFindings found = new CheckFindings();

    @AfterEach
    void close() {
        listing.close();
        world.close();
    }

    @AfterAll
    static void stop() {
        S3.close();
    }

    @Test
    void nothingIsFoundWhereAllIsRightOverManyPages() {
        world.pg.execute("INSERT INTO files (file_oid, backend, name, type, size, sha512)"
                + " SELECT lo_from_bytea(0, b), 'postgres', '/' || n, '', length(b), sha512(b)"
                + " FROM generate_series(1, 2500) n, convert_to(repeat('x', n % 100), 'UTF8') b");
        world.pg.execute("INSERT INTO files (external_id, backend, name, type, size, sha512)"
                + " SELECT uuid_generate_v4(), 's3main', '/moved/' || n, '', length(b), sha512(b)"
                + " FROM generate_series(1, 2500) n, convert_to(n::text, 'UTF8') b");
        world.pg
                .texts("SELECT external_id || ' ' || substr(name, 8) FROM files WHERE backend = 's3main'")
                .forEach(text -> S3.overwrite(world.bucket, text.split(" ")[0], text.split(" ")[1].getBytes()));
        for (String foreign :
                List.of("!", "0-not-a-uuid", "~", "\uFFFD", "\uD83D\uDE00", "AAAAAAAA-0000-4000-8000-000000000000")) {
            S3.overwrite(world.bucket, foreign, new byte[1]);
        }

        CheckReport shallow = check(false);
        CheckReport deep = check(true);

        assertThat(found.all()).isEmpty();
        assertThat(shallow.outcome()).isEqualTo(ExitCode.DONE);
        assertThat(shallow.backends().get(POSTGRES))
                .containsEntry(Figure.ROWS, 2500L)
                .containsEntry(Figure.OBJECTS, 2500L);
        assertThat(shallow.backends().get(MAIN))
                .containsEntry(Figure.ROWS, 2500L)
                .containsEntry(Figure.OBJECTS, 2506L)
                .containsEntry(Figure.FOREIGN_OBJECTS, 6L)
                .doesNotContainKey(Figure.READ_ROWS);
        assertThat(deep.backends().get(POSTGRES)).containsEntry(Figure.READ_ROWS, 2500L);
        assertThat(deep.backends().get(MAIN)).containsEntry(Figure.READ_ROWS, 2500L);
    }

    @Test
    void anEmptyDatabaseAndAnEmptyBucketAreRight() {
        assertThat(check(true).outcome()).isEqualTo(ExitCode.DONE);
        assertThat(found.all()).isEmpty();
    }

    @Test
    void damagedLargeObjectsAreNamed() {
        UUID missing = world.add("/missing", MoveWorld.bytes(100, 1));
        UUID shorter = world.add("/shorter", MoveWorld.bytes(5000, 2));
        UUID longer = world.add("/longer", MoveWorld.bytes(5000, 3));
        UUID other = world.add("/other", MoveWorld.bytes(5000, 4));
        UUID noBytes = world.add("/no bytes", MoveWorld.bytes(10, 5));
        UUID noSize = world.add("/no size", MoveWorld.bytes(10, 6));
        world.add("/right", MoveWorld.bytes(300_000, 7));
        onLargeObject("SELECT lo_unlink(?)", missing);
        onLargeObject("SELECT lo_truncate64(lo_open(?, 131072), 4999)", shorter);
        onLargeObject("SELECT lo_put(?, 5000, 'x')", longer);
        onLargeObject("SELECT lo_put(?, 100, 'xyz')", other);
        onLargeObject("SELECT lo_unlink(?)", noBytes);
        world.pg.execute("UPDATE files SET file_oid = NULL WHERE file_id = '" + noBytes + "'");
        world.pg.execute("UPDATE files SET size = NULL WHERE file_id = '" + noSize + "'");

        CheckReport report = check(false);

        assertThat(report.outcome()).isEqualTo(ExitCode.FAILED);
        assertThat(rowsOf(Kind.LARGE_OBJECT_MISSING)).containsExactly(missing);
        assertThat(rowsOf(Kind.LARGE_OBJECT_SIZE_DIFFERS)).containsExactlyInAnyOrder(shorter, longer);
        assertThat(rowsOf(Kind.ROW_INCOMPLETE)).containsExactlyInAnyOrder(noBytes, noSize);
        assertThat(found.all()).hasSize(5);
        assertThat(found.all())
                .filteredOn(finding -> finding.row().equals(Optional.of(shorter)))
                .singleElement()
                .satisfies(finding -> {
                    assertThat(finding.name()).contains("/shorter");
                    assertThat(finding.recordedSize()).hasValue(5000);
                    assertThat(finding.foundSize()).hasValue(4999);
                    assertThat(finding.oid()).isPresent();
                });

        CheckFindings read = new CheckFindings();
        check(true, read);

        assertThat(read.kinds()).hasSize(6).contains(Kind.LARGE_OBJECT_BYTES_DIFFER);
        assertThat(read.all())
                .filteredOn(finding -> finding.kind() == Kind.LARGE_OBJECT_BYTES_DIFFER)
                .extracting(CheckFinding::row)
                .containsExactly(Optional.of(other));
    }

    @Test
    void damagedObjectsAreNamed() {
        UUID missing = addMoved("/missing", "missing");
        UUID shorter = addMoved("/shorter", "shorter");
        UUID other = addMoved("/other", "other");
        UUID noKey = addMoved("/no key", "no key");
        addMoved("/right", "right");
        S3.remove(world.bucket, world.column(missing, "external_id"));
        S3.overwrite(world.bucket, world.column(shorter, "external_id"), "short".getBytes());
        S3.overwrite(world.bucket, world.column(other, "external_id"), "OTHER".getBytes());
        S3.remove(world.bucket, world.column(noKey, "external_id"));
        world.pg.execute("UPDATE files SET external_id = NULL WHERE file_id = '" + noKey + "'");

        CheckReport report = check(false);

        assertThat(report.outcome()).isEqualTo(ExitCode.FAILED);
        assertThat(rowsOf(Kind.OBJECT_MISSING)).containsExactly(missing);
        assertThat(rowsOf(Kind.OBJECT_SIZE_DIFFERS)).containsExactly(shorter);
        assertThat(rowsOf(Kind.ROW_INCOMPLETE)).containsExactly(noKey);
        assertThat(found.all()).hasSize(3);

        CheckFindings read = new CheckFindings();
        check(true, read);

        assertThat(read.kinds())
                .containsExactly(
                        Kind.ROW_INCOMPLETE, Kind.OBJECT_MISSING, Kind.OBJECT_SIZE_DIFFERS, Kind.OBJECT_BYTES_DIFFER);
        assertThat(read.all())
                .filteredOn(finding -> finding.kind() == Kind.OBJECT_SIZE_DIFFERS)
                .singleElement()
                .satisfies(finding -> {
                    assertThat(finding.key()).contains(world.column(shorter, "external_id"));
                    assertThat(finding.recordedSize()).hasValue(7);
                    assertThat(finding.foundSize()).hasValue(5);
                });
    }

    @Test
    void leftoversAreListedAndAreNoFailure() {
        UUID retired = addMoved("/retired", "retired");
        world.pg.execute("UPDATE files SET deleted_at = now() WHERE file_id = '" + retired + "'");
        String orphan = UUID.randomUUID().toString();
        S3.overwrite(world.bucket, orphan, new byte[7]);
        UUID unmoved = world.add("/unmoved", MoveWorld.bytes(9, 1));
        String copy = ObjectKey.of(unmoved, Blobs.sha512(MoveWorld.bytes(9, 1))).toString();
        S3.overwrite(world.bucket, copy, MoveWorld.bytes(9, 1));
        long largeObject = world.pg.count("SELECT lo_from_bytea(0, 'orphan')");
        String upload = UUID.randomUUID().toString();
        startUpload(upload);
        startUpload("not ours");
        UUID large = world.add("/large", MoveWorld.bytes(10, 1));
        String parts = ObjectKey.of(large, Blobs.sha512(MoveWorld.bytes(10, 1))).toString();
        startUpload(parts);

        CheckReport report = check(true);

        assertThat(report.outcome()).isEqualTo(ExitCode.DONE);
        assertThat(found.kinds())
                .containsExactly(
                        Kind.OBJECT_ORPHANED,
                        Kind.OBJECT_NOT_FLIPPED,
                        Kind.UPLOAD_ORPHANED,
                        Kind.UPLOAD_ORPHANED,
                        Kind.LARGE_OBJECT_ORPHANED);
        assertThat(keysOf(Kind.OBJECT_ORPHANED)).containsExactly(orphan);
        assertThat(keysOf(Kind.OBJECT_NOT_FLIPPED)).containsExactly(copy);
        assertThat(keysOf(Kind.UPLOAD_ORPHANED)).containsExactlyInAnyOrder(upload, parts);
        assertThat(found.all())
                .filteredOn(finding -> finding.key().equals(Optional.of(parts)))
                .singleElement()
                .satisfies(finding -> assertThat(finding.message()).contains("migration"));
        assertThat(found.all())
                .filteredOn(finding -> finding.kind() == Kind.LARGE_OBJECT_ORPHANED)
                .singleElement()
                .satisfies(finding -> {
                    assertThat(finding.oid()).hasValue(largeObject);
                    assertThat(finding.foundSize()).hasValue(6);
                });
        assertThat(report.backends().get(MAIN))
                .containsEntry(Figure.RETIRED_OBJECTS, 1L)
                .containsEntry(Figure.RETIRED_BYTES, 7L)
                .containsEntry(Figure.ORPHANED_OBJECTS, 1L)
                .containsEntry(Figure.ORPHANED_BYTES, 7L)
                .containsEntry(Figure.UPLOADS, 3L);
    }

    @Test
    void manyOrphansAreListedOnceEach() {
        for (int i = 0; i < 1200; i++) {
            S3.overwrite(world.bucket, UUID.randomUUID().toString(), new byte[1]);
        }
        world.pg.execute("SELECT lo_create(0) FROM generate_series(1, 1200)");

        check(false);

        assertThat(Set.copyOf(keysOf(Kind.OBJECT_ORPHANED))).hasSize(1200);
        assertThat(found.all()).hasSize(2400);
    }

    @Test
    void uploadsThatARowRecordsAreNamed() {
        UUID whole = UUID.randomUUID();
        UUID inParts = UUID.randomUUID();
        for (UUID key : List.of(whole, inParts)) {
            world.pg.execute("INSERT INTO files (external_id, backend, name, type, deleted_at) VALUES ('" + key
                    + "', 's3main', '/upload', '', now())");
        }
        S3.overwrite(world.bucket, whole.toString(), new byte[3]);
        startUpload(inParts.toString());

        CheckReport report = check(true);

        assertThat(found.all()).isEmpty();
        assertThat(report.backends().get(MAIN)).containsEntry(Figure.UPLOADS, 1L);
    }

    @Test
    void rowsOfBackendsThatAreNotConfiguredAreCountedAndNamed() {
        world.pg.execute(
                "INSERT INTO files (external_id, backend, name, type, size, deleted_at)"
                        + " SELECT uuid_generate_v4(), b, '/' || b || n, '', 1, d"
                        + " FROM generate_series(1, 3) n, (VALUES ('s3gone', NULL), ('s3retired', now()), ('Not A Name', NULL)) v(b, d)");

        CheckReport report = check(false);

        assertThat(report.outcome()).isEqualTo(ExitCode.FAILED);
        assertThat(found.all())
                .extracting(CheckFinding::kind, CheckFinding::backend, CheckFinding::rows)
                .containsExactlyInAnyOrder(
                        tuple(Kind.BACKEND_UNKNOWN, "s3gone", OptionalLong.of(3)),
                        tuple(Kind.BACKEND_UNKNOWN, "Not A Name", OptionalLong.of(3)),
                        tuple(Kind.RETIRED_BACKEND_UNKNOWN, "s3retired", OptionalLong.of(3)));
    }

    @Test
    void aSparseLargeObjectIsAsLongAsItReads() throws Exception {
        byte[] sparse = new byte[3_000_001];
        sparse[3_000_000] = 'x';
        try (Connection connection = world.pg.connect();
                PreparedStatement insert = connection.prepareStatement(
                        "WITH o AS (SELECT lo_create(0) AS oid), p AS (SELECT oid, lo_put(oid, 3000000, 'x') FROM o)"
                                + " INSERT INTO files (file_oid, backend, name, type, size, sha512)"
                                + " SELECT oid, 'postgres', '/sparse', '', 3000001, ? FROM p")) {
            insert.setBytes(1, Blobs.sha512(sparse).bytes());
            insert.executeUpdate();
        }

        check(false);
        check(true);

        assertThat(found.all()).isEmpty();
    }

    @Test
    void objectsOfRowsThatMoveMeanwhileAreRight() {
        List<UUID> blobs = IntStream.range(0, 50)
                .mapToObj(n -> world.add("/" + n, MoveWorld.bytes(1000, n)))
                .toList();
        BucketListing late = new BucketListing() {
            @Override
            public Iterator<StoredObject> objects() {
                world.copy();
                return listing.objects();
            }

            @Override
            public Iterator<String> uploads() {
                return listing.uploads();
            }

            @Override
            public boolean hasUpload(ObjectKey key) {
                return listing.hasUpload(key);
            }
        };

        CheckReport report = run(
                world.database,
                Map.of(MoveWorld.S3MAIN, new Bucket(world.store, late)),
                true,
                found,
                Duration.ofSeconds(30));

        assertThat(found.all()).isEmpty();
        assertThat(report.outcome()).isEqualTo(ExitCode.DONE);
        assertThat(blobs).allMatch(blob -> world.backend(blob).equals(MAIN));
    }

    /** As an old server overwrites: it deletes the object, and its row can't be seen to change before it commits. */
    @Test
    void aRowThatAWriteIsAboutToReplaceIsLookedAtAgain() throws Exception {
        UUID replaced = addMoved("/replaced", "replaced");
        String key = world.column(replaced, "external_id");
        try (Connection writing = world.pg.connect();
                Statement statement = writing.createStatement()) {
            writing.setAutoCommit(false);
            statement.execute("UPDATE files SET deleted_at = now() WHERE file_id = '" + replaced + "'");
            S3.remove(world.bucket, key);
            Thread commit = Thread.startVirtualThread(() -> {
                Awaitility.await().atMost(Duration.ofSeconds(30)).until(this::isWaitingForWriters);
                try {
                    writing.commit();
                } catch (SQLException e) {
                    throw new IllegalStateException(e);
                }
            });

            CheckReport report = check(false);
            commit.join();

            assertThat(found.all()).isEmpty();
            assertThat(report.outcome()).isEqualTo(ExitCode.DONE);
        }
    }

    @Test
    void whatAnEndlessWriteMayChangeIsUndecided() throws Exception {
        UUID held = addMoved("/held", "held");
        S3.remove(world.bucket, world.column(held, "external_id"));
        String orphan = UUID.randomUUID().toString();
        S3.overwrite(world.bucket, orphan, new byte[1]);
        try (Connection writing = world.pg.connect();
                Statement statement = writing.createStatement()) {
            writing.setAutoCommit(false);
            statement.execute("SELECT FROM files WHERE file_id = '" + held + "' FOR UPDATE");

            CheckReport report = run(world.database, buckets(), false, found, Duration.ofMillis(300));

            assertThat(found.kinds()).containsExactly(Kind.UNDECIDED, Kind.UNDECIDED);
            assertThat(report.outcome()).isEqualTo(ExitCode.RETRY);
        }
    }

    @Test
    void aStoreThatIsAwayKeepsNoOtherFromBeingChecked() {
        UUID broken = world.add("/broken", MoveWorld.bytes(10, 1));
        onLargeObject("SELECT lo_unlink(?)", broken);
        UUID lost = addMoved("/lost", "lost");
        S3.remove(world.bucket, world.column(lost, "external_id"));
        BackendName gone = new BackendName("s3a");
        try (S3BlobStore store = new S3BlobStore(S3.backend(gone, "no-such-bucket"), 2);
                S3BucketListing list = new S3BucketListing(S3.backend(gone, "no-such-bucket"))) {
            Map<BackendName, Bucket> buckets = new HashMap<>(buckets());
            buckets.put(gone, new Bucket(store, list));

            CheckReport report = run(world.database, buckets, false, found, Duration.ofSeconds(30));

            assertThat(report.outcome()).isEqualTo(ExitCode.FAILED);
            assertThat(found.kinds()).containsExactly(Kind.LARGE_OBJECT_MISSING, Kind.OBJECT_MISSING, Kind.NOT_CHECKED);
            assertThat(found.all())
                    .filteredOn(finding -> finding.kind() == Kind.NOT_CHECKED)
                    .singleElement()
                    .satisfies(finding -> {
                        assertThat(finding.backend()).isEqualTo("s3a");
                        assertThat(finding.message()).contains("BucketMissing");
                    });
        }
    }

    /** And what it read before is given back to the pool as it was taken. */
    @Test
    void aListingThatBreaksOffLeavesItsConnectionFit() {
        addMoved("/a", "a");
        for (int i = 0; i < 3; i++) {
            CheckFindings broken = new CheckFindings();
            Map<BackendName, Bucket> buckets = Map.of(
                    MoveWorld.S3MAIN,
                    new Bucket(world.store, new S3BucketListing(S3.backend(MoveWorld.S3MAIN, "no-such-bucket"))));
            run(world.database, buckets, false, broken, Duration.ofSeconds(30));
            assertThat(broken.all())
                    .singleElement()
                    .satisfies(finding -> assertThat(finding.message()).contains("BucketMissing"));
        }

        check(false);

        assertThat(found.all()).isEmpty();
    }

    @Test
    void aDatabaseThatIsAwayOrNoBlobstoresIsSaid() {
        Map<String, String> away = new HashMap<>(world.pg.environment(EmbeddedPg.SUPERUSER));
        away.put("PGPORT", "1");
        try (Database database = new Database(PgSettings.decode(away), "test", 2, Duration.ofSeconds(1))) {
            CheckReport report = run(database, buckets(), false, found, Duration.ofSeconds(1));

            assertThat(report.outcome()).isEqualTo(ExitCode.RETRY);
            assertThat(found.all())
                    .singleElement()
                    .satisfies(finding -> assertThat(finding.message()).startsWith("DatabaseUnreachable"));
        }
    }

    /** No right to write, none to lock: it can't change anything. */
    @Test
    void aRoleThatMayOnlyReadIsEnough() {
        addMoved("/moved", "moved");
        world.add("/a", MoveWorld.bytes(10, 1));
        String role = EmbeddedPg.role();
        world.pg.execute("GRANT SELECT ON files TO " + role);
        world.pg
                .texts("SELECT file_oid FROM files WHERE file_oid IS NOT NULL")
                .forEach(oid -> world.pg.execute("GRANT SELECT ON LARGE OBJECT " + oid + " TO " + role));
        S3.overwrite(world.bucket, UUID.randomUUID().toString(), new byte[1]);
        world.pg.execute("SELECT lo_create(0)");
        try (Database database =
                new Database(PgSettings.decode(world.pg.environment(role)), "test", 8, Duration.ofSeconds(5))) {
            run(database, buckets(), true, found, Duration.ofSeconds(30));
        }

        assertThat(found.kinds()).containsExactly(Kind.OBJECT_ORPHANED, Kind.LARGE_OBJECT_ORPHANED);
    }

    private boolean isWaitingForWriters() {
        return world.pg.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                        + " AND query LIKE '%pg_locks%' AND pid <> pg_backend_pid()")
                > 0;
    }

    private UUID addMoved(String name, String text) {
        byte[] bytes = text.getBytes();
        UUID key = UUID.randomUUID();
        S3.overwrite(world.bucket, key.toString(), bytes);
        try (Connection connection = world.pg.connect();
                PreparedStatement insert =
                        connection.prepareStatement("INSERT INTO files (external_id, backend, name, type, size, sha512)"
                                + " VALUES (?, 's3main', ?, '', ?, ?) RETURNING file_id")) {
            insert.setObject(1, key);
            insert.setString(2, name);
            insert.setLong(3, bytes.length);
            insert.setBytes(4, Blobs.sha512(bytes).bytes());
            try (ResultSet rows = insert.executeQuery()) {
                rows.next();
                return rows.getObject(1, UUID.class);
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    private void onLargeObject(String sql, UUID row) {
        world.pg.execute(sql.replace("?", world.column(row, "file_oid")));
    }

    private void startUpload(String key) {
        try (S3AsyncClient client = S3Clients.open(world.settings(), 2)) {
            client.createMultipartUpload(r -> r.bucket(world.bucket).key(key)).join();
        }
    }

    private List<UUID> rowsOf(Kind kind) {
        return found.all().stream()
                .filter(finding -> finding.kind() == kind)
                .map(finding -> finding.row().orElseThrow())
                .toList();
    }

    private List<String> keysOf(Kind kind) {
        return found.all().stream()
                .filter(finding -> finding.kind() == kind)
                .map(finding -> finding.key().orElseThrow())
                .toList();
    }

    private CheckReport check(boolean isReading) {
        return check(isReading, found);
    }

    private CheckReport check(boolean isReading, CheckFindings findings) {
        return run(world.database, buckets(), isReading, findings, Duration.ofSeconds(30));
    }

    private Map<BackendName, Bucket> buckets() {
        return Map.of(MoveWorld.S3MAIN, new Bucket(world.store, listing));
    }

    private static CheckReport run(
            Database database,
            Map<BackendName, Bucket> buckets,
            boolean isReading,
            CheckFindings findings,
            Duration patience) {
        Set<BackendName> all = new HashSet<>(buckets.keySet());
        all.add(BackendName.POSTGRES);
        return new CheckRun(database, new Scope(all, true, Map.of()), buckets, isReading, 4, findings, patience).run();
    }
}
