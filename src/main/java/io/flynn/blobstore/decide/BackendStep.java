package io.flynn.blobstore.decide;

import java.time.Duration;

/**
 * Where a backend stands, and what comes next.
 *
 * @param action to carry out now
 * @param verdict how it stands
 * @param reason of {@code Ready}
 * @param message for people
 * @param next when to look again if nothing happens before
 */
record BackendStep(BackendAction action, Verdict verdict, String reason, String message, Duration next) {

    enum Verdict {
        READY,
        WAITING,
        PERSON
    }

    /** A Secret is neither listed nor watched, so it is looked at. */
    static final Duration MINUTE = Duration.ofMinutes(1);

    /** Pods are not watched either: a rollout is looked at while it goes on. */
    static final Duration SOON = Duration.ofSeconds(2);

    /** Nothing is to be waited for before the next step. */
    static final Duration AT_ONCE = Duration.ofMillis(10);

    /** Jobs and Deployments are watched; this is for a watch that missed something. */
    static final Duration WATCHED = Duration.ofSeconds(15);

    static BackendStep held(Obstacle obstacle) {
        return held(new BackendAction.None(), obstacle, MINUTE);
    }

    static BackendStep held(BackendAction action, Obstacle obstacle, Duration next) {
        Verdict verdict = switch (obstacle.kind()) {
            case WAITING -> Verdict.WAITING;
            case PERSON -> Verdict.PERSON;
        };
        return new BackendStep(action, verdict, obstacle.reason(), obstacle.message(), next);
    }

    static BackendStep doing(BackendAction action, String reason, String message) {
        return new BackendStep(action, Verdict.WAITING, reason, message, SOON);
    }

    static BackendStep waiting(String reason, String message, Duration next) {
        return new BackendStep(new BackendAction.None(), Verdict.WAITING, reason, message, next);
    }
}
