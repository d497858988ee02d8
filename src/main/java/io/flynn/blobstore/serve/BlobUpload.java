package io.flynn.blobstore.serve;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.ServedCatalog;
import io.flynn.blobstore.store.s3.ServedBucket;
import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;
import java.util.UUID;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Request;

/** Answers PUT: the body becomes the name's version in the default backend, or nothing changes. */
final class BlobUpload {

    private final ServedCatalog catalog;
    private final Backends backends;

    BlobUpload(ServedCatalog catalog, Backends backends) {
        this.catalog = catalog;
        this.backends = backends;
    }

    void put(BlobName name, Request request) throws IOException {
        HttpFields headers = request.getHeaders();
        Unsupported.refuse(headers);
        String type = Optional.ofNullable(headers.get(HttpHeader.CONTENT_TYPE)).orElse("");
        InputStream body = Request.asInputStream(request);
        Optional<ServedBucket> bucket = backends.defaultBucket();
        if (bucket.isPresent()) {
            put(name, type, body, bucket.get());
        } else {
            catalog.put(name, type, body);
        }
    }

    /** No transaction is open while the bytes are on their way: it would hold vacuum back for as long. */
    private void put(BlobName name, String type, InputStream body, ServedBucket bucket) throws IOException {
        ObjectKey key = new ObjectKey(UUID.randomUUID());
        BlobContent content = bucket.store(key, type, body);
        try {
            catalog.put(name, type, backends.defaultBackend(), key, content);
        } catch (StorageFailure.OutcomeUnknown e) {
            // A row may name the object: better an object too many than one too few.
            throw e;
        } catch (RuntimeException e) {
            bucket.discard(key, e);
            throw e;
        }
    }
}
