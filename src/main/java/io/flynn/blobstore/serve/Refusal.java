package io.flynn.blobstore.serve;

/** A request that is answered with a status other than success: thrown where it is found out, answered in one place. */
final class Refusal extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final int status;
    private final String answer;

    /** @param answer what is wrong and, where the client can do something, what to do; one line, for the client to read */
    Refusal(int status, String answer) {
        super(answer, null, false, false);
        this.status = status;
        this.answer = answer;
    }

    int status() {
        return status;
    }

    String answer() {
        return answer;
    }

    static Refusal notFound() {
        return new Refusal(404, "NotFound");
    }
}
