package io.flynn.blobstore.serve;

import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.RequestLog;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/**
 * Around everything that answers: gives every request its id, counts it while it runs, and tells log and metrics how it ended.
 * As the server's {@link RequestLog} it does so for requests that were so malformed that no handler saw them.
 */
final class Observed extends Handler.Wrapper implements RequestLog {

    private static final String MALFORMED = "Malformed";

    private final InFlight inFlight;
    private final ServerMetrics metrics;
    private final AccessLog accessLog;

    Observed(Handler handler, InFlight inFlight, ServerMetrics metrics, AccessLog accessLog) {
        super(handler);
        this.inFlight = inFlight;
        this.metrics = metrics;
        this.accessLog = accessLog;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
        RequestFacts facts = RequestFacts.begin(request);
        inFlight.enter();
        PacedEndPoint.began(request);
        Request.addCompletionListener(request, failure -> {
            try {
                PacedEndPoint.ended(request);
                if (failure != null) {
                    facts.brokenOff(failure);
                }
                tell(facts, request, response);
            } finally {
                inFlight.leave();
            }
        });
        return super.handle(request, new Identified(request, response, facts.id()), callback);
    }

    @Override
    public void log(Request request, Response response) {
        if (RequestFacts.find(request).isEmpty()) {
            RequestFacts facts = RequestFacts.begin(request);
            facts.failed(response.getStatus(), MALFORMED);
            tell(facts, request, response);
        }
    }

    private void tell(RequestFacts facts, Request request, Response response) {
        metrics.ended(facts, request, response);
        accessLog.ended(facts, request, response);
    }

    /** Says the request's id, also if everything else that was to be said is taken back. */
    private static final class Identified extends Response.Wrapper {

        private final String id;

        Identified(Request request, Response response, String id) {
            super(request, response);
            this.id = id;
            identify();
        }

        @Override
        public void reset() {
            super.reset();
            identify();
        }

        private void identify() {
            getHeaders().put(RequestFacts.ID_HEADER, id);
        }
    }
}
