package io.flynn.blobstore.testkit;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobRow;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Sha512;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;

/** Blobs for tests: rows and content made from a text. */
public final class Blobs {

    public static final BackendName S3MAIN = new BackendName("s3main");

    private static final UUID ID = UUID.fromString("6f1b2c3d-0000-4000-8000-000000000001");

    private Blobs() {}

    public static Sha512 sha512(byte[] bytes) {
        try {
            return new Sha512(MessageDigest.getInstance("SHA-512").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    public static BlobContent contentOf(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        return new BlobContent(bytes.length, sha512(bytes));
    }

    /** A live row at PostgreSQL whose size and digest are those of {@code text}. */
    public static BlobRow row(String text) {
        BlobContent content = contentOf(text);
        return new BlobRow(
                ID,
                OptionalLong.of(16400),
                Optional.empty(),
                BackendName.POSTGRES,
                "application/gzip",
                content.size(),
                Optional.of(content.sha512()),
                false);
    }

    public static BlobRow withoutDigest(BlobRow row) {
        return new BlobRow(
                row.id(),
                row.oid(),
                row.externalId(),
                row.backend(),
                row.type(),
                row.size(),
                Optional.empty(),
                row.isDeleted());
    }

    /** The row after its move. */
    public static BlobRow movedTo(BackendName target, BlobRow row) {
        return new BlobRow(
                row.id(),
                row.oid(),
                row.sha512().map(digest -> ObjectKey.of(row.id(), digest)),
                target,
                row.type(),
                row.size(),
                row.sha512(),
                row.isDeleted());
    }

    public static BlobRow deleted(BlobRow row) {
        return new BlobRow(
                row.id(),
                OptionalLong.empty(),
                row.externalId(),
                row.backend(),
                row.type(),
                row.size(),
                row.sha512(),
                true);
    }
}
