package io.flynn.blobstore.decide;

/** What becomes of an object, or an unfinished upload, that no row named when it was first looked at. */
public enum OrphanDecision {
    /** Nobody can come to need it. */
    DELETE,
    /** A row names it by now. */
    NAMED,
    /** A live row elsewhere would name it once it is moved, or may: a migration that broke off finds it again. */
    MOVABLE,
    /** No row shows that this installation made it: an old server, or another program, may have. */
    UNPROVEN,
    /** It isn't what was seen first: somebody writes there. */
    CHANGED,
    /** Somebody else deleted it. */
    GONE;

    /**
     * What is known of an orphan's key after a second look at the rows.
     *
     * @param isNamed whether a row names it, live or deleted
     * @param isOfRow whether it is the key that a row's blob gets when it is moved: only this installation can have made it
     * @param isOfLiveRowElsewhere whether such a row is live in another backend
     * @param mayBeOfRowWithoutDigest whether it may be the key of a live row elsewhere whose digest was never recorded, so that
     *     nobody can tell
     */
    public record Key(
            boolean isNamed, boolean isOfRow, boolean isOfLiveRowElsewhere, boolean mayBeOfRowWithoutDigest) {}

    /** @param withUnproven whether what no row proves is deleted, too */
    public static OrphanDecision of(Key key, boolean withUnproven) {
        if (key.isNamed()) {
            return NAMED;
        }
        if (key.isOfLiveRowElsewhere()) {
            return MOVABLE;
        }
        if (key.isOfRow()) {
            return DELETE;
        }
        if (!withUnproven) {
            return UNPROVEN;
        }
        return key.mayBeOfRowWithoutDigest() ? MOVABLE : DELETE;
    }
}
