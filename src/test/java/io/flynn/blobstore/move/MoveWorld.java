package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.VacuumMode;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.MigrationFence;
import io.flynn.blobstore.store.postgres.PgSettings;
import io.flynn.blobstore.store.postgres.Schema;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.store.s3.S3OrphanStore;
import io.flynn.blobstore.testkit.Blobs;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;

/**
 * A blobstore's database with blobs in it, and an empty bucket. Everything is made and looked at by plain SQL and plain
 * objects, never through the code under test.
 */
final class MoveWorld implements AutoCloseable {

    private static final AtomicInteger LAST = new AtomicInteger();

    static final BackendName S3MAIN = Blobs.S3MAIN;
    static final BackendName S3OTHER = new BackendName("s3other");
    static final Route TO_S3 = Route.ofAll(BackendName.POSTGRES, S3MAIN);

    final EmbeddedPg.Database pg = EmbeddedPg.database();
    final LocalS3 s3;
    final String bucket = "bucket" + LAST.incrementAndGet();
    final Database database;
    final S3BlobStore store;
    final String otherBucket = bucket + "-other";
    final S3BlobStore otherStore;
    final StopSignal stop = new StopSignal();

    MoveWorld(LocalS3 s3) {
        this(s3, EmbeddedPg.SUPERUSER);
    }

    /** @param role which the stages work as */
    MoveWorld(LocalS3 s3, String role) {
        this.s3 = s3;
        try (Connection connection = pg.connect()) {
            Schema.upgrade(connection);
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
        database = new Database(PgSettings.decode(pg.environment(role)), "blobstore test", 12, Duration.ofSeconds(5));
        s3.createBucket(bucket);
        store = new S3BlobStore(settings(), 16);
        s3.createBucket(otherBucket);
        otherStore = new S3BlobStore(s3.backend(S3OTHER, otherBucket), 16);
    }

    BackendSettings settings() {
        return s3.backend(S3MAIN, bucket);
    }

    static byte[] bytes(int size, long seed) {
        byte[] bytes = new byte[size];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    /** A row as an old server writes it, with its large object. */
    UUID add(String name, byte[] bytes) {
        return add(name, bytes, Blobs.sha512(bytes).bytes());
    }

    UUID add(String name, byte[] bytes, byte[] sha512) {
        try (Connection connection = pg.connect();
                PreparedStatement insert = connection.prepareStatement(
                        "INSERT INTO files (file_oid, backend, name, type, size, sha512)"
                                + " VALUES (lo_from_bytea(0, ?), 'postgres', ?, 'application/gzip', ?, ?) RETURNING file_id")) {
            insert.setBytes(1, bytes);
            insert.setString(2, name);
            insert.setLong(3, bytes.length);
            insert.setBytes(4, sha512);
            try (ResultSet rows = insert.executeQuery()) {
                rows.next();
                return rows.getObject(1, UUID.class);
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A row as an old server writes it to {@link #S3MAIN}, under a key of its own, with its object. */
    UUID addObject(String name, byte[] bytes) {
        UUID key = UUID.randomUUID();
        s3.overwrite(bucket, key.toString(), bytes);
        try (Connection connection = pg.connect();
                PreparedStatement insert =
                        connection.prepareStatement("INSERT INTO files (external_id, backend, name, type, size, sha512)"
                                + " VALUES (?, 's3main', ?, 'application/gzip', ?, ?) RETURNING file_id")) {
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

    /** The bytes that the row's large object holds. */
    byte[] largeObject(UUID id) {
        return HexFormat.of().parseHex(column(id, "encode(lo_get(file_oid), 'hex')"));
    }

    /** A text that {@code column} holds in the row, {@code null} as "null". */
    String column(UUID id, String column) {
        try (Connection connection = pg.connect();
                PreparedStatement select =
                        connection.prepareStatement("SELECT (" + column + ")::text FROM files WHERE file_id = ?")) {
            select.setObject(1, id);
            try (ResultSet rows = select.executeQuery()) {
                rows.next();
                return String.valueOf(rows.getString(1));
            }
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    String backend(UUID id) {
        return column(id, "backend");
    }

    /** The object that the row names. */
    byte[] object(UUID id) {
        return s3.bytes(backend(id).equals("s3other") ? otherBucket : bucket, column(id, "external_id"));
    }

    Stores stores() {
        return new Stores(Map.of(S3MAIN, store, S3OTHER, otherStore));
    }

    StageReport copy(Route route) {
        return copy(route, stores());
    }

    StageReport copy(Route route, Stores stores) {
        return new CopyRun(context(Stage.COPY), route, stores, 4, 2).run();
    }

    StageReport verify(Route route) {
        return new VerifyRun(context(Stage.VERIFY), route, stores(), 4, Optional.empty()).run();
    }

    /** @param age what blobs left at {@link #S3MAIN} is not deleted before */
    StageReport clean(Route route, Duration age) {
        return clean(route, stores(), age);
    }

    StageReport clean(Route route, Stores stores, Duration age) {
        try (S3OrphanStore source = new S3OrphanStore(settings(), 4)) {
            return new CleanRun(
                            context(Stage.CLEAN),
                            route,
                            stores,
                            route.from().equals(S3MAIN)
                                    ? Optional.of(new ObjectCleaning.Source(source, age))
                                    : Optional.empty(),
                            4)
                    .run();
        }
    }

    StageContext context(Stage stage) {
        return context(stage, "migration-1");
    }

    StageContext context(Stage stage, String migration) {
        return new StageContext(database, new MigrationFence(database, migration), new ProgressMeter(stage), stop);
    }

    StageReport copy() {
        return copy(store -> store);
    }

    StageReport copy(UnaryOperator<BlobStore> decorated) {
        return copyRun(decorated.apply(store)).run();
    }

    CopyRun copyRun(BlobStore store) {
        return new CopyRun(context(Stage.COPY), TO_S3, new Stores(Map.of(S3MAIN, store)), 4, 2);
    }

    StageReport verify() {
        return verify(store);
    }

    StageReport verify(BlobStore store) {
        return new VerifyRun(context(Stage.VERIFY), TO_S3, new Stores(Map.of(S3MAIN, store)), 4, Optional.empty())
                .run();
    }

    StageReport clean() {
        return new CleanRun(context(Stage.CLEAN), TO_S3, new Stores(Map.of(S3MAIN, store)), Optional.empty(), 4).run();
    }

    StageReport vacuum(VacuumMode mode) {
        return new VacuumRun(context(Stage.VACUUM), mode, Duration.ofSeconds(2)).run();
    }

    StageReport plan(BackendName defaultBackend) {
        return new PlanRun(
                        context(Stage.PLAN),
                        new PlanRun.Order(TO_S3, defaultBackend, "bucket", false, true, VacuumMode.AUTO),
                        new Stores(Map.of(S3MAIN, store)))
                .run();
    }

    long largeObjects() {
        return pg.count("SELECT count(*) FROM pg_largeobject_metadata");
    }

    @Override
    public void close() {
        store.close();
        otherStore.close();
        database.close();
        pg.close();
    }
}
