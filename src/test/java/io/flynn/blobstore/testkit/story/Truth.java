package io.flynn.blobstore.testkit.story;

import io.flynn.blobstore.testkit.story.StoredBlobs.Row;
import io.flynn.blobstore.testkit.story.StoredBlobs.Stored;
import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * The independent checker: knows what was acknowledged, reads everything back over plain HTTP, over JDBC and from the bucket, and
 * believes nothing that the program says about itself. Thread-safe.
 */
public final class Truth {

    private final HttpBlobstore blobstore;
    private final StoredBlobs stored;
    private final Ledger ledger;

    public Truth(HttpBlobstore blobstore, StoredBlobs stored, Ledger ledger) {
        this.blobstore = blobstore;
        this.stored = stored;
        this.ledger = ledger;
    }

    /**
     * What is the case at the end.
     *
     * @param moved live blobs that were in PostgreSQL before and aren't any more
     * @param lost acknowledged blobs that can't be read
     * @param wrong blobs whose bytes, size or digest are not what was acknowledged, or that should not be there
     * @param rowsAtPostgres live rows whose blob is still a large object
     * @param largeObjects all that the database still has
     * @param strayObjects objects in the bucket that no row names, live or deleted: whatever was changed between its upload and its
     *     flip leaves one
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
        return stored.rows().values().stream()
                .filter(Row::isAtPostgres)
                .map(Row::id)
                .collect(Collectors.toUnmodifiableSet());
    }

    /**
     * Reads one blob in every way, while others may be changing and moving it.
     *
     * @return what is wrong, one line each
     * @throws IOException if the blobstore or the bucket couldn't be asked, or refused to answer
     * @throws SQLException if the database couldn't be asked
     */
    public List<String> check(String name) throws SQLException, IOException, InterruptedException {
        List<Problem> problems = new ArrayList<>();
        checkOverHttp(name, problems);
        try (Connection connection = stored.connect()) {
            checkInDatabase(connection, name, problems);
        }
        return problems.stream().map(Problem::toString).toList();
    }

    /**
     * Reads everything back, when nobody changes anything any more.
     *
     * @param idsBefore what {@link #idsAtPostgres} was before the move
     */
    public Verdict verdict(Set<String> idsBefore) throws SQLException, IOException, InterruptedException {
        List<Problem> problems = new ArrayList<>();
        try (Connection connection = stored.connect()) {
            for (String name : ledger.names()) {
                try {
                    checkOverHttp(name, problems);
                } catch (IOException e) {
                    problems.add(new Problem(Kind.LOST, name, "over HTTP: " + e));
                }
                checkInDatabase(connection, name, problems);
            }
        }
        Map<String, Row> rows = stored.rows();
        Set<String> neverWritten = new HashSet<>(rows.keySet());
        ledger.names().forEach(neverWritten::remove);
        neverWritten.forEach(name -> problems.add(new Problem(Kind.WRONG, name, "was never written by anybody")));
        return new Verdict(
                count(rows.values(), row -> !row.isAtPostgres() && idsBefore.contains(row.id())),
                names(problems, Kind.LOST),
                names(problems, Kind.WRONG),
                count(rows.values(), Row::isAtPostgres),
                stored.largeObjects(),
                stored.strayObjects(),
                problems.stream().map(Problem::toString).toList());
    }

    private static long count(Collection<Row> rows, Predicate<Row> which) {
        return rows.stream().filter(which).count();
    }

    private static long names(List<Problem> problems, Kind kind) {
        return problems.stream()
                .filter(problem -> problem.kind() == kind)
                .map(Problem::name)
                .distinct()
                .count();
    }

    private void checkOverHttp(String name, List<Problem> problems) throws IOException, InterruptedException {
        Ledger.Reading reading = ledger.read(name);
        judge(name, "over HTTP", reading, blobstore.get(name), problems);
    }

    private void checkInDatabase(Connection connection, String name, List<Problem> problems)
            throws SQLException, IOException {
        Ledger.Reading reading = ledger.read(name);
        Optional<Stored> found = stored.read(connection, name);
        Optional<Fingerprint> bytes = found.flatMap(Stored::bytes);
        if (found.isPresent() && bytes.isEmpty()) {
            problems.add(new Problem(
                    Kind.LOST,
                    name,
                    "has a row that points to nothing: " + found.get().row()));
        } else if (found.isPresent() && !found.get().row().agreesWith(bytes.orElseThrow())) {
            problems.add(new Problem(Kind.WRONG, name, "differs from its row: " + found.get()));
        } else {
            judge(name, "in the database", reading, bytes, problems);
        }
    }

    private static void judge(
            String name, String where, Ledger.Reading reading, Optional<Fingerprint> seen, List<Problem> problems) {
        Set<Optional<Fingerprint>> possible = reading.possible();
        if (!possible.contains(seen)) {
            problems.add(new Problem(
                    seen.isEmpty() ? Kind.LOST : Kind.WRONG,
                    name,
                    "%s: acknowledged was %s, seen %s".formatted(where, possible, seen)));
        }
    }
}
