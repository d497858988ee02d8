package io.flynn.blobstore.serve;

import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.server.Request;
import org.jspecify.annotations.Nullable;

/**
 * What is learned about one request while it runs, for whoever looks from outside: log and metrics. For one thread at a time.
 */
final class RequestFacts {

    static final String ID_HEADER = "X-Request-Id";

    /** No backend had to do with it. */
    static final String NO_BACKEND = "none";

    /** As nginx has it: nobody was there any more to be answered. */
    private static final int CLIENT_BROKE_OFF = 499;

    private static final String ATTRIBUTE = RequestFacts.class.getName();

    /** Whatever fits into a header, a log and a shell without being quoted. */
    private static final Pattern SANE_ID = Pattern.compile("[A-Za-z0-9._~+/=:@-]{1,128}");

    private final String id;
    private volatile String backend = NO_BACKEND;
    private volatile @Nullable Failure failure;

    private record Failure(int status, String reason) {}

    private RequestFacts(String id) {
        this.id = id;
    }

    /** The request's, from now on. */
    static RequestFacts begin(Request request) {
        RequestFacts facts = new RequestFacts(id(request.getHeaders()));
        request.setAttribute(ATTRIBUTE, facts);
        return facts;
    }

    /** @return empty for a request that was so malformed that nobody began with it */
    static Optional<RequestFacts> find(Request request) {
        return Optional.ofNullable((RequestFacts) request.getAttribute(ATTRIBUTE));
    }

    /** @throws IllegalStateException if nobody began with it */
    static RequestFacts of(Request request) {
        return find(request).orElseThrow(() -> new IllegalStateException("the request has no facts"));
    }

    /** The client's, if it has one that can go into a log as it is. */
    private static String id(HttpFields headers) {
        String id = headers.get(ID_HEADER);
        return id != null && SANE_ID.matcher(id).matches()
                ? id
                : UUID.randomUUID().toString();
    }

    String id() {
        return id;
    }

    /** The backend that has the blob's bytes, or is to get them. */
    String backend() {
        return backend;
    }

    void backend(String name) {
        backend = name;
    }

    /**
     * @param status what the client is told, or would be if it hadn't been told otherwise already
     * @param reason a constant
     */
    void failed(int status, String reason) {
        failure = new Failure(status, reason);
    }

    /** The client, or the way to it, failed; nothing if more is known already. */
    void brokenOff(Throwable cause) {
        if (failure != null) {
            return;
        }
        for (Throwable next = cause; next != null; next = next.getCause()) {
            if (next instanceof TimeoutException) {
                failed(CLIENT_BROKE_OFF, "ClientTooSlow");
                return;
            }
        }
        failed(CLIENT_BROKE_OFF, "ClientBrokeOff");
    }

    /** How it ended, given what the response says: an answer that was begun may have been broken off. */
    int status(int answered) {
        Failure failed = failure;
        return failed == null ? answered : failed.status();
    }

    Optional<String> failure() {
        return Optional.ofNullable(failure).map(Failure::reason);
    }
}
