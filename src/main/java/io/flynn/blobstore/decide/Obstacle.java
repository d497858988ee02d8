package io.flynn.blobstore.decide;

/**
 * Why something can't go on.
 *
 * @param kind who can change that
 * @param reason one of {@link Reasons}
 * @param message what is in the way and what to do, one line
 */
public record Obstacle(Kind kind, String reason, String message) {

    public enum Kind {
        /** It passes by itself, or when somebody makes what is missing: it is looked at again. Never {@code Stalled}. */
        WAITING,
        /** Somebody must change what is there. {@code Stalled}. */
        PERSON
    }

    public static Obstacle waiting(String reason, String message) {
        return new Obstacle(Kind.WAITING, reason, message);
    }

    public static Obstacle person(String reason, String message) {
        return new Obstacle(Kind.PERSON, reason, message);
    }
}
