package io.flynn.blobstore.serve;

import io.flynn.blobstore.decide.Reasons;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A request that is answered with a status other than success: thrown where it is found out, answered in one place. */
final class Refusal extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final int status;
    private final String answer;

    @Nullable
    private final String reason;

    /** @param answer what is wrong and, where the client can do something, what to do; one line, for the client to read */
    Refusal(int status, String answer) {
        this(status, answer, null);
    }

    private Refusal(int status, String answer, @Nullable String reason) {
        super(answer, null, false, false);
        this.status = status;
        this.answer = answer;
        this.reason = reason;
    }

    int status() {
        return status;
    }

    String answer() {
        return answer;
    }

    /** Of {@link Reasons}, where it isn't the request that is wrong: for those who operate the server. */
    Optional<String> reason() {
        return Optional.ofNullable(reason);
    }

    /** Its settings are missing here, or wrong; the log of the start says why they were refused. */
    static Refusal unknownBackend(String backend) {
        return new Refusal(
                503,
                "the blob is in backend \"%s\", which is not configured in this server, or wrongly".formatted(backend),
                Reasons.BACKEND_UNKNOWN);
    }

    static Refusal notFound() {
        return new Refusal(404, "NotFound");
    }
}
