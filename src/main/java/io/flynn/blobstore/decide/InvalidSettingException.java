package io.flynn.blobstore.decide;

/** A setting that can't be used. The message names the key and the fix, never the value of a secret. */
public final class InvalidSettingException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final String key;
    private final String reason;

    public InvalidSettingException(String key, String problem) {
        this(key, problem, Reasons.BACKEND_INVALID);
    }

    /** @param reason a constant of {@link Reasons} */
    public InvalidSettingException(String key, String problem, String reason) {
        super(key + " " + problem);
        this.key = key;
        this.reason = reason;
    }

    public String reason() {
        return reason;
    }

    /** The setting's key, as in {@code BACKEND_<NAME>_<KEY>} but in lower case. */
    public String key() {
        return key;
    }
}
