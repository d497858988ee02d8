package io.flynn.blobstore.serve;

import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.blob.BlobVersion;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.serve.ServerSettings.Redirects;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.ServedCatalog;
import io.flynn.blobstore.store.s3.ServedBucket;
import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import org.eclipse.jetty.http.DateGenerator;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;

/**
 * Answers GET and HEAD of a blob: from the database here, from anywhere else by a redirect, or through this server if clients
 * can't reach the store. A HEAD is answered from the row alone, wherever the bytes are.
 */
final class BlobDownload {

    private final ServedCatalog catalog;
    private final Backends backends;
    private final Redirects redirects;

    BlobDownload(ServedCatalog catalog, Backends backends, Redirects redirects) {
        this.catalog = catalog;
        this.backends = backends;
        this.redirects = redirects;
    }

    void head(BlobName name, Request request, Response response) {
        BlobVersion version = catalog.find(name).orElseThrow(Refusal::notFound);
        RequestFacts.of(request).backend(version.backend());
        if (isAnswered(version, request, response)) {
            return;
        }
        describe(version, response);
        response.getHeaders().put(HttpHeader.CONTENT_LENGTH, version.size());
    }

    void get(BlobName name, Request request, Response response) throws IOException {
        BlobVersion gone = null;
        while (true) {
            BlobVersion version = catalog.read(name, (found, bytes) -> {
                        // What an earlier turn said about another version.
                        response.reset();
                        RequestFacts.of(request).backend(found.backend());
                        send(found, bytes::copyTo, request, response);
                    })
                    .orElseThrow(Refusal::notFound);
            RequestFacts.of(request).backend(version.backend());
            // Not while a connection to the database is held.
            if (version.isInPostgres()) {
                return;
            }
            if (redirects.enabled()) {
                redirect(version, response);
                return;
            }
            try {
                stream(version, request, response);
                return;
            } catch (StorageFailure.Missing e) {
                // An old server deletes the object of a version that it replaces: then there is another one.
                if (!e.reason().equals(Reasons.OBJECT_MISSING) || response.isCommitted() || version.equals(gone)) {
                    throw e;
                }
                gone = version;
                response.reset();
            }
        }
    }

    /** Conditions are not looked at: they say nothing about an answer that is no success (RFC 9110, section 13.2.1). */
    private void redirect(BlobVersion version, Response response) {
        String link = backends.bucket(version.backend())
                .link(version, redirects.linkLifetime())
                .toString();
        response.setStatus(302);
        response.getHeaders().put(HttpHeader.LOCATION, link);
        response.getHeaders().put(HttpHeader.CACHE_CONTROL, "no-store");
        response.getHeaders().put(HttpHeader.CONTENT_LENGTH, 0);
    }

    private void stream(BlobVersion version, Request request, Response response) throws IOException {
        ServedBucket bucket = backends.bucket(version.backend());
        Bytes bytes = (target, first, length) -> bucket.copyTo(target, version, first, length);
        send(version, bytes, request, response);
    }

    /** Writes {@code length} bytes of a version, from {@code first} on. */
    @FunctionalInterface
    private interface Bytes {
        void copyTo(OutputStream target, long first, long length) throws IOException;
    }

    private static void send(BlobVersion version, Bytes bytes, Request request, Response response) throws IOException {
        if (isAnswered(version, request, response)) {
            return;
        }
        List<ByteRange> ranges = ranges(version, request, response);
        describe(version, response);
        if (ranges.size() > 1) {
            sendSeveral(version, ranges, bytes, response);
            return;
        }
        ByteRange range = ranges.isEmpty() ? new ByteRange(0, version.size()) : ranges.getFirst();
        if (!ranges.isEmpty()) {
            response.setStatus(206);
            response.getHeaders().put(HttpHeader.CONTENT_RANGE, range.header(version.size()));
        }
        response.getHeaders().put(HttpHeader.CONTENT_LENGTH, range.length());
        bytes.copyTo(Content.Sink.asOutputStream(response), range.first(), range.length());
    }

    private static void sendSeveral(BlobVersion version, List<ByteRange> ranges, Bytes bytes, Response response)
            throws IOException {
        MultipartRanges parts = new MultipartRanges(ranges, version);
        response.setStatus(206);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, parts.type());
        response.getHeaders().put(HttpHeader.CONTENT_LENGTH, parts.length());
        OutputStream target = Content.Sink.asOutputStream(response);
        for (ByteRange range : ranges) {
            bytes.copyTo(parts.headed(range, target), range.first(), range.length());
        }
        target.write(parts.end());
    }

    private static List<ByteRange> ranges(BlobVersion version, Request request, Response response) {
        HttpFields headers = request.getHeaders();
        String range = headers.get(HttpHeader.RANGE);
        if (range == null || !new Preconditions(headers, version).isRangeWanted()) {
            return List.of();
        }
        try {
            return ByteRange.parse(range, version.size());
        } catch (Refusal e) {
            response.getHeaders().put(HttpHeader.CONTENT_RANGE, "bytes */" + version.size());
            throw e;
        }
    }

    /** @return whether the request's conditions have decided the answer */
    private static boolean isAnswered(BlobVersion version, Request request, Response response) {
        return switch (new Preconditions(request.getHeaders(), version).evaluate()) {
            case PROCEED -> false;
            case NOT_MODIFIED -> {
                response.setStatus(304);
                identify(version, response);
                yield true;
            }
            case FAILED -> throw Preconditions.failed();
        };
    }

    private static void describe(BlobVersion version, Response response) {
        identify(version, response);
        HttpFields.Mutable headers = response.getHeaders();
        headers.put(HttpHeader.ACCEPT_RANGES, "bytes");
        if (!version.type().isEmpty()) {
            // Not put(HttpHeader, String): that would let Jetty replace the type by one of its own that means the same.
            headers.put(new HttpField(HttpHeader.CONTENT_TYPE, ContentType.sent(version.type())));
        }
    }

    private static void identify(BlobVersion version, Response response) {
        Preconditions.etag(version).ifPresent(etag -> response.getHeaders().put(HttpHeader.ETAG, etag));
        response.getHeaders().put(HttpHeader.LAST_MODIFIED, DateGenerator.formatDate(version.updatedAt()));
    }
}
