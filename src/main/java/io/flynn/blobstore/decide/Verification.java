package io.flynn.blobstore.decide;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/**
 * By what the copy stage knows that an object is the blob; what it brings into the database it reads back. The verify stage reads
 * everything back in any case.
 */
public enum Verification {
    /** Every object is downloaded and digested. */
    READ_BACK("ReadBack"),
    /** By checksums that the store was just seen to check; where it checks none, as {@link #READ_BACK}. */
    STORE_CHECKSUM("StoreChecksum");

    private final String word;

    Verification(String word) {
        this.word = word;
    }

    /** As commands and resources have it. */
    public String word() {
        return word;
    }

    /** The one of this name, in any case; empty if there is none. */
    public static Optional<Verification> of(String word) {
        String wanted = word.toLowerCase(Locale.ROOT);
        return Arrays.stream(values())
                .filter(one -> one.word.toLowerCase(Locale.ROOT).equals(wanted))
                .findFirst();
    }
}
