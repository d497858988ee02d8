package io.flynn.blobstore.serve;

import io.flynn.blobstore.blob.BlobVersion;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import org.eclipse.jetty.http.HttpDateTime;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;

/** Whether a conditional GET or HEAD is to be answered with the blob (RFC 9110, section 13). */
final class Preconditions {

    enum Outcome {
        PROCEED,
        NOT_MODIFIED,
        FAILED
    }

    private final HttpFields headers;
    private final Optional<String> etag;
    private final Instant lastModified;

    Preconditions(HttpFields headers, BlobVersion version) {
        this.headers = headers;
        etag = etag(version);
        lastModified = version.updatedAt().truncatedTo(ChronoUnit.SECONDS);
    }

    /** As the header carries it, with the quotes; versions without a digest have none. */
    static Optional<String> etag(BlobVersion version) {
        return version.sha512().map(digest -> "\"" + digest.base64() + "\"");
    }

    /** In the order that section 13.2.2 prescribes. */
    Outcome evaluate() {
        if (headers.contains(HttpHeader.IF_MATCH)) {
            if (!isListed(HttpHeader.IF_MATCH, false)) {
                return Outcome.FAILED;
            }
        } else if (date(HttpHeader.IF_UNMODIFIED_SINCE)
                .filter(lastModified::isAfter)
                .isPresent()) {
            return Outcome.FAILED;
        }
        if (headers.contains(HttpHeader.IF_NONE_MATCH)) {
            return isListed(HttpHeader.IF_NONE_MATCH, true) ? Outcome.NOT_MODIFIED : Outcome.PROCEED;
        }
        return date(HttpHeader.IF_MODIFIED_SINCE)
                        .filter(date -> !lastModified.isAfter(date))
                        .isPresent()
                ? Outcome.NOT_MODIFIED
                : Outcome.PROCEED;
    }

    /** Whether a range of this version is what the client goes on with: it has the rest of it, or doesn't say. */
    boolean isRangeWanted() {
        String ifRange = headers.get(HttpHeader.IF_RANGE);
        if (ifRange == null) {
            return true;
        }
        if (ifRange.startsWith("\"")) {
            return etag.filter(ifRange::equals).isPresent();
        }
        return date(HttpHeader.IF_RANGE).filter(lastModified::equals).isPresent();
    }

    /** Base64 has neither commas nor quotes, so a list of tags can be split at its commas. */
    private boolean isListed(HttpHeader header, boolean isWeakEnough) {
        for (HttpField field : headers) {
            if (field.getHeader() == header) {
                for (String tag : field.getValue().split(",", -1)) {
                    String candidate = isWeakEnough && tag.strip().startsWith("W/")
                            ? tag.strip().substring(2)
                            : tag.strip();
                    if (candidate.equals("*") || etag.filter(candidate::equals).isPresent()) {
                        return true;
                    }
                }
            }
        }
        return false;
    }

    /** A date that is none is no condition (section 13.1.3). */
    private Optional<Instant> date(HttpHeader header) {
        String value = headers.get(header);
        if (value == null) {
            return Optional.empty();
        }
        try {
            return Optional.of(HttpDateTime.parse(value).toInstant());
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }
}
