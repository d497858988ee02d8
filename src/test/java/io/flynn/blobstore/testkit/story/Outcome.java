package io.flynn.blobstore.testkit.story;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * How the story ended.
 *
 * @param requestsWhileMoving answered between the first {@code apply} and the migration's end
 * @param requests of the whole story
 * @param failures of requests and of random checks that got no answer, one line each
 * @param readBacks random checks while blobs were moving
 * @param keptRedirects redirects that were followed only at the end
 * @param problems of random checks, of the restored backups, and of secrets where none belongs, one line each
 */
public record Outcome(
        Backup.Cost before,
        Backup.Cost after,
        long oldBytes,
        Truth.Verdict verdict,
        long requestsWhileMoving,
        long requests,
        List<String> failures,
        long readBacks,
        long keptRedirects,
        List<String> problems) {

    /** The database must give back nearly all of what the blobs took; the rest is rows, and what clients write meanwhile. */
    private static final double GIVEN_BACK_MIN = 0.9;

    public Outcome {
        failures = List.copyOf(failures);
        problems = List.copyOf(problems);
    }

    /** What the demo ends with. */
    public List<String> summary() {
        return List.of(
                String.format(
                        Locale.ROOT,
                        "backup    %s -> %s      restore  %s -> %s      database  %s -> %s",
                        Narrator.size(before.fileBytes()),
                        Narrator.size(after.fileBytes()),
                        Narrator.seconds(before.restore()),
                        Narrator.seconds(after.restore()),
                        Narrator.size(before.databaseBytes()),
                        Narrator.size(after.databaseBytes())),
                String.format(
                        Locale.ROOT,
                        "blobs     %,d moved, %,d lost, %,d wrong",
                        verdict.moved(),
                        verdict.lost(),
                        verdict.wrong()),
                String.format(
                        Locale.ROOT, "requests  %,d while moving, %,d failed", requestsWhileMoving, failures.size()));
    }

    /** Every figure that isn't as it has to be; nothing if all is well. */
    public List<String> wrongFigures() {
        List<String> wrong = new ArrayList<>();
        require(verdict.moved() > 0, "no blob was moved", wrong);
        require(verdict.lost() == 0, verdict.lost() + " blobs are lost", wrong);
        require(verdict.wrong() == 0, verdict.wrong() + " blobs are wrong", wrong);
        require(verdict.rowsAtPostgres() == 0, verdict.rowsAtPostgres() + " blobs are still in PostgreSQL", wrong);
        require(verdict.largeObjects() == 0, verdict.largeObjects() + " large objects are left", wrong);
        require(requestsWhileMoving > 0, "no request was made while blobs moved", wrong);
        require(keptRedirects > 0, "no redirect was kept and followed at the end", wrong);
        require(readBacks > 0, "no blob was read back while blobs moved", wrong);
        require(failures.isEmpty(), failures.size() + " requests failed", wrong);
        require(
                before.databaseBytes() - after.databaseBytes() >= GIVEN_BACK_MIN * oldBytes,
                "the database's space was not given back",
                wrong);
        wrong.addAll(verdict.problems());
        wrong.addAll(failures);
        wrong.addAll(problems);
        return wrong;
    }

    private static void require(boolean holds, String otherwise, List<String> wrong) {
        if (!holds) {
            wrong.add(otherwise);
        }
    }
}
