package io.flynn.blobstore.decide;

import io.flynn.blobstore.decide.CheckFinding.Kind;
import io.flynn.blobstore.decide.CheckFinding.Weight;
import java.util.Map;
import java.util.TreeMap;

/**
 * What a check counted, so far or in the end.
 *
 * @param backends by the backend's name
 * @param findings how many of each kind; a kind that was not found is absent
 */
public record CheckReport(Map<String, Map<Figure, Long>> backends, Map<Kind, Long> findings) {

    public CheckReport {
        backends = Map.copyOf(new TreeMap<>(backends));
        findings = Map.copyOf(findings);
    }

    /** What is counted in each backend; a figure that is absent is 0. */
    public enum Figure {
        /** Live rows that were compared with what is there. */
        ROWS,
        /** Their bytes, by the rows. */
        BYTES,
        /** Live rows whose bytes were read and digested. */
        READ_ROWS,
        /** Bytes that were read. */
        READ_BYTES,
        /** Objects in the bucket, or large objects in the database. */
        OBJECTS,
        /** Objects that only deleted rows name: they are deleted later. */
        RETIRED_OBJECTS,
        /** Their bytes. */
        RETIRED_BYTES,
        /** Objects that no row names. */
        ORPHANED_OBJECTS,
        /** Their bytes, as far as they may be looked at. */
        ORPHANED_BYTES,
        /** Objects whose key is none of ours. */
        FOREIGN_OBJECTS,
        /** Multipart uploads that aren't finished. */
        UPLOADS
    }

    public long findings(Weight weight) {
        return findings.entrySet().stream()
                .filter(found -> found.getKey().weight() == weight)
                .mapToLong(Map.Entry::getValue)
                .sum();
    }

    /** Leftovers alone are no failure; what is wrong weighs more than what could not be looked at. */
    public ExitCode outcome() {
        if (findings(Weight.WRONG) > 0) {
            return ExitCode.FAILED;
        }
        return findings(Weight.UNKNOWN) > 0 ? ExitCode.RETRY : ExitCode.DONE;
    }
}
