package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.io.InputStream;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/**
 * The independent checker: knows what was acknowledged, reads everything back over plain HTTP, over JDBC and from the bucket, and
 * believes nothing that the program says about itself. Thread-safe.
 */
public final class Truth implements AutoCloseable {

    private static final String POSTGRES = "postgres";

    /** SQLSTATE undefined_object. */
    private static final String NO_SUCH_OBJECT = "42704";

    private static final String LIVE_ROW = """
            SELECT file_id, file_oid, external_id, backend, name, size, sha512 FROM files
            WHERE name = ? AND deleted_at IS NULL
            """;

    private static final String LIVE_ROWS = """
            SELECT file_id, file_oid, external_id, backend, name, size, sha512 FROM files WHERE deleted_at IS NULL
            """;

    private final Database database;
    private final HttpBlobstore blobstore;
    private final Bucket bucket;
    private final Ledger ledger;

    public Truth(Database database, HttpBlobstore blobstore, Bucket bucket, Ledger ledger) {
        this.database = database;
        this.blobstore = blobstore;
        this.bucket = bucket;
        this.ledger = ledger;
    }

    /**
     * What is the case at the end.
     *
     * @param moved live blobs that were in PostgreSQL before and are in the bucket now
     * @param lost acknowledged blobs that can't be read
     * @param wrong blobs whose bytes, size or digest are not what was acknowledged, or that should not be there
     * @param rowsAtPostgres live rows whose blob is still a large object
     * @param largeObjects all that the database still has
     * @param strayObjects objects in the bucket that no row names, live or deleted
     * @param problems one line for each that is lost or wrong
     */
    public record Verdict(
            long moved,
            long lost,
            long wrong,
            long rowsAtPostgres,
            long largeObjects,
            long strayObjects,
            List<String> problems) {
        public Verdict {
            problems = List.copyOf(problems);
        }
    }

    /** A row as it is in the database. */
    private record Row(
            String id,
            @Nullable Long oid,
            @Nullable String externalId,
            String backend,
            String name,
            long size,
            @Nullable String sha512) {

        static Row of(ResultSet row) throws SQLException {
            long oid = row.getLong("file_oid");
            boolean hasOid = !row.wasNull();
            byte @Nullable [] sha512 = row.getBytes("sha512");
            return new Row(
                    row.getString("file_id"),
                    hasOid ? oid : null,
                    row.getString("external_id"),
                    row.getString("backend"),
                    row.getString("name"),
                    row.getLong("size"),
                    sha512 == null ? null : HexFormat.of().formatHex(sha512));
        }

        boolean agreesWith(Fingerprint bytes) {
            return size == bytes.size() && (sha512 == null || sha512.equals(bytes.sha512()));
        }
    }

    private enum Kind {
        LOST,
        WRONG
    }

    private record Problem(Kind kind, String name, String message) {
        @Override
        public String toString() {
            return name + " " + message;
        }
    }

    /** The ids of all live rows whose blob is in PostgreSQL now. */
    public Set<String> idsAtPostgres() throws SQLException {
        Set<String> ids = new HashSet<>();
        for (Row row : liveRows().values()) {
            if (row.backend().equals(POSTGRES)) {
                ids.add(row.id());
            }
        }
        return ids;
    }

    /**
     * Reads one blob in every way, while others may be changing and moving it.
     *
     * @return what is wrong, one line each
     */
    public List<String> check(String name) throws SQLException, IOException, InterruptedException {
        List<Problem> problems = new ArrayList<>();
        checkOverHttp(name, problems);
        checkInDatabase(name, problems);
        return problems.stream().map(Problem::toString).toList();
    }

    /** Reads everything back, when nobody changes anything any more. */
    public Verdict verdict(Set<String> idsBefore) throws SQLException, IOException, InterruptedException {
        List<Problem> problems = new ArrayList<>();
        for (String name : ledger.names()) {
            checkOverHttp(name, problems);
            checkInDatabase(name, problems);
        }
        Map<String, Row> rows = liveRows();
        Set<String> known = new HashSet<>(ledger.names());
        rows.keySet().stream()
                .filter(name -> !known.contains(name))
                .forEach(name -> problems.add(new Problem(Kind.WRONG, name, "was never written by anybody")));
        return new Verdict(
                rows.values().stream()
                        .filter(row -> !row.backend().equals(POSTGRES) && idsBefore.contains(row.id()))
                        .count(),
                names(problems, Kind.LOST),
                names(problems, Kind.WRONG),
                rows.values().stream()
                        .filter(row -> row.backend().equals(POSTGRES))
                        .count(),
                database.number("SELECT count(*) FROM pg_largeobject_metadata"),
                strayObjects(),
                problems.stream().map(Problem::toString).toList());
    }

    private static long names(List<Problem> problems, Kind kind) {
        return problems.stream()
                .filter(problem -> problem.kind() == kind)
                .map(Problem::name)
                .distinct()
                .count();
    }

    private void checkOverHttp(String name, List<Problem> problems) throws InterruptedException {
        Ledger.Reading reading = ledger.read(name);
        try {
            judge(name, "over HTTP", reading, blobstore.get(name), problems);
        } catch (IOException e) {
            problems.add(new Problem(Kind.LOST, name, "over HTTP: " + e));
        }
    }

    /** The row and, in the same snapshot, the bytes that it points to. */
    private void checkInDatabase(String name, List<Problem> problems) throws SQLException, IOException {
        Ledger.Reading reading = ledger.read(name);
        try (Connection connection = database.connect();
                PreparedStatement select = connection.prepareStatement(LIVE_ROW)) {
            connection.setAutoCommit(false);
            connection.setReadOnly(true);
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            select.setString(1, name);
            try (ResultSet found = select.executeQuery()) {
                if (!found.next()) {
                    judge(name, "in the database", reading, Optional.empty(), problems);
                    return;
                }
                Row row = Row.of(found);
                Optional<Fingerprint> bytes =
                        row.backend().equals(POSTGRES) ? largeObject(connection, row) : object(row);
                if (bytes.isEmpty()) {
                    problems.add(new Problem(Kind.LOST, name, "has a row that points to nothing: " + row));
                } else if (!row.agreesWith(bytes.get())) {
                    problems.add(new Problem(Kind.WRONG, name, "has a row %s and bytes %s".formatted(row, bytes.get())));
                } else {
                    judge(name, "at " + row.backend(), reading, bytes, problems);
                }
            } finally {
                connection.rollback();
            }
        }
    }

    private static void judge(
            String name, String where, Ledger.Reading reading, Optional<Fingerprint> seen, List<Problem> problems) {
        Set<Optional<Fingerprint>> possible = reading.possible();
        if (!possible.contains(seen)) {
            problems.add(new Problem(
                    seen.isEmpty() ? Kind.LOST : Kind.WRONG, name, "%s: acknowledged was %s, seen %s".formatted(where, possible, seen)));
        }
    }

    private Optional<Fingerprint> object(Row row) throws IOException {
        return row.externalId() == null ? Optional.empty() : bucket.read(row.externalId());
    }

    private static Optional<Fingerprint> largeObject(Connection connection, Row row) throws SQLException, IOException {
        Long oid = row.oid();
        if (oid == null) {
            return Optional.empty();
        }
        LargeObject object =
                connection.unwrap(PGConnection.class).getLargeObjectAPI().open(oid, LargeObjectManager.READ);
        try (object;
                InputStream bytes = object.getInputStream(1 << 20, Long.MAX_VALUE)) {
            return Optional.of(Fingerprint.of(bytes));
        }
    }

    private Map<String, Row> liveRows() throws SQLException {
        Map<String, Row> rows = new TreeMap<>();
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement();
                ResultSet found = statement.executeQuery(LIVE_ROWS)) {
            while (found.next()) {
                Row row = Row.of(found);
                rows.put(row.name(), row);
            }
        }
        return rows;
    }

    /** Objects of deleted blobs stay for a while, since presigned URLs to them are still out: these are named by their rows. */
    private long strayObjects() throws SQLException {
        Set<String> keys = new HashSet<>(bucket.sizes().keySet());
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement();
                ResultSet found =
                        statement.executeQuery("SELECT external_id FROM files WHERE external_id IS NOT NULL")) {
            while (found.next()) {
                keys.remove(found.getString(1));
            }
        }
        return keys.size();
    }

    @Override
    public void close() {
        bucket.close();
        blobstore.close();
    }
}
