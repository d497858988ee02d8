package io.flynn.blobstore.decide;

/** How the space of unlinked large objects is given back. */
public enum VacuumMode {
    /** {@link #PLAIN}, then {@link #FULL} if so little is left that it takes milliseconds. */
    AUTO,
    /** VACUUM FULL: gives everything back; blocks all readers of large objects while it runs. */
    FULL,
    /** VACUUM: makes the space reusable and gives back what is free at the tables' ends; blocks nobody. */
    PLAIN,
    /** Nothing is done. */
    NONE
}
