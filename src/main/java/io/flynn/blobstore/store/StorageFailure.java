package io.flynn.blobstore.store;

import org.jspecify.annotations.Nullable;

/**
 * The world failed: a database or a store did not do what was asked. Adapters translate their drivers' exceptions into one of
 * these at the edge; nothing above knows SQLSTATEs or HTTP statuses. The message says what was tried, on what, and what came
 * back; it never holds a URL's query, a header or a secret.
 */
public abstract sealed class StorageFailure extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final String reason;

    private StorageFailure(String reason, String message, @Nullable Throwable cause) {
        super(message, cause);
        this.reason = reason;
    }

    /** A constant of {@link io.flynn.blobstore.decide.Reasons}. */
    public String reason() {
        return reason;
    }

    /** Whether the same call may succeed later without anybody changing anything. */
    public abstract boolean isTransient();

    /** Nobody answers: resolved to nothing, refused, timed out, broken off. Nothing is known to have happened. */
    public static final class Unreachable extends StorageFailure {
        private static final long serialVersionUID = 1L;

        public Unreachable(String reason, String message, @Nullable Throwable cause) {
            super(reason, message, cause);
        }

        @Override
        public boolean isTransient() {
            return true;
        }
    }

    /** It is there, and says not now: throttled, overloaded, locked, read-only for the moment. Nothing happened. */
    public static final class Busy extends StorageFailure {
        private static final long serialVersionUID = 1L;

        public Busy(String reason, String message, @Nullable Throwable cause) {
            super(reason, message, cause);
        }

        @Override
        public boolean isTransient() {
            return true;
        }
    }

    /** It says no: wrong credentials, missing rights, wrong region. Nothing happened. */
    public static final class Denied extends StorageFailure {
        private static final long serialVersionUID = 1L;

        public Denied(String reason, String message, @Nullable Throwable cause) {
            super(reason, message, cause);
        }

        @Override
        public boolean isTransient() {
            return false;
        }
    }

    /** What was asked for does not exist: the bucket, the object, the large object, the table. */
    public static final class Missing extends StorageFailure {
        private static final long serialVersionUID = 1L;

        public Missing(String reason, String message, @Nullable Throwable cause) {
            super(reason, message, cause);
        }

        @Override
        public boolean isTransient() {
            return false;
        }
    }

    /** The bytes are not what they must be. */
    public static final class Corrupt extends StorageFailure {
        private static final long serialVersionUID = 1L;

        public Corrupt(String reason, String message, @Nullable Throwable cause) {
            super(reason, message, cause);
        }

        @Override
        public boolean isTransient() {
            return false;
        }
    }

    /** No room: disk, quota, lock table. */
    public static final class Full extends StorageFailure {
        private static final long serialVersionUID = 1L;

        public Full(String reason, String message, @Nullable Throwable cause) {
            super(reason, message, cause);
        }

        @Override
        public boolean isTransient() {
            return false;
        }
    }

    /** The answer was lost: it happened or it did not. Look again; never treat it as either. */
    public static final class OutcomeUnknown extends StorageFailure {
        private static final long serialVersionUID = 1L;

        public OutcomeUnknown(String reason, String message, @Nullable Throwable cause) {
            super(reason, message, cause);
        }

        @Override
        public boolean isTransient() {
            return true;
        }
    }
}
