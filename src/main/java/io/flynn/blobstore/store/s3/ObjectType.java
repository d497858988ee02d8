package io.flynn.blobstore.store.s3;

import java.util.Optional;
import java.util.regex.Pattern;

/**
 * What an object is served as. A row's type is whatever a client once sent: what a header can't carry would be refused by the
 * client here, or break the signature, and the blob could never be stored.
 */
final class ObjectType {

    /** What S3 takes an object for that is uploaded without a type. */
    private static final String IF_NONE = "binary/octet-stream";

    /**
     * Printable ASCII, which every store reads alike, without blanks at its ends. The length leaves room in the 8 KB that S3
     * takes of a PUT's headers (Amazon S3 API Reference, PutObject).
     */
    private static final Pattern SENDABLE = Pattern.compile("[!-~](?:[ -~]{0,1022}[!-~])?");

    private ObjectType() {}

    /** @param type as a row has it */
    static String of(String type) {
        return sendable(type).orElse(IF_NONE);
    }

    /** The type as a header can carry it; empty if there is none, or it can't be carried. */
    static Optional<String> sendable(String type) {
        return Optional.of(type.strip())
                .filter(stripped -> SENDABLE.matcher(stripped).matches());
    }
}
