package io.flynn.blobstore.decide;

/** A setting that can't be used. The message names the key and the fix, never the value of a secret. */
public final class InvalidSettingException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final String key;

    public InvalidSettingException(String key, String problem) {
        super(key + " " + problem);
        this.key = key;
    }

    /** The setting's key, as in {@code BACKEND_<NAME>_<KEY>} but in lower case. */
    public String key() {
        return key;
    }
}
