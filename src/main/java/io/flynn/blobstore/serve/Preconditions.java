package io.flynn.blobstore.serve;

import io.flynn.blobstore.blob.BlobVersion;
import io.flynn.blobstore.store.Precondition;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.eclipse.jetty.http.HttpDateTime;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;

/** Whether a conditional request is to be done (RFC 9110, section 13). */
final class Preconditions {

    /** The three forms of RFC 9110, section 5.6.7; the parser takes more, and what is no date is to be ignored. */
    private static final Pattern HTTP_DATE = Pattern.compile("\\w{3}, \\d{2} \\w{3} \\d{4} \\d{2}:\\d{2}:\\d{2} GMT"
            + "|\\w{6,9}, \\d{2}-\\w{3}-\\d{2} \\d{2}:\\d{2}:\\d{2} GMT"
            + "|\\w{3} \\w{3} [ \\d]\\d \\d{2}:\\d{2}:\\d{2} \\d{4}");

    /** One of a list (RFC 9110, sections 5.6.1 and 8.8.3): a tag may hold commas and asterisks. */
    private static final Pattern NEXT_TAG = Pattern.compile("\\G[ \\t,]*(?<weak>W/)?(?<tag>\"[^\"]*\")[ \\t]*(?=,|$)");

    enum Outcome {
        PROCEED,
        NOT_MODIFIED,
        FAILED
    }

    /** Those that a request to change something may have; others don't apply to it. */
    private static final List<HttpHeader> OF_CHANGES =
            List.of(HttpHeader.IF_MATCH, HttpHeader.IF_NONE_MATCH, HttpHeader.IF_UNMODIFIED_SINCE);

    private final HttpFields headers;
    private final boolean exists;
    private final Optional<String> etag;
    private final Optional<Instant> lastModified;

    Preconditions(HttpFields headers, BlobVersion version) {
        this(headers, Optional.of(version));
    }

    private Preconditions(HttpFields headers, Optional<BlobVersion> live) {
        this.headers = headers;
        exists = live.isPresent();
        etag = live.flatMap(Preconditions::etag);
        lastModified = live.map(version -> version.updatedAt().truncatedTo(ChronoUnit.SECONDS));
    }

    /** As the header carries it, with the quotes; versions without a digest have none. */
    static Optional<String> etag(BlobVersion version) {
        return version.sha512().map(digest -> "\"" + digest.base64() + "\"");
    }

    /**
     * What a request demands of the name that it changes.
     *
     * @return what throws a {@link Refusal} if the demand isn't met; {@link Precondition#NONE} if there is none
     */
    static Precondition ofChange(HttpFields headers) {
        if (OF_CHANGES.stream().noneMatch(headers::contains)) {
            return Precondition.NONE;
        }
        return live -> {
            if (!new Preconditions(headers, live).isChangeWanted()) {
                throw failed();
            }
        };
    }

    static Refusal failed() {
        return new Refusal(412, "the blob is not the version that the request is conditional on");
    }

    /** In the order that section 13.2.2 prescribes. */
    Outcome evaluate() {
        if (isAnother()) {
            return Outcome.FAILED;
        }
        if (headers.contains(HttpHeader.IF_NONE_MATCH)) {
            return isListed(HttpHeader.IF_NONE_MATCH, true) ? Outcome.NOT_MODIFIED : Outcome.PROCEED;
        }
        return date(HttpHeader.IF_MODIFIED_SINCE)
                        .filter(date -> lastModified
                                .filter(modified -> !modified.isAfter(date))
                                .isPresent())
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
        // A second may have seen two versions: a date is no proof where there is a tag (RFC 9110, section 13.1.5).
        return etag.isEmpty()
                && date(HttpHeader.IF_RANGE).isPresent()
                && date(HttpHeader.IF_RANGE).equals(lastModified);
    }

    private boolean isChangeWanted() {
        return !isAnother() && !isListed(HttpHeader.IF_NONE_MATCH, true);
    }

    /** Whether the client has named a version, by its tag or its date, that the live one is not. */
    private boolean isAnother() {
        if (headers.contains(HttpHeader.IF_MATCH)) {
            return !isListed(HttpHeader.IF_MATCH, false);
        }
        return date(HttpHeader.IF_UNMODIFIED_SINCE)
                .filter(date ->
                        lastModified.filter(modified -> modified.isAfter(date)).isPresent())
                .isPresent();
    }

    /** Whether the live version is among those that the header lists; what follows upon something that is no tag is not looked at. */
    private boolean isListed(HttpHeader header, boolean isWeakEnough) {
        for (HttpField field : headers) {
            if (field.getHeader() != header) {
                continue;
            }
            if (field.getValue().strip().equals("*") && exists) {
                return true;
            }
            for (Matcher tag = NEXT_TAG.matcher(field.getValue()); tag.find(); ) {
                boolean isComparable = isWeakEnough || tag.group("weak") == null;
                if (isComparable && etag.filter(tag.group("tag")::equals).isPresent()) {
                    return true;
                }
            }
        }
        return false;
    }

    /** A date that is none is no condition (section 13.1.3). */
    private Optional<Instant> date(HttpHeader header) {
        String value = headers.get(header);
        if (value == null || !HTTP_DATE.matcher(value).matches()) {
            return Optional.empty();
        }
        try {
            return Optional.of(HttpDateTime.parse(value).toInstant());
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }
}
