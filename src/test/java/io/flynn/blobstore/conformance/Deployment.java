package io.flynn.blobstore.conformance;

import java.net.URI;

/** A blobstore that runs, to be ended when it isn't needed any more. */
interface Deployment extends AutoCloseable {

    /** Scheme, host and port. */
    URI url();

    /** Of the server that takes every second upload. */
    default URI otherUrl() {
        return url();
    }

    @Override
    void close();
}
