package io.flynn.blobstore.decide;

import java.util.regex.Pattern;

/**
 * One condition of a custom resource as it should read: stable, so that deciding twice about the same facts writes nothing.
 *
 * @param type what is meant
 * @param truth whether it is so
 * @param reason why, one of {@link Reasons}
 * @param message why and what to do, one line without times and counts that flap; never a secret
 */
public record Condition(String type, Truth truth, String reason, String message) {

    public enum Truth {
        TRUE,
        FALSE,
        UNKNOWN
    }

    /** What the API server accepts ({@code metav1.Condition}). */
    private static final Pattern REASON = Pattern.compile("[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?");

    private static final int REASON_LENGTH_MAX = 1024;
    private static final int MESSAGE_LENGTH_MAX = 32_768;

    public Condition {
        if (reason.length() > REASON_LENGTH_MAX || !REASON.matcher(reason).matches()) {
            throw new IllegalArgumentException("not a condition's reason: " + reason);
        }
        if (message.length() > MESSAGE_LENGTH_MAX) {
            throw new IllegalArgumentException("condition message of " + message.length() + " characters");
        }
    }

    public static Condition isTrue(String type, String reason, String message) {
        return new Condition(type, Truth.TRUE, reason, message);
    }

    public static Condition isFalse(String type, String reason, String message) {
        return new Condition(type, Truth.FALSE, reason, message);
    }

    public static Condition isUnknown(String type, String reason, String message) {
        return new Condition(type, Truth.UNKNOWN, reason, message);
    }

    public boolean isTrue() {
        return truth == Truth.TRUE;
    }
}
