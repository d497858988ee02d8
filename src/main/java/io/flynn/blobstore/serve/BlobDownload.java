package io.flynn.blobstore.serve;

import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.blob.BlobVersion;
import io.flynn.blobstore.store.postgres.LargeObjectDownload;
import io.flynn.blobstore.store.postgres.ServedCatalog;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import org.eclipse.jetty.http.DateGenerator;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;

/**
 * Answers GET and HEAD of a blob: from the database here, from anywhere else by a redirect. A HEAD is answered from the row
 * alone, wherever the bytes are.
 */
final class BlobDownload {

    /** How long a link works that was given out: what the old program gave. */
    static final Duration LINK_LIFETIME = Duration.ofMinutes(10);

    private final ServedCatalog catalog;
    private final Backends backends;

    BlobDownload(ServedCatalog catalog, Backends backends) {
        this.catalog = catalog;
        this.backends = backends;
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
        boolean isThere = catalog.read(name, (version, bytes) -> {
            // What an earlier turn said about another version.
            response.reset();
            RequestFacts.of(request).backend(version.backend());
            if (version.isInPostgres()) {
                send(version, bytes, request, response);
            } else {
                redirect(version, response);
            }
        });
        if (!isThere) {
            throw Refusal.notFound();
        }
    }

    /** Conditions are not looked at: they say nothing about an answer that is no success (RFC 9110, section 13.2.1). */
    private void redirect(BlobVersion version, Response response) {
        String link =
                backends.bucket(version.backend()).link(version, LINK_LIFETIME).toString();
        response.setStatus(302);
        response.getHeaders().put(HttpHeader.LOCATION, link);
        response.getHeaders().put(HttpHeader.CACHE_CONTROL, "no-store");
        response.getHeaders().put(HttpHeader.CONTENT_LENGTH, 0);
    }

    private static void send(BlobVersion version, LargeObjectDownload bytes, Request request, Response response)
            throws IOException {
        if (isAnswered(version, request, response)) {
            return;
        }
        Optional<ByteRange> range = range(version, request, response);
        describe(version, response);
        range.ifPresent(part -> {
            response.setStatus(206);
            response.getHeaders().put(HttpHeader.CONTENT_RANGE, part.header(version.size()));
        });
        long first = range.map(ByteRange::first).orElse(0L);
        long length = range.map(ByteRange::length).orElse(version.size());
        response.getHeaders().put(HttpHeader.CONTENT_LENGTH, length);
        bytes.copyTo(Content.Sink.asOutputStream(response), first, length);
    }

    private static Optional<ByteRange> range(BlobVersion version, Request request, Response response) {
        HttpFields headers = request.getHeaders();
        String range = headers.get(HttpHeader.RANGE);
        if (range == null || !new Preconditions(headers, version).isRangeWanted()) {
            return Optional.empty();
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
            case FAILED -> throw new Refusal(412, "the blob is not the version that the request is conditional on");
        };
    }

    private static void describe(BlobVersion version, Response response) {
        identify(version, response);
        HttpFields.Mutable headers = response.getHeaders();
        headers.put(HttpHeader.ACCEPT_RANGES, "bytes");
        if (!version.type().isEmpty()) {
            // Not put(HttpHeader, String): that would let Jetty replace the type by one of its own that means the same.
            headers.put(new HttpField(HttpHeader.CONTENT_TYPE, version.type()));
        }
    }

    private static void identify(BlobVersion version, Response response) {
        Preconditions.etag(version).ifPresent(etag -> response.getHeaders().put(HttpHeader.ETAG, etag));
        response.getHeaders().put(HttpHeader.LAST_MODIFIED, DateGenerator.formatDate(version.updatedAt()));
    }
}
