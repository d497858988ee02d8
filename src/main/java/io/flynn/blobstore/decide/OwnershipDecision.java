package io.flynn.blobstore.decide;

import io.flynn.blobstore.blob.Installation;
import java.util.Optional;

/** Whether a bucket is an installation's to use, by what the bucket's mark says. */
public enum OwnershipDecision {
    /** It is marked as this installation's. */
    OWN,
    /** Nobody's yet: it may be marked. */
    UNMARKED,
    /** It is marked as that installation's which it is explicitly taken over from: it may be marked anew. */
    ADOPTED,
    /** Another's: nothing may be written or deleted there. */
    FOREIGN;

    /**
     * @param mark what the bucket says; empty if it says nothing; anything but an installation's name is foreign
     * @param adopted whose bucket is to be taken over, if any is. Only that one's: who repeats the word on a copy of the whole
     *     installation, as GitOps tools do, takes nothing over
     */
    public static OwnershipDecision of(Optional<String> mark, Installation own, Optional<Installation> adopted) {
        if (mark.isEmpty()) {
            return UNMARKED;
        }
        if (mark.get().equals(own.name())) {
            return OWN;
        }
        return adopted.map(Installation::name).equals(mark) ? ADOPTED : FOREIGN;
    }
}
