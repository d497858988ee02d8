package io.flynn.blobstore.decide;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;

/**
 * How a stage ended, as its pod says in the termination message: one JSON object of at most {@value #MAX_BYTES} bytes. The
 * operator doesn't trust it: a missing or garbled one means that the stage runs again.
 *
 * @param stage which
 * @param outcome as the exit code
 * @param reason one of {@link Reasons}, fit for a condition
 * @param message one line for people: what happened, on what, what to do; never a secret
 * @param identity of a plan, the hash over its spec and the stores' identities; of a verification that found everything in order,
 *     the digest over all that it proved; else empty
 * @param figures counted or measured, by name
 * @param findings one by one; as many as fit
 */
public record StageReport(
        Stage stage,
        ExitCode outcome,
        String reason,
        String message,
        String identity,
        Map<Figure, Long> figures,
        List<Finding> findings) {

    /** What the kubelet keeps of a termination message (Kubernetes, "Customizing the termination message"). */
    public static final int MAX_BYTES = 4096;

    /** Subject of the probe's finding about the rows that use the backend: it says why they were not counted. */
    public static final String INVENTORY = "inventory";

    public StageReport {
        EnumMap<Figure, Long> copy = new EnumMap<>(Figure.class);
        copy.putAll(figures);
        figures = Map.copyOf(copy);
        findings = List.copyOf(findings);
    }

    public OptionalLong figure(Figure figure) {
        Long value = figures.get(figure);
        return value == null ? OptionalLong.empty() : OptionalLong.of(value);
    }

    /** What can be counted. Each stage sets those that it knows; a figure that is absent was not counted. */
    public enum Figure {
        /** Live rows in scope. Plan: at the source. Probe: at the backend. Verify: at the target, proven. */
        BLOBS,
        /** Their bytes. */
        BYTES,
        /** Live rows still at the source when the stage ended, by a plain count. */
        REMAINING_BLOBS,
        /** Their bytes. */
        REMAINING_BYTES,
        /** Rows flipped by this run. */
        COPIED_BLOBS,
        COPIED_BYTES,
        /** Objects sent: counted to show that a resumed run repeats only what was in flight. */
        UPLOADS,
        /** Rows that no retry can help; each has a finding while they fit. */
        FAILED_BLOBS,
        /** Rows that were put back onto their large object by settling. */
        SETTLED_BLOBS,
        /** Large objects unlinked by this run. */
        CLEANED_BLOBS,
        CLEANED_BYTES,
        /** Rows at the target whose large object is still there. */
        UNCLEANED_BLOBS,
        DATABASE_BYTES_BEFORE,
        DATABASE_BYTES_AFTER,
        LARGE_OBJECT_BYTES_BEFORE,
        LARGE_OBJECT_BYTES_AFTER,
        /** How long a full vacuum kept readers waiting: behind its attempts to get the lock, and while it held it. */
        LOCK_HELD_MILLIS,
        DURATION_MILLIS
    }

    /**
     * One thing that was looked at.
     *
     * @param level how bad it is
     * @param subject what was looked at: an IAM action, a row's id, a table
     * @param reason a constant of {@link Reasons}
     * @param message one line for people
     */
    public record Finding(Level level, String subject, String reason, String message) {}

    public enum Level {
        /** Looked at and found right. */
        OK,
        /** The stage went on. */
        WARNING,
        /** One blob, or one check, failed. */
        FAILURE,
        /** The migration can't go on before somebody acts. */
        BLOCKER
    }
}
