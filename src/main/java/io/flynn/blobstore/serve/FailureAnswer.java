package io.flynn.blobstore.serve;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.time.Duration;
import java.util.Set;

/**
 * What a client is told about a failure of the database or of a store: whose it is, and whether it's worth trying again. What was
 * tried and what came back is for the log.
 *
 * @param backend whose failure it is; the database's counts as that of the backend {@code postgres}
 */
record FailureAnswer(int status, String message, String backend, String reason, Duration retryAfter) {

    /** Pools and locks are free again in about that time, if they are at all. */
    static final Duration SOON = Duration.ofSeconds(1);

    /** Somebody has to change a key or a bucket first. */
    static final Duration LATER = Duration.ofSeconds(30);

    /** Reasons that only the database gives; any other is that of the backend that has the bytes. */
    private static final Set<String> OF_THE_DATABASE = Set.of(
            Reasons.DATABASE_UNREACHABLE,
            Reasons.DATABASE_BUSY,
            Reasons.DATABASE_READ_ONLY,
            Reasons.DATABASE_FULL,
            Reasons.DATABASE_DENIED,
            Reasons.SCHEMA_UNKNOWN,
            Reasons.LOCK_TIMEOUT,
            Reasons.SOURCE_MISSING);

    /** @param backend that has the request's bytes or was to get them; {@link RequestFacts#NO_BACKEND} for the database alone */
    static FailureAnswer of(StorageFailure failure, String backend) {
        boolean isOfDatabase = OF_THE_DATABASE.contains(failure.reason())
                || backend.equals(RequestFacts.NO_BACKEND)
                || backend.equals(BackendName.POSTGRES.value());
        String place = isOfDatabase ? "the database" : "backend \"" + backend + "\"";
        return new FailureAnswer(
                status(failure, isOfDatabase),
                "%s: %s: %s".formatted(failure.isTransient() ? "not now" : "failed", place, failure.reason()),
                isOfDatabase ? BackendName.POSTGRES.value() : backend,
                failure.reason(),
                failure.isTransient() ? SOON : LATER);
    }

    /** A store that refuses its key or misses its bucket is unavailable, as one that is away: the blob is not to blame. */
    private static int status(StorageFailure failure, boolean isOfDatabase) {
        return switch (failure) {
            case StorageFailure.Unreachable e -> 503;
            case StorageFailure.Busy e -> 503;
            case StorageFailure.OutcomeUnknown e -> 503;
            case StorageFailure.Full e -> 507;
            case StorageFailure.Denied e -> isOfDatabase ? 500 : 503;
            case StorageFailure.Missing e -> e.reason().equals(Reasons.BUCKET_MISSING) ? 503 : 500;
            case StorageFailure.Corrupt e -> 500;
        };
    }
}
