package io.flynn.blobstore.operate;

/** How far a backend is in its Deployment, in a status' words. */
enum WorkloadPhase {
    UNCONFIGURED("Unconfigured"),
    ROLLING_OUT("RollingOut"),
    CONFIGURED("Configured"),
    DEFAULT_ROLLING_OUT("DefaultRollingOut"),
    DEFAULT("Default"),
    REMOVING("Removing");

    private final String word;

    WorkloadPhase(String word) {
        this.word = word;
    }

    String word() {
        return word;
    }
}
