package io.flynn.blobstore.serve;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.blob.BlobVersion;
import io.flynn.blobstore.blob.Sha512;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.Precondition;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.VersionChanged;
import io.flynn.blobstore.store.postgres.ServedCatalog;
import io.flynn.blobstore.store.postgres.UploadIntent;
import io.flynn.blobstore.store.s3.ObjectUpload;
import io.flynn.blobstore.store.s3.ServedBucket;
import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Pattern;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Request;

/**
 * Answers PUT: the body, or another blob, becomes the name's version, or the body is added to it; or nothing changes.
 *
 * <p>What goes to the database goes there in one transaction; while bytes are on their way to another backend, none is open: it
 * would hold vacuum back for as long.
 */
final class BlobUpload {

    private static final String COPY_FROM = "Blobstore-Copy-From";
    private static final String OFFSET = "Blobstore-Offset";

    /** No blob is longer than a bigint. */
    private static final Pattern DIGITS = Pattern.compile("\\d{1,18}");

    /** Each turn is lost only to a move or a change of the source that was committed meanwhile. */
    private static final int COPY_TURNS_MAX = 5;

    private final ServedCatalog catalog;
    private final Backends backends;

    BlobUpload(ServedCatalog catalog, Backends backends) {
        this.catalog = catalog;
        this.backends = backends;
    }

    void put(BlobName name, Request request) throws IOException {
        HttpFields headers = request.getHeaders();
        if (headers.contains(HttpHeader.CONTENT_RANGE)) {
            // RFC 9110, section 14.5: taking a part for the whole would destroy the blob.
            throw new Refusal(400, "a part of a blob can't be replaced: send all of it, without Content-Range");
        }
        String source = headers.get(COPY_FROM);
        OptionalLong offset = offset(headers);
        if (source != null && offset.isPresent()) {
            throw new Refusal(400, "%s and %s exclude each other: send one of them".formatted(COPY_FROM, OFFSET));
        }
        Precondition precondition = Preconditions.ofChange(headers);
        if (!Precondition.NONE.equals(precondition)) {
            catalog.require(name, precondition);
        }
        // Where the bytes of another version are read or copied first, the client may have to wait longer than it may
        // pause.
        request.addIdleTimeoutListener(idle -> false);
        try {
            if (source != null) {
                copy(RequestTarget.nameInHeader(source), name, precondition, request);
            } else if (offset.isPresent()) {
                append(name, offset.getAsLong(), precondition, request);
            } else {
                store(name, precondition, request);
            }
        } catch (VersionChanged e) {
            throw new Refusal(
                    409, "the blob was changed by another request meanwhile: ask for its size, and append again");
        }
    }

    private void store(BlobName name, Precondition precondition, Request request) throws IOException {
        String type = Optional.ofNullable(request.getHeaders().get(HttpHeader.CONTENT_TYPE))
                .map(ContentType::stored)
                .orElse("");
        InputStream body = Request.asInputStream(request);
        Optional<ServedBucket> bucket = backends.defaultBucket();
        if (bucket.isPresent()) {
            publish(name, type, backends.defaultBackend(), bucket.get(), precondition, upload -> upload.store(body));
        } else {
            catalog.put(name, type, precondition, body);
        }
    }

    private void append(BlobName name, long offset, Precondition precondition, Request request) throws IOException {
        Optional<BlobVersion> found = catalog.find(name);
        if (offset == 0 && found.filter(version -> version.size() == 0).isEmpty()) {
            // Offset 0 has always meant a plain upload.
            store(name, precondition, request);
            return;
        }
        BlobVersion version = found.orElseThrow(Refusal::notFound);
        RequestFacts.of(request).backend(version.backend());
        if (version.size() != offset) {
            throw new Refusal(
                    409,
                    "%s is %d, but the blob has %d bytes: append at its end".formatted(OFFSET, offset, version.size()));
        }
        InputStream more = Request.asInputStream(request);
        if (version.isInPostgres()) {
            catalog.append(name, version, precondition, more, (moved, bytes) -> {
                RequestFacts.of(request).backend(moved.backend());
                appendToObject(name, moved, precondition, bytes);
            });
        } else {
            appendToObject(name, version, precondition, more);
        }
    }

    private void appendToObject(BlobName name, BlobVersion version, Precondition precondition, InputStream more)
            throws IOException {
        ServedBucket bucket = backends.bucket(version.backend());
        publish(
                name,
                version.type(),
                new BackendName(version.backend()),
                bucket,
                precondition.and(VersionChanged.none(version)),
                upload -> upload.append(bucket.key(version), version.size(), version.sha512(), more));
    }

    private void copy(BlobName source, BlobName target, Precondition precondition, Request request) throws IOException {
        if (source.equals(target)) {
            catalog.require(target, live -> {
                if (live.isEmpty()) {
                    throw Refusal.notFound();
                }
                precondition.check(live);
            });
            return;
        }
        for (int turn = 0; turn < COPY_TURNS_MAX; turn++) {
            BlobVersion version = catalog.find(source).orElseThrow(Refusal::notFound);
            RequestFacts.of(request).backend(version.backend());
            if (version.isInPostgres()
                    ? catalog.copy(source, target, precondition)
                    : isObjectCopied(version, source, target, precondition)) {
                return;
            }
        }
        throw new Refusal(503, "the blob to be copied is changed without pause");
    }

    /** @return false, with nothing changed, if the object is gone because the source isn't that version any more */
    private boolean isObjectCopied(BlobVersion version, BlobName source, BlobName target, Precondition precondition)
            throws IOException {
        ServedBucket bucket = backends.bucket(version.backend());
        try {
            publish(
                    target,
                    version.type(),
                    new BackendName(version.backend()),
                    bucket,
                    precondition,
                    upload -> copied(upload, bucket, version));
            return true;
        } catch (StorageFailure.Missing e) {
            if (e.reason().equals(Reasons.OBJECT_MISSING)
                    && !catalog.find(source).equals(Optional.of(version))) {
                return false;
            }
            throw e;
        }
    }

    /**
     * While the large object of a moved blob is still there, the row may describe that, and not the object: an append that began
     * before the move can end after it.
     */
    private static BlobContent copied(ObjectUpload upload, ServedBucket bucket, BlobVersion version) {
        upload.copy(bucket.key(version), version.size());
        if (version.oid().isEmpty() && version.sha512().isPresent()) {
            return new BlobContent(version.size(), version.sha512().get());
        }
        Sha512 digest = bucket.digest(version);
        if (version.sha512().filter(recorded -> !recorded.equals(digest)).isPresent()) {
            throw new StorageFailure.Corrupt(
                    Reasons.DIGEST_DIFFERS,
                    "could not copy object %s: it has another digest than its row".formatted(bucket.key(version)),
                    null);
        }
        return new BlobContent(version.size(), digest);
    }

    @FunctionalInterface
    private interface Sending {
        BlobContent by(ObjectUpload upload) throws IOException;
    }

    private void publish(
            BlobName name,
            String type,
            BackendName backend,
            ServedBucket bucket,
            Precondition precondition,
            Sending sending)
            throws IOException {
        try (UploadIntent intent = catalog.intend(name, type, backend);
                ObjectUpload upload = bucket.upload(intent.key(), type)) {
            try {
                intent.publish(precondition, sending.by(upload));
            } catch (StorageFailure.OutcomeUnknown e) {
                // A row may name the object: better an object too many, which is collected, than one too few.
                throw e;
            } catch (IOException | RuntimeException e) {
                if (upload.discard(e)) {
                    intent.withdraw(e);
                }
                throw e;
            }
        }
    }

    private static OptionalLong offset(HttpFields headers) {
        String value = headers.get(OFFSET);
        if (value == null) {
            return OptionalLong.empty();
        }
        if (!DIGITS.matcher(value).matches()) {
            throw new Refusal(400, OFFSET + " must be the blob's present size in bytes, a decimal number");
        }
        return OptionalLong.of(Long.parseLong(value));
    }
}
