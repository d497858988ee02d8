package io.flynn.blobstore.store;

import io.flynn.blobstore.decide.StageReport.Finding;
import java.util.List;

/** Tries in a store, one by one, all that the workload will do there. */
@FunctionalInterface
public interface StoreProbe {

    /**
     * Blocks, and leaves nothing behind. Ends with the first check that makes the others senseless.
     *
     * @return a finding for each check that was made, by the IAM action that it needs
     */
    List<Finding> check();
}
