package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.S3Exception;

/**
 * Some bytes of an object that is to have {@code size} bytes.
 *
 * @param first counted from 0
 * @param length at least 1, unless the object is empty
 */
record ObjectRange(long size, long first, long length) {

    private static final int RANGE_NOT_SATISFIABLE = 416;
    private static final int PRECONDITION_FAILED = 412;

    static ObjectRange all(long size) {
        return new ObjectRange(size, 0, size);
    }

    /** Its first bytes, no more than {@code most}. */
    ObjectRange head(long most) {
        return new ObjectRange(size, first, Math.min(length, most));
    }

    /** What is left of it when so many bytes have been read. */
    ObjectRange after(long read) {
        return new ObjectRange(size, first + read, length - read);
    }

    /** As a request has it; null where all is wanted. */
    @Nullable
    String header() {
        return length == size ? null : "bytes=%d-%d".formatted(first, first + length - 1);
    }

    /**
     * @param tried in words that complete "could not …"
     * @throws StorageFailure.Corrupt if these are not so many bytes of so many
     */
    void requireIn(GetObjectResponse answer, String tried) {
        Long announced = answer.contentLength();
        if (announced != null && announced != length) {
            throw differs(tried, "the store has %d bytes where the row says %d".formatted(announced, length), null);
        }
        String range = answer.contentRange();
        if (range != null && !range.endsWith("/" + size) && !range.endsWith("/*")) {
            throw differs(tried, "the store has %s where the row says %d".formatted(range, size), null);
        }
    }

    /** What it means that the store answers so. */
    StorageFailure refused(String tried, CompletionException failure) {
        if (failure.getCause() instanceof S3Exception answer) {
            switch (answer.statusCode()) {
                case RANGE_NOT_SATISFIABLE -> {
                    return differs(tried, "it is not as long as its row says", failure);
                }
                case PRECONDITION_FAILED -> {
                    return new StorageFailure.OutcomeUnknown(
                            Reasons.STORE_FAULTY, "could not " + tried + ": it changed while it was read", failure);
                }
                default -> {}
            }
        }
        return S3Failures.translate(tried, failure);
    }

    private static StorageFailure.Corrupt differs(String tried, String how, @Nullable Throwable cause) {
        return new StorageFailure.Corrupt(Reasons.SIZE_DIFFERS, "could not " + tried + ": " + how, cause);
    }
}
